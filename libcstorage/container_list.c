/* SPDX-License-Identifier: Apache-2.0 */
/* Containers, read side: copies of records, so that a caller's container never changes under it. */
#include <string.h>
#include "bigdata.h"
#include "container.h"
#include "id_maps.h"

struct cstore_container {
	char *id, *image, *layer, *metadata;
	char **names, **data_keys;
	int64_t created;
	bool is_volatile;
	struct cstore_id_range *uid_map, *gid_map;
	size_t uid_map_count, gid_map_count;
};

struct cstore_container_list {
	struct cstore_container *items;
	size_t count;
};

static void container_done(struct cstore_container *c)
{
	free(c->id);
	free(c->image);
	free(c->layer);
	free(c->metadata);
	strv_free(c->names);
	strv_free(c->data_keys);
	free(c->uid_map);
	free(c->gid_map);
}

static char *copy_member(const struct json *rec, const char *key)
{
	const char *v = json_get_string(rec, key);

	return strdup(v ? v : "");
}

static int copy_list(const struct json *rec, const char *key, char ***ret)
{
	if (json_strv(json_get(rec, key), ret))
		return -ENOMEM;
	if (!*ret)
		*ret = strv_copy(NULL);
	return *ret ? 0 : -ENOMEM;
}

static int copy_ranges(const struct id_range *from, size_t n, struct cstore_id_range **ret,
		       size_t *ret_count)
{
	struct cstore_id_range *r = calloc(n + 1, sizeof(*r));

	for (size_t i = 0; r && i < n; i++)
		r[i] = (struct cstore_id_range){ from[i].inside, from[i].outside, from[i].count };
	*ret = r;
	*ret_count = n;
	return r ? 0 : -ENOMEM;
}

/* Maps that cannot be used are an error of mounting, not of listing. */
static int copy_maps(const struct json *rec, struct cstore_container *c)
{
	struct id_maps *m = NULL;
	int r = id_maps_load(rec, &m, NULL);

	if (r == -ENOMEM || !m)
		return r == -ENOMEM ? r : 0;
	r = copy_ranges(m->uids, m->uid_count, &c->uid_map, &c->uid_map_count);
	if (!r)
		r = copy_ranges(m->gids, m->gid_count, &c->gid_map, &c->gid_map_count);
	id_maps_free(m);
	return r;
}

static int copy_record(const struct json *rec, struct cstore_container *c)
{
	const char *created = json_get_string(rec, "created");

	c->id = copy_member(rec, "id");
	c->image = copy_member(rec, "image");
	c->layer = copy_member(rec, "layer");
	c->metadata = copy_member(rec, "metadata");
	c->is_volatile = json_get_bool(json_get(rec, "flags"), "Volatile", false);
	if (copy_list(rec, "names", &c->names) ||
	    copy_list(rec, "big-data-names", &c->data_keys) || copy_maps(rec, c))
		return -ENOMEM;
	if (!created || time_parse(created, &c->created))
		c->created = 0;
	return c->id && c->image && c->layer && c->metadata ? 0 : -ENOMEM;
}

PUBLIC struct cstore_container_list *cstore_container_list_free(struct cstore_container_list *l)
{
	if (!l)
		return NULL;
	for (size_t i = 0; i < l->count; i++)
		container_done(&l->items[i]);
	free(l->items);
	free(l);
	return NULL;
}
CB_DEFINE_CLEANUP(struct cstore_container_list *, cstore_container_list_free)

PUBLIC int cstore_container_list(struct cstore *s, struct cstore_container_list **ret,
				 struct cstore_error *err)
{
	_cleanup_(cstore_container_list_freep) struct cstore_container_list *l =
		calloc(1, sizeof(*l));
	_cleanup_unlock_ struct records *held = NULL;
	struct record *all;
	size_t n;
	int r;

