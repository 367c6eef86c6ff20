/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images, read side: records are copied out, so that a caller's image never changes under it and no
 * lock outlives a call. Manifests, configuration and signatures are "big data": files named after
 * their key in a directory of the image.
 */
#include <string.h>
#include "bigdata.h"
#include "image.h"
#include "layer.h"

struct cstore_image {
	char *id, *digest, *top_layer, *metadata;
	char **names, **digests, **data_keys, **history;
	int64_t created;
	bool read_only;
};

struct cstore_image_list {
	struct cstore_image **items;
	size_t count;
};

int image_find(struct cstore *s, const char *id, struct record **ret, struct cstore_error *err)
{
	struct record *rec = NULL;

	if (records_find(&s->images, id, &rec))
		return err_oom(err);
	if (!rec)
		return err_set(err, CSTORE_E_NOT_FOUND, "image %s does not exist", id);
	*ret = rec;
	return 0;
}

int image_get(struct cstore *s, const char *id, struct json **ret, struct cstore_error *err)
{
	struct record *rec = NULL;
	int r = image_find(s, id, &rec, err);

	if (!r)
		*ret = rec->json;
	return r;
}

bool image_uses_layer(struct cstore *s, const char *layer, const char *except)
{
	struct record *all;
	const char *top;
	size_t n;

	if (records_all(&s->images, &all, &n))
		return true;
	for (size_t i = 0; i < n; i++) {
		if (except && streq(all[i].id, except))
			continue;
		top = json_get_string(all[i].json, "layer");
		if (top && streq(top, layer))
			return true;
		json_foreach(mapped, json_get(all[i].json, "mapped-layers"))
			if (json_string(mapped) && streq(json_string(mapped), layer))
				return true;
	}
	return false;
}

int image_data_name(const char *key, char **ret, struct cstore_error *err)
{
	_cleanup_str_ struct str name = STR_INIT;

	if (!*key || strlen(key) > NAME_MAX_BYTES)
		return err_set(err, CSTORE_E_INVALID, "invalid key of image data");
	if (strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789.") == strlen(key)) {
		str_append(&name, key);
	} else {
		str_append_char(&name, '=');
		str_append_base64(&name, key, strlen(key));
	}
	if (str_failed(&name))
		return err_oom(err);
	/* standard base64 has a slash in its alphabet: the format cannot name a file for such a key */
	if (strchr(name.data, '/') || streq(name.data, ".") || streq(name.data, "..") ||
	    name.len > 255)
		return err_set(err, CSTORE_E_INVALID,
			       "image data cannot be stored under the key %s", key);
	*ret = str_take(&name, NULL);
	return *ret ? 0 : err_oom(err);
}

/* ---- copies of records ---- */

PUBLIC struct cstore_image *cstore_image_free(struct cstore_image *i)
{
	if (!i)
		return NULL;
	free(i->id);
	free(i->digest);
	free(i->top_layer);
	free(i->metadata);
	strv_free(i->names);
	strv_free(i->digests);
	strv_free(i->data_keys);
	strv_free(i->history);
	free(i);
	return NULL;
}
CB_DEFINE_CLEANUP(struct cstore_image *, cstore_image_free)

static int copy_string(const struct json *rec, const char *key, char **ret)
{
	const char *v = json_get_string(rec, key);

	*ret = strdup(v ? v : "");
	return *ret ? 0 : -ENOMEM;
}

static int copy_strv(const struct json *rec, const char *key, char ***ret)
{
	if (json_strv(json_get(rec, key), ret))
		return -ENOMEM;
	if (!*ret)
		*ret = strv_copy(NULL);
	return *ret ? 0 : -ENOMEM;
}

static int add_digest(char ***digests, const char *digest)
{
	if (!digest || !*digest || strv_has(*digests, digest))
		return 0;
	return strv_push(digests, digest);
}

