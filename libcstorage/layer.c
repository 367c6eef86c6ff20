/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers. A record in layers.json (images) or volatile-layers.json (containers of CRI-O's kind) makes
 * a directory of the overlay home a layer; see overlay.c for the order of the two.
 * Those of additional stores are only read.
 */
#include <string.h>
#include "layer.h"

/* clang-format off */
const char *const layer_fields[] = {
	"id", "names", "parent", "metadata", "mountlabel", "created", "compressed-diff-digest",
	"compressed-size", "diff-digest", "toc-digest", "diff-size", "compression", "uidset", "gidset",
	"flags", "uidmap", "gidmap", "big-data-names", NULL
};
/* clang-format on */

int layer_get(struct cstore *s, const char *id, struct json **ret, struct cstore_error *err)
{
	struct record *rec = NULL;

	if (records_find(&s->layers, id, &rec))
		return err_oom(err);
	if (!rec)
		return err_set(err, CSTORE_E_NOT_FOUND, "layer %s does not exist", id);
	*ret = rec->json;
	return 0;
}

static bool incomplete(const struct json *layer)
{
	return json_get_bool(json_get(layer, "flags"), "incomplete", false);
}

/* The ids of layers that a dead program had not finished, or was removing. */
static int find_incomplete(struct cstore *s, char ***ret)
{
	struct record *all;
	size_t n;

	if (records_all(&s->layers, &all, &n))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (incomplete(all[i].json) && !record_read_only(&s->layers, &all[i]) &&
		    strv_push(ret, all[i].id))
			return -ENOMEM;
	return 0;
}

/*
 * An image on top of such a layer was being deleted: layers_begin_removal() had been called, and its
 * record not yet removed. Its data have no record then, which makes them garbage.
 */
static int finish_deletions(struct cstore *s, char *const *ids, struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	struct record *all;
	bool again = true;
	const char *top;
	size_t n;
	int r;

	r = records_lock(&s->images, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	held = &s->images;
	while (again) { /* removing one makes the array a new one */
		again = false;
		if (records_all(&s->images, &all, &n))
			return err_oom(err);
		for (size_t i = 0; i < n && !again; i++) {
			top = json_get_string(all[i].json, "layer");
			again = top && strv_has(ids, top) && !record_read_only(&s->images, &all[i]);
			if (again)
				records_remove(&s->images, &all[i]);
		}
	}
	return records_save(&s->images, err);
}

/*
 * Writers of the format hold the lock until a layer is complete, so under the lock "incomplete" means
 * abandoned. A reader that finds such a layer continues with the lock held for writing.
 */
int layers_lock(struct cstore *s, enum lock_mode mode, struct cstore_error *err)
{
	_cleanup_trash_ struct trash trash = { .records = NULL };
	_cleanup_strv_ char **ids = NULL;
	int r;

	r = records_lock(&s->layers, mode, err);
	if (r)
		return r;
	if (s->layers.clean)
		return 0;
	r = find_incomplete(s, &ids);
	if (!r && !ids) {
		s->layers.clean = true;
		return 0;
	}
	if (!r && mode == LOCK_SHARED) {
		records_unlock(&s->layers);
		r = records_lock(&s->layers, LOCK_EXCLUSIVE, err);
		if (r)
			return r;
		ids = strv_free(ids);
		r = find_incomplete(s, &ids);
	}
	r = r ? err_oom(err) : finish_deletions(s, ids, err);
	if (!r)
		r = layers_remove(s, ids, &trash, err);
	if (r)
		records_unlock(&s->layers);
	return r ? err_ctx(err, r, "remove incomplete layers") : 0;
}

void three_unlock(struct three_locks *l)
{
	records_unlockp(&l->containers);
	records_unlockp(&l->images);
	records_unlockp(&l->layers);
}

int three_lock(struct cstore *s, enum lock_mode images, enum lock_mode containers,
	       struct three_locks *ret, struct cstore_error *err)
{
	_cleanup_three_ struct three_locks l = { NULL };
	int r = layers_lock(s, LOCK_EXCLUSIVE, err);

	if (r)
		return r;
	l.layers = &s->layers;
	r = records_lock(&s->images, images, err);
	if (r)
		return r;
	l.images = &s->images;
	r = records_lock(&s->containers, containers, err);
	if (r)
		return r;
	l.containers = &s->containers;
	*ret = l;
	l = (struct three_locks){ NULL };
	return 0;
}

bool layer_has_children(struct cstore *s, const char *id, char *const *except)
{
	struct record *all;
	const char *parent;
	size_t n;

	if (records_all(&s->layers, &all, &n))
		return true;
	for (size_t i = 0; i < n; i++) {
		parent = json_get_string(all[i].json, "parent");
		if (parent && streq(parent, id) && !strv_has(except, all[i].id))
			return true;
	}
	return false;
}

int layers_begin_removal(struct cstore *s, char *const *ids, struct cstore_error *err)
{
	struct record *rec = NULL;

	for (size_t i = 0; i < strv_len(ids); i++) {
		struct json_doc *doc;
		struct json *flags;

		if (records_find(&s->layers, ids[i], &rec))
			return err_oom(err);
		if (!rec)
			continue;
		doc = records_doc(&s->layers, rec->file);
		flags = json_get(rec->json, "flags");
		if (!flags || flags->type != JSON_OBJECT) {
			flags = json_new_object(doc);
			record_set(doc, rec->json, layer_fields, "flags", flags);
		}
		json_set_bool(doc, flags, "incomplete", true);
		records_changed(&s->layers, rec->file);
	}
	return records_save(&s->layers, err);
}

int layers_remove(struct cstore *s, char *const *ids, struct trash *t, struct cstore_error *err)
{
	struct record *rec = NULL;
	bool changed = false;
	int r;

	for (size_t i = 0; i < strv_len(ids); i++) {
		if (records_find(&s->layers, ids[i], &rec))
			return err_oom(err);
		if (rec)
			records_remove(&s->layers, rec);
		changed |= rec != NULL;
	}
	r = changed ? records_save(&s->layers, err) : 0;
	for (size_t i = 0; i < strv_len(ids) && !r; i++)
		r = layer_move_aside(s, ids[i], t, err);
	return r;
}

static int name_free(struct cstore *s, const char *name, struct cstore_error *err)
{
	struct record *all;
	size_t n;

	if (records_all(&s->layers, &all, &n))
		return err_oom(err);
	for (size_t i = 0; name && i < n; i++)
		if (record_has_name(all[i].json, name))
			return err_set(err, CSTORE_E_EXISTS, "layer name %s is used by layer %s",
				       name, all[i].id);
	return 0;
}

static void add_record(struct cstore *s, const struct layer_spec *spec)
{
	int file = spec->is_volatile ? RECORDS_VOLATILE : RECORDS_STABLE;
	struct json_doc *doc = records_doc(&s->layers, file);
	struct json *rec = json_new_object(doc);
	char created[TIME_MAX_LEN];

	time_format(now_ns(), created);
	json_set_string(doc, rec, "id", spec->id);
	if (spec->name)
		json_append_string(doc, json_set_array(doc, rec, "names"), spec->name);
	if (spec->parent)
		json_set_string(doc, rec, "parent", spec->parent);
	if (spec->mount_label && *spec->mount_label)
		json_set_string(doc, rec, "mountlabel", spec->mount_label);
	json_set_string(doc, rec, "created", created);
	records_add(&s->layers, file, rec);
}

void layer_undo(struct cstore *s, const char *id, struct trash *trash)
{
	struct record *rec = NULL;

	if (records_find(&s->layers, id, &rec) == 0 && !rec)
		layer_move_aside(s, id, trash, NULL);
}

int layer_create(struct cstore *s, const struct layer_spec *spec, struct cstore_error *err)
{
	const struct new_layer new = {
		.id = spec->id,
		.parent = spec->parent,
		.maps = spec->maps,
		.size = spec->quota ? spec->quota : s->size,
		.inodes = s->inodes,
	};
	struct json *parent = NULL;
	int r;

	if (s->force_mask)
		return err_sysr(err, -EOPNOTSUPP, "write to a store with force_mask");
	if (spec->parent) {
		r = layer_get(s, spec->parent, &parent, err);
		if (r)
			return r;
	}
	r = name_free(s, spec->name, err);
	if (!r)
		r = s->driver->create(s, &new, err);
	if (r)
		return r;
	add_record(s, spec);
	r = records_save(&s->layers, err);
	if (r) {
		_cleanup_trash_ struct trash trash = { .records = NULL };

		layer_undo(s, spec->id, &trash);
	}
	return r;
}

PUBLIC int cstore_layer_exists(struct cstore *s, const char *id, int *ret_exists,
			       struct cstore_error *err)
{
	struct json *layer;
	int r;

	if (!s || !id_valid(id) || !ret_exists)
		return err_sysr(err, -EINVAL, "look up layer");
	r = layers_lock(s, LOCK_SHARED, err);
	if (r)
		return r;
	r = layer_get(s, id, &layer, err);
	records_unlock(&s->layers);
	if (r && r != CSTORE_E_NOT_FOUND)
		return r;
	*ret_exists = r == 0;
	return 0;
}