	if (!s || !ret)
		return err_sysr(err, -EINVAL, "list containers");
	if (!l)
		return err_oom(err);
	r = records_lock(&s->containers, LOCK_SHARED, err);
	if (r)
		return r;
	held = &s->containers;
	if (records_all(&s->containers, &all, &n))
		return err_oom(err);
	l->items = calloc(n + 1, sizeof(*l->items));
	if (!l->items)
		return err_oom(err);
	for (; l->count < n; l->count++) {
		if (copy_record(all[l->count].json, &l->items[l->count])) {
			l->count++;
			return err_oom(err);
		}
	}
	*ret = take(l);
	return 0;
}

PUBLIC size_t cstore_container_list_count(const struct cstore_container_list *l)
{
	return l ? l->count : 0;
}

PUBLIC const struct cstore_container *
cstore_container_list_get(const struct cstore_container_list *l, size_t i)
{
	return l && i < l->count ? &l->items[i] : NULL;
}

PUBLIC const char *cstore_container_id(const struct cstore_container *c)
{
	return c->id;
}
PUBLIC const char *cstore_container_image(const struct cstore_container *c)
{
	return c->image;
}
PUBLIC const char *cstore_container_layer(const struct cstore_container *c)
{
	return c->layer;
}
PUBLIC const char *cstore_container_metadata(const struct cstore_container *c)
{
	return c->metadata;
}
PUBLIC int64_t cstore_container_created(const struct cstore_container *c)
{
	return c->created;
}

PUBLIC const char *const *cstore_container_names(const struct cstore_container *c)
{
	return (const char *const *)c->names;
}

PUBLIC const char *const *cstore_container_data_keys(const struct cstore_container *c)
{
	return (const char *const *)c->data_keys;
}

PUBLIC int cstore_container_is_volatile(const struct cstore_container *c)
{
	return c->is_volatile;
}

PUBLIC size_t cstore_container_uid_map(const struct cstore_container *c,
				       const struct cstore_id_range **ret)
{
	*ret = c->uid_map;
	return c->uid_map_count;
}

PUBLIC size_t cstore_container_gid_map(const struct cstore_container *c,
				       const struct cstore_id_range **ret)
{
	*ret = c->gid_map;
	return c->gid_map_count;
}

/* ---- one of them ---- */

PUBLIC struct cstore_container *cstore_container_free(struct cstore_container *c)
{
	if (c)
		container_done(c);
	free(c);
	return NULL;
}

/* Exact id, name, unique beginning; before the last, the id of its layer. */
static int lookup(struct cstore *s, const char *key, struct record **ret, struct cstore_error *err)
{
	struct record *all;
	size_t n;

	if (records_all(&s->containers, &all, &n))
		return err_oom(err);
	for (size_t i = 0; i < n && id_valid(key); i++) {
		const char *layer = json_get_string(all[i].json, "layer");

		if (layer && streq(layer, key)) {
			*ret = &all[i];
			return 0;
		}
	}
	return records_lookup(&s->containers, "container", key, ret, err);
}

PUBLIC int cstore_container_lookup(struct cstore *s, const char *id_or_name,
				   struct cstore_container **ret, struct cstore_error *err)
{
	struct cstore_container *c = calloc(1, sizeof(*c));
	_cleanup_unlock_ struct records *held = NULL;
	struct record *rec;
	int r = -EINVAL;

	if (s && id_or_name && ret)
		r = c ? records_lock(&s->containers, LOCK_SHARED, err) : err_oom(err);
	else
		err_sysr(err, r, "look up container");
	if (!r) {
		held = &s->containers;
		r = lookup(s, id_or_name, &rec, err);
		if (!r && copy_record(rec->json, c))
			r = err_oom(err);
	}
	if (r)
		cstore_container_free(c);
	else
		*ret = c;
	return r;
}

PUBLIC int cstore_container_data(struct cstore *s, const char *id, const char *key, size_t limit,
				 char **ret, size_t *ret_len, struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	struct json *rec;
	int r;

	if (!s || !id_valid(id) || !key || !ret)
		return err_sysr(err, -EINVAL, "read container data");
	r = records_lock(&s->containers, LOCK_SHARED, err);
	if (r)
		return r;
	held = &s->containers;
	r = container_get(s, id, &rec, err);
	return r ? r : bigdata_get(s->containers_dir, id, key, limit, ret, ret_len, err);
}