/* That of the record, and those of all data that are manifests. */
static int copy_digests(const struct json *rec, struct cstore_image *i)
{
	const struct json *of_data = json_get(rec, "big-data-digests");

	i->digests = strv_copy(NULL);
	if (!i->digests || add_digest(&i->digests, i->digest))
		return -ENOMEM;
	for (size_t k = 0; i->data_keys[k]; k++)
		if (str_starts(i->data_keys[k], "manifest") &&
		    add_digest(&i->digests, json_get_string(of_data, i->data_keys[k])))
			return -ENOMEM;
	if (*i->digest || !i->digests[0])
		return 0;
	free(i->digest);
	i->digest = strdup(i->digests[0]);
	return i->digest ? 0 : -ENOMEM;
}

static struct cstore_image *copy_image(const struct json *rec, bool read_only)
{
	_cleanup_(cstore_image_freep) struct cstore_image *i = calloc(1, sizeof(*i));
	const char *created = json_get_string(rec, "created");

	if (!i || copy_string(rec, "id", &i->id) || copy_string(rec, "digest", &i->digest) ||
	    copy_string(rec, "layer", &i->top_layer) ||
	    copy_string(rec, "metadata", &i->metadata) || copy_strv(rec, "names", &i->names) ||
	    copy_strv(rec, "big-data-names", &i->data_keys) ||
	    copy_strv(rec, "names-history", &i->history) || copy_digests(rec, i))
		return NULL;
	i->read_only = read_only;
	if (!created || time_parse(created, &i->created))
		i->created = 0;
	return take(i);
}

PUBLIC struct cstore_image_list *cstore_image_list_free(struct cstore_image_list *l)
{
	if (!l)
		return NULL;
	for (size_t i = 0; i < l->count; i++)
		cstore_image_free(l->items[i]);
	free(l->items);
	free(l);
	return NULL;
}
CB_DEFINE_CLEANUP(struct cstore_image_list *, cstore_image_list_free)

PUBLIC int cstore_image_list(struct cstore *s, struct cstore_image_list **ret,
			     struct cstore_error *err)
{
	_cleanup_(cstore_image_list_freep) struct cstore_image_list *l = calloc(1, sizeof(*l));
	_cleanup_unlock_ struct records *held = NULL;
	struct record *all;
	size_t n;
	int r;

	if (!s || !ret)
		return err_sysr(err, -EINVAL, "list images");
	if (!l)
		return err_oom(err);
	r = records_lock(&s->images, LOCK_SHARED, err);
	if (r)
		return r;
	held = &s->images;
	if (records_all(&s->images, &all, &n))
		return err_oom(err);
	l->items = calloc(n + 1, sizeof(struct cstore_image *));
	if (!l->items)
		return err_oom(err);
	for (; l->count < n; l->count++) {
		l->items[l->count] = copy_image(
			all[l->count].json, record_read_only(&s->images, &all[l->count]));
		if (!l->items[l->count])
			return err_oom(err);
	}
	*ret = take(l);
	return 0;
}

PUBLIC size_t cstore_image_list_count(const struct cstore_image_list *l)
{
	return l ? l->count : 0;
}

PUBLIC const struct cstore_image *cstore_image_list_get(const struct cstore_image_list *l, size_t i)
{
	return l && i < l->count ? l->items[i] : NULL;
}

PUBLIC const char *cstore_image_id(const struct cstore_image *i)
{
	return i->id;
}
PUBLIC const char *cstore_image_digest(const struct cstore_image *i)
{
	return i->digest;
}
PUBLIC const char *cstore_image_top_layer(const struct cstore_image *i)
{
	return i->top_layer;
}
PUBLIC const char *cstore_image_metadata(const struct cstore_image *i)
{
	return i->metadata;
}
PUBLIC int64_t cstore_image_created(const struct cstore_image *i)
{
	return i->created;
}

PUBLIC const char *const *cstore_image_names(const struct cstore_image *i)
{
	return (const char *const *)i->names;
}

