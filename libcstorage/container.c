/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers: a record, a writable layer on the image's top layer, and two directories.
 *
 * Creating writes the container's record first, then the layer: whatever a crash leaves can be named,
 * and removed, by the container's id. Deleting goes the other way round and takes a missing layer as
 * done. A volatile container's records are not synced to disk: after a power loss its kind is removed
 * anyway.
 */
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include "container.h"
#include "id_maps.h"
#include "layer.h"
#include "overlay.h"

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

/* Members behind is_volatile came later: a caller that does not know them has a smaller struct. */
static int take_spec(const struct cstore_container_spec *from, struct cstore_container_spec *c,
		     struct cstore_error *err)
{
	if (!from || from->size < offsetof(struct cstore_container_spec, uid_map) ||
	    from->size > sizeof(*c))
		return err_sysr(err, -EINVAL, "create container");
	memset(c, 0, sizeof(*c));
	memcpy(c, from, from->size);
	return 0;
}

static int check_spec(const struct cstore_container_spec *c, struct cstore_error *err)
{
	if (!id_valid(c->id) || !c->image ||
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

static void add_record(struct cstore *s, const struct cstore_container_spec *c,
		       const struct id_maps *maps, const char *layer)
{
	int file = c->is_volatile ? RECORDS_VOLATILE : RECORDS_STABLE;
	struct json_doc *doc = records_doc(&s->containers, file);
	struct json *rec = json_new_object(doc), *names, *flags, *options;
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
	if (maps)
		id_maps_save(maps, doc, rec);
	flags = json_set_object(doc, rec, "flags");
	json_set_string(doc, flags, "MountLabel", c->mount_label ? c->mount_label : "");
	if (c->mount_options && c->mount_options[0]) {
		options = json_set_array(doc, flags, "MountOpts");
		for (size_t i = 0; c->mount_options[i]; i++)
			json_append_string(doc, options, c->mount_options[i]);
	}
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

static int create_locked(struct cstore *s, const struct cstore_container_spec *c,
			 const struct id_maps *maps, const char *top, struct cstore_error *err)
{
	struct layer_spec layer = {
		.name = c->layer_name,
		.parent = top,
		.mount_label = c->mount_label,
		.maps = maps,
		.quota = c->quota,
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
	add_record(s, c, maps, layer_id);
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

static int create_with_locks(struct cstore *s, const struct cstore_container_spec *c,
			     const struct id_maps *maps, struct cstore_error *err)
{
	_cleanup_three_ struct three_locks held = { NULL };
	_cleanup_free_ char *top = NULL;
	int r;

	r = three_lock(s, LOCK_SHARED, LOCK_EXCLUSIVE, &held, err);
	if (r)
		return r;
	r = image_top(s, c->image, &top, err);
	return r ? r : create_locked(s, c, maps, top, err);
}

PUBLIC int cstore_container_create(struct cstore *s, const struct cstore_container_spec *spec,
				   struct cstore_error *err)
{
	struct cstore_container_spec c;
	struct id_maps *maps = NULL;
	int r;

	if (!s)
		return err_sysr(err, -EINVAL, "create container");
	r = take_spec(spec, &c, err);
	if (!r)
		r = check_spec(&c, err);
	if (!r)
		r = id_maps_new(c.uid_map, c.uid_map_count, c.gid_map, c.gid_map_count, &maps, err);
	if (r)
		return r;
	c.is_volatile |= s->transient;
	r = create_with_locks(s, &c, maps, err);
	id_maps_free(maps);
	return r ? err_ctx(err, r, "create container %s", c.id) : 0;
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
