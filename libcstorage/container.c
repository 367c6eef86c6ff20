/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers: a record, a writable layer on the image's top layer, and two directories.
 *
 * Creating writes the container's record first, then the layer: whatever a crash leaves can be named,
 * and removed, by the container's id. Deleting goes the other way round and takes a missing layer as
 * done. A volatile container's records are not synced to disk: after a power loss its kind is removed
 * anyway.
 */
#include <string.h>
#include <sys/stat.h>
#include "container.h"
#include "layer.h"
#include "overlay.h"

#define METADATA_MAX (1u << 20)

struct cstore_container {
	char *id, *image, *layer, *metadata;
	char **names;
	int64_t created;
};

struct cstore_container_list {
	struct cstore_container *items;
	size_t count;
};

int container_get(struct cstore *s, const char *id, struct json **ret, struct cstore_error *err)
{
	struct record *rec = NULL;

	if (records_find(&s->containers, id, &rec))
		return err_oom(err);
	if (!rec)
		return err_set(err, CSTORE_E_NOT_FOUND, "container %s does not exist", id);
	*ret = rec->json;
	return 0;
}

static bool member_is(struct cstore *s, const char *member, const char *value)
{
	struct record *all;
	const char *v;
	size_t n;

	if (records_all(&s->containers, &all, &n))
		return true;
	for (size_t i = 0; i < n; i++) {
		v = json_get_string(all[i].json, member);
		if (v && streq(v, value))
			return true;
	}
	return false;
}

bool container_uses_image(struct cstore *s, const char *image)
{
	return member_is(s, "image", image);
}

bool container_uses_layer(struct cstore *s, const char *layer)
{
	return member_is(s, "layer", layer);
}

int container_layer(struct cstore *s, const char *id, char **ret, struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	struct json *rec;
	const char *layer;
	int r;

	r = records_lock(&s->containers, LOCK_SHARED, err);
	if (r)
		return r;
	held = &s->containers;
	r = container_get(s, id, &rec, err);
	if (r)
		return r;
	layer = json_get_string(rec, "layer");
	if (layer && *layer && !id_valid(layer))
		return err_set(err, CSTORE_E_DAMAGED, "container %s has no valid layer", id);
	*ret = strdup(layer ? layer : "");
	return *ret ? 0 : err_oom(err);
}

/* ---- creating ---- */

static bool name_valid(const char *name)
{
	size_t n = strlen(name);

	return n && n <= NAME_MAX_BYTES && utf8_valid(name, n);
}

static int check_spec(const struct cstore_container_spec *c, struct cstore_error *err)
{
	if (!c || c->size != sizeof(*c) || !id_valid(c->id) || !c->image ||
	    (*c->image && !id_valid(c->image)))
		return err_sysr(err, -EINVAL, "create container");
	for (size_t i = 0; c->names && c->names[i]; i++)
		if (!name_valid(c->names[i]))
			return err_set(err, CSTORE_E_INVALID, "container %s: invalid name", c->id);
	if (c->layer_name && !name_valid(c->layer_name))
		return err_set(err, CSTORE_E_INVALID, "container %s: invalid layer name", c->id);
	if (c->metadata && strlen(c->metadata) > METADATA_MAX)
		return err_set(err, CSTORE_E_LIMIT, "container %s: metadata of more than %u bytes",
			       c->id, METADATA_MAX);
	return 0;
}

static int check_free(struct cstore *s, const struct cstore_container_spec *c,
		      struct cstore_error *err)
{
	struct record *all;
	size_t n;

	if (records_all(&s->containers, &all, &n))
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		if (streq(all[i].id, c->id))
			return err_set(err, CSTORE_E_EXISTS, "container %s exists", c->id);
		for (size_t k = 0; c->names && c->names[k]; k++)
			if (record_has_name(all[i].json, c->names[k]))
				return err_set(err, CSTORE_E_EXISTS,
					       "container name %s is used by container %s",
					       c->names[k], all[i].id);
	}
	return 0;
}