PUBLIC const char *const *cstore_image_digests(const struct cstore_image *i)
{
	return (const char *const *)i->digests;
}

PUBLIC const char *const *cstore_image_names_history(const struct cstore_image *i)
{
	return (const char *const *)i->history;
}

PUBLIC int cstore_image_read_only(const struct cstore_image *i)
{
	return i->read_only;
}

PUBLIC const char *const *cstore_image_data_keys(const struct cstore_image *i)
{
	return (const char *const *)i->data_keys;
}

/* ---- looking up ---- */

PUBLIC int cstore_image_lookup(struct cstore *s, const char *id_or_name, struct cstore_image **ret,
			       struct cstore_error *err)
{
	struct cstore_image *found = NULL;
	struct record *rec = NULL;
	int r;

	if (!s || !id_or_name || !ret)
		return err_sysr(err, -EINVAL, "look up image");
	r = records_lock(&s->images, LOCK_SHARED, err);
	if (r)
		return r;
	r = records_lookup(&s->images, "image", id_or_name, &rec, err);
	if (!r) {
		found = copy_image(rec->json, record_read_only(&s->images, rec));
		r = found ? 0 : err_oom(err);
	}
	records_unlock(&s->images);
	if (!r)
		*ret = found;
	return r;
}

PUBLIC int cstore_image_data(struct cstore *s, const char *id, const char *key, size_t limit,
			     char **ret, size_t *ret_len, struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	struct record *rec;
	int r;

	if (!s || !id_valid(id) || !key || !ret)
		return err_sysr(err, -EINVAL, "read image data");
	r = records_lock(&s->images, LOCK_SHARED, err);
	if (r)
		return r;
	held = &s->images;
	r = image_find(s, id, &rec, err);
	if (r)
		return r;
	return bigdata_get(s->places[record_place(&s->images, rec)].images_dir, id, key, limit, ret,
			   ret_len, err);
}

/* ---- sizes ---- */

static int data_size(const struct json *image, uint64_t *total)
{
	int64_t n;

	json_foreach(item, json_get(image, "big-data-sizes"))
		if (!json_int(item, &n) && n > 0 &&
		    __builtin_add_overflow(*total, (uint64_t)n, total))
			return -EOVERFLOW;
	return 0;
}

static int size_locked(struct cstore *s, const char *id, uint64_t *ret, struct cstore_error *err)
{
	struct json *image, *layer;
	const char *at;
	uint64_t n, total = 0;
	int r;

	r = image_get(s, id, &image, err);
	if (r)
		return r;
	if (data_size(image, &total))
		return err_set(err, CSTORE_E_DAMAGED, "image %s has impossible data sizes", id);
	at = json_get_string(image, "layer");
	for (int depth = 0; at && *at; depth++) {
		r = layer_get(s, at, &layer, err);
		if (r)
			return r == CSTORE_E_NOT_FOUND
				       ? err_set(err, CSTORE_E_DAMAGED,
						 "layer %s of image %s does not exist", at, id)
				       : r;
		r = layer_size(s, layer, &n, err);
		if (r)
			return r;
		if (depth > LOWERS_MAX || __builtin_add_overflow(total, n, &total))
			return err_set(err, CSTORE_E_DAMAGED, "image %s has impossible layers", id);
		at = json_get_string(layer, "parent");
	}
	*ret = total;
	return 0;
}

PUBLIC int cstore_image_size(struct cstore *s, const char *id, uint64_t *ret,
			     struct cstore_error *err)
{
	int r;

	if (!s || !id_valid(id) || !ret)
		return err_sysr(err, -EINVAL, "size of an image");
	r = layers_lock(s, LOCK_SHARED, err);
	if (r)
		return r;
	r = records_lock(&s->images, LOCK_SHARED, err);
	if (!r) {
		r = size_locked(s, id, ret, err);
		records_unlock(&s->images);
	}
	records_unlock(&s->layers);
	return r;
}