static void add_record(struct cstore *s, const struct cstore_container_spec *c, const char *layer)
{
	int file = c->is_volatile ? RECORDS_VOLATILE : RECORDS_STABLE;
	struct json_doc *doc = records_doc(&s->containers, file);
	struct json *rec = json_new_object(doc), *names, *flags;
	char created[TIME_MAX_LEN];

	time_format(now_ns(), created);
	json_set_string(doc, rec, "id", c->id);
	if (c->names && c->names[0]) {
		names = json_set_array(doc, rec, "names");
		for (size_t i = 0; c->names[i]; i++)
			json_append_string(doc, names, c->names[i]);
	}
	json_set_string(doc, rec, "image", c->image);
	json_set_string(doc, rec, "layer", layer);
	if (c->metadata && *c->metadata)
		json_set_string(doc, rec, "metadata", c->metadata);
	json_set_string(doc, rec, "created", created);
	flags = json_set_object(doc, rec, "flags");
	json_set_string(doc, flags, "MountLabel", c->mount_label ? c->mount_label : "");
	json_set_string(doc, flags, "ProcessLabel", c->process_label ? c->process_label : "");
	if (c->is_volatile)
		json_set_bool(doc, flags, "Volatile", true);
	records_add(&s->containers, file, rec);
}

static int remove_record(struct cstore *s, const char *id, struct cstore_error *err)
{
	struct record *rec = NULL;

	if (records_find(&s->containers, id, &rec))
		return err_oom(err);
	if (!rec)
		return 0;
	records_remove(&s->containers, rec);
	return records_save(&s->containers, err);
}

static int create_locked(struct cstore *s, const struct cstore_container_spec *c, const char *top,
			 struct cstore_error *err)
{
	struct layer_spec layer = {
		.name = c->layer_name,
		.parent = top,
		.mount_label = c->mount_label,
		.is_volatile = c->is_volatile,
	};
	char layer_id[ID_LEN + 1];
	int r;

	r = check_free(s, c, err);
	if (r)
		return r;
	r = id_random(layer_id);
	if (r)
		return err_sysr(err, r, "get random bytes");
	layer.id = layer_id;
	add_record(s, c, layer_id);
	r = records_save(&s->containers, err);
	if (r)
		return r;
	r = layer_create(s, &layer, err);
	if (r)
		remove_record(s, c->id, NULL);
	return r;
}

/* The image's top layer; [owned], NULL for an image without layers. */
static int image_top(struct cstore *s, const char *image, char **ret, struct cstore_error *err)
{
	struct json *rec;
	const char *top;
	int r;

	if (!*image)
		return 0;
	r = image_get(s, image, &rec, err);
	if (r)
		return r;
	top = json_get_string(rec, "layer");
	if (!top || !*top)
		return 0;
	if (!id_valid(top))
		return err_set(err, CSTORE_E_DAMAGED, "image %s has no valid layer", image);
	*ret = strdup(top);
	return *ret ? 0 : err_oom(err);
}

PUBLIC int cstore_container_create(struct cstore *s, const struct cstore_container_spec *spec,
				   struct cstore_error *err)
{
	_cleanup_unlock_ struct records *layers = NULL, *images = NULL, *containers = NULL;
	_cleanup_free_ char *top = NULL;
	int r;

	if (!s)
		return err_sysr(err, -EINVAL, "create container");
	r = check_spec(spec, err);
	if (r)
		return r;
	r = layers_lock(s, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	layers = &s->layers;
	r = records_lock(&s->images, LOCK_SHARED, err);
	if (r)
		return r;
	images = &s->images;
	r = records_lock(&s->containers, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	containers = &s->containers;
	r = image_top(s, spec->image, &top, err);
	if (!r)
		r = create_locked(s, spec, top, err);
	return r ? err_ctx(err, r, "create container %s", spec->id) : 0;
}

/* ---- listing ---- */

static void container_done(struct cstore_container *c)
{
	free(c->id);
	free(c->image);
	free(c->layer);
	free(c->metadata);
	strv_free(c->names);
}

static char *copy_member(const struct json *rec, const char *key)
{
	const char *v = json_get_string(rec, key);

	return strdup(v ? v : "");
}

static int copy_record(const struct json *rec, struct cstore_container *c)
{
	const char *created = json_get_string(rec, "created");

	c->id = copy_member(rec, "id");
	c->image = copy_member(rec, "image");
	c->layer = copy_member(rec, "layer");
	c->metadata = copy_member(rec, "metadata");
	if (json_strv(json_get(rec, "names"), &c->names) ||
	    (!c->names && !(c->names = strv_copy(NULL))))
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

/* ---- directories ---- */

static int container_directory(struct cstore *s, const char *base, const char *id, char **ret,
			       struct cstore_error *err)
{
	_cleanup_free_ char *path = NULL, *layer = NULL;
	int r;

	if (!id_valid(id) || !ret)
		return err_sysr(err, -EINVAL, "directory of a container");
	r = container_layer(s, id, &layer, err); /* does it exist? */
	if (r)
		return r;
	path = strf("%s/%s/userdata", base, id);
	if (!path)
		return err_oom(err);
	r = mkdir_p(path, 0700);
	if (r)
		return err_sysr(err, r, "make directory %s", path);
	*ret = take(path);
	return 0;
}

PUBLIC int cstore_container_dir(struct cstore *s, const char *id, char **ret,
				struct cstore_error *err)
{
	return s ? container_directory(s, s->containers_dir, id, ret, err) : -EINVAL;
}

PUBLIC int cstore_container_run_dir(struct cstore *s, const char *id, char **ret,
				    struct cstore_error *err)
{
	return s ? container_directory(s, s->run_containers_dir, id, ret, err) : -EINVAL;
}

/* ---- deleting ---- */

/* The writable layer, unless somebody made it the base of something else. */
static int delete_layer(struct cstore *s, const char *container, const char *layer,
			struct trash *trash, struct cstore_error *err)
{
	char *ids[] = { (char *)(uintptr_t)layer, NULL };
	struct json *rec;
	int r;

	if (!*layer)
		return 0;
	r = layer_get(s, layer, &rec, NULL);
	if (r == CSTORE_E_NOT_FOUND)
		return layer_move_aside(s, layer, trash, err);
	if (r)
		return err_oom(err);
	if (layer_has_children(s, layer, NULL))
		return err_set(err, CSTORE_E_IN_USE, "layer %s of container %s has layers above it",
			       layer, container);
	r = mountpoint_forget(s, layer, err);
	return r ? r : layers_remove(s, ids, trash, err);
}

static int delete_locked(struct cstore *s, const char *id, struct trash *trash,
			 struct cstore_error *err)
{
	_cleanup_free_ char *layer = NULL;
	struct json *rec;
	const char *v;
	int r;

	r = container_get(s, id, &rec, err);
	if (r)
		return r;
	v = json_get_string(rec, "layer");
	layer = strdup(id_valid(v) ? v : "");
	if (!layer)
		return err_oom(err);
	r = delete_layer(s, id, layer, trash, err);
	return r ? r : remove_record(s, id, err);
}

static int remove_dir(const char *base, const char *id, struct cstore_error *err)
{
	_cleanup_free_ char *path = strf("%s/%s", base, id);
	int r = path ? rm_rf_at(-100, path) : -ENOMEM;

	return r ? err_sysr(err, r, "remove %s/%s", base, id) : 0;
}

static int delete_record_and_layer(struct cstore *s, const char *id, struct cstore_error *err)
{
	_cleanup_trash_ struct trash trash = { .records = NULL }; /* emptied after the locks are released */
	_cleanup_unlock_ struct records *layers = NULL, *containers = NULL;
	int r;

	r = layers_lock(s, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	layers = &s->layers;
	r = records_lock(&s->containers, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	containers = &s->containers;
	return delete_locked(s, id, &trash, err);
}

PUBLIC int cstore_container_delete(struct cstore *s, const char *id, struct cstore_error *err)
{
	int r;

	if (!s || !id_valid(id))
		return err_sysr(err, -EINVAL, "delete container");
	r = delete_record_and_layer(s, id, err);
	if (!r)
		r = remove_dir(s->containers_dir, id, err);
	if (!r)
		r = remove_dir(s->run_containers_dir, id, err);
	return r ? err_ctx(err, r, "delete container %s", id) : 0;
}
