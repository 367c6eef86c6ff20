/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers for those who look at them: copies of records, with the number of users of their mounts; and
 * layers made and removed on their own, without an image or container.
 */
#include <string.h>
#include "container.h"
#include "image.h"
#include "layer.h"
#include "overlay.h"

struct cstore_layer {
	char *id, *parent, *metadata, *diff_digest, *blob_digest;
	char **names;
	int64_t diff_size, blob_size, created, mounts;
	const char *compression;
	bool read_only, is_volatile;
};

struct cstore_layer_list {
	struct cstore_layer **items;
	size_t count;
};

PUBLIC struct cstore_layer *cstore_layer_free(struct cstore_layer *l)
{
	if (!l)
		return NULL;
	free(l->id);
	free(l->parent);
	free(l->metadata);
	free(l->diff_digest);
	free(l->blob_digest);
	strv_free(l->names);
	free(l);
	return NULL;
}
CB_DEFINE_CLEANUP(struct cstore_layer *, cstore_layer_free)

static char *copy_member(const struct json *rec, const char *key)
{
	const char *v = json_get_string(rec, key);

	return strdup(v ? v : "");
}

static const char *compression_name(int64_t number)
{
	static const char *const names[] = { "none", "bzip2", "gzip", "xz", "zstd" };

	return number >= 0 && (size_t)number < ARRAY_SIZE(names) ? names[number] : "unknown";
}

/* What Go leaves out when it is zero is only known to be zero when its digest is there. */
static int64_t size_of(const struct json *rec, const char *key, const char *digest)
{
	return json_get_int(rec, key, *digest ? 0 : -1);
}

static struct cstore_layer *copy_layer(struct cstore *s, const struct record *r)
{
	_cleanup_(cstore_layer_freep) struct cstore_layer *l = calloc(1, sizeof(*l));
	const char *created = json_get_string(r->json, "created");

	if (!l)
		return NULL;
	l->id = copy_member(r->json, "id");
	l->parent = copy_member(r->json, "parent");
	l->metadata = copy_member(r->json, "metadata");
	l->diff_digest = copy_member(r->json, "diff-digest");
	l->blob_digest = copy_member(r->json, "compressed-diff-digest");
	if (!l->id || !l->parent || !l->metadata || !l->diff_digest || !l->blob_digest ||
	    json_strv(json_get(r->json, "names"), &l->names) ||
	    (!l->names && !(l->names = strv_copy(NULL))))
		return NULL;
	l->diff_size = size_of(r->json, "diff-size", l->diff_digest);
	l->blob_size = size_of(r->json, "compressed-size", l->blob_digest);
	l->compression = compression_name(json_get_int(r->json, "compression", 0));
	if (!created || time_parse(created, &l->created))
		l->created = 0;
	l->read_only = record_read_only(&s->layers, r);
	l->is_volatile = r->file == RECORDS_VOLATILE;
	l->mounts = s->no_mounts ? 0 : mountpoint_count(s, l->id);
	return take(l);
}

PUBLIC struct cstore_layer_list *cstore_layer_list_free(struct cstore_layer_list *l)
{
	if (!l)
		return NULL;
	for (size_t i = 0; i < l->count; i++)
		cstore_layer_free(l->items[i]);
	free(l->items);
	free(l);
	return NULL;
}
CB_DEFINE_CLEANUP(struct cstore_layer_list *, cstore_layer_list_free)

static int copy_all(struct cstore *s, struct cstore_layer_list *l, struct cstore_error *err)
{
	struct record *all;
	size_t n;

	if (records_all(&s->layers, &all, &n))
		return err_oom(err);
	l->items = calloc(n + 1, sizeof(struct cstore_layer *));
	if (!l->items)
		return err_oom(err);
	for (; l->count < n; l->count++) {
		l->items[l->count] = copy_layer(s, &all[l->count]);
		if (!l->items[l->count])
			return err_oom(err);
	}
	return 0;
}

/* Takes both locks that a layer's copy needs; the sandbox without mounts may not have the run root. */
static int lock_for_reading(struct cstore *s, struct cstore_error *err)
{
	int r = layers_lock(s, LOCK_SHARED, err);

	if (r || s->no_mounts)
		return r;
	r = records_lock(&s->mountpoints, LOCK_SHARED, err);
	if (r)
		records_unlock(&s->layers);
	return r;
}

static void unlock(struct cstore *s)
{
	if (!s->no_mounts)
		records_unlock(&s->mountpoints);
	records_unlock(&s->layers);
}

PUBLIC int cstore_layer_list(struct cstore *s, struct cstore_layer_list **ret,
			     struct cstore_error *err)
{
	_cleanup_(cstore_layer_list_freep) struct cstore_layer_list *l = calloc(1, sizeof(*l));
	int r;

	if (!s || !ret)
		return err_sysr(err, -EINVAL, "list layers");
	r = l ? lock_for_reading(s, err) : err_oom(err);
	if (r)
		return r;
	r = copy_all(s, l, err);
	unlock(s);
	if (!r)
		*ret = take(l);
	return r;
}

PUBLIC size_t cstore_layer_list_count(const struct cstore_layer_list *l)
{
	return l ? l->count : 0;
}

PUBLIC const struct cstore_layer *cstore_layer_list_get(const struct cstore_layer_list *l, size_t i)
{
	return l && i < l->count ? l->items[i] : NULL;
}

PUBLIC int cstore_layer_lookup(struct cstore *s, const char *id_or_name, struct cstore_layer **ret,
			       struct cstore_error *err)
{
	struct cstore_layer *found = NULL;
	struct record *rec;
	int r;

	if (!s || !id_or_name || !ret)
		return err_sysr(err, -EINVAL, "look up layer");
	r = lock_for_reading(s, err);
	if (r)
		return r;
	r = records_lookup(&s->layers, "layer", id_or_name, &rec, err);
	if (!r) {
		found = copy_layer(s, rec);
		r = found ? 0 : err_oom(err);
	}
	unlock(s);
	if (!r)
		*ret = found;
	return r;
}

PUBLIC const char *cstore_layer_id(const struct cstore_layer *l)
{
	return l->id;
}
PUBLIC const char *const *cstore_layer_names(const struct cstore_layer *l)
{
	return (const char *const *)l->names;
}
PUBLIC const char *cstore_layer_parent(const struct cstore_layer *l)
{
	return l->parent;
}
PUBLIC const char *cstore_layer_metadata(const struct cstore_layer *l)
{
	return l->metadata;
}
PUBLIC const char *cstore_layer_diff_digest(const struct cstore_layer *l)
{
	return l->diff_digest;
}
PUBLIC const char *cstore_layer_blob_digest(const struct cstore_layer *l)
{
	return l->blob_digest;
}
PUBLIC int64_t cstore_layer_diff_size(const struct cstore_layer *l)
{
	return l->diff_size;
}
PUBLIC int64_t cstore_layer_blob_size(const struct cstore_layer *l)
{
	return l->blob_size;
}
PUBLIC const char *cstore_layer_compression(const struct cstore_layer *l)
{
	return l->compression;
}
PUBLIC int64_t cstore_layer_created(const struct cstore_layer *l)
{
	return l->created;
}
PUBLIC int64_t cstore_layer_mount_count(const struct cstore_layer *l)
{
	return l->mounts;
}
PUBLIC int cstore_layer_read_only(const struct cstore_layer *l)
{
	return l->read_only;
}
PUBLIC int cstore_layer_is_volatile(const struct cstore_layer *l)
{
	return l->is_volatile;
}

/* ---- on their own ---- */

static int create(struct cstore *s, const struct cstore_layer_spec *c, struct cstore_error *err)
{
	const struct layer_spec spec = { .id = c->id, .name = c->name, .parent = c->parent };
	_cleanup_unlock_ struct records *held = NULL;
	struct record *known;
	int r = layers_lock(s, LOCK_EXCLUSIVE, err);

	if (r)
		return r;
	held = &s->layers;
	if (records_find(&s->layers, c->id, &known))
		return err_oom(err);
	if (known)
		return err_set(err, CSTORE_E_EXISTS, "layer %s exists", c->id);
	return layer_create(s, &spec, err);
}

PUBLIC int cstore_layer_create(struct cstore *s, const struct cstore_layer_spec *spec,
			       struct cstore_error *err)
{
	int r;

	if (!s || !spec || spec->size != sizeof(*spec) || !id_valid(spec->id) ||
	    (spec->parent && !id_valid(spec->parent)))
		return err_sysr(err, -EINVAL, "create layer");
	if (spec->name && !name_valid(spec->name))
		return err_set(err, CSTORE_E_INVALID, "create layer %s: invalid name", spec->id);
	r = create(s, spec, err);
	return r ? err_ctx(err, r, "create layer %s", spec->id) : 0;
}

static int delete_locked(struct cstore *s, const char *id, struct trash *trash,
			 struct cstore_error *err)
{
	char *ids[] = { (char *)(uintptr_t)id, NULL };
	struct record *rec;
	int r;

	if (records_find(&s->layers, id, &rec))
		return err_oom(err);
	if (!rec)
		return err_set(err, CSTORE_E_NOT_FOUND, "layer %s does not exist", id);
	if (record_read_only(&s->layers, rec))
		return err_set(err, CSTORE_E_READ_ONLY, "layer %s is in an additional store", id);
	if (layer_has_children(s, id, NULL))
		return err_set(err, CSTORE_E_IN_USE, "layer %s has layers above it", id);
	if (image_uses_layer(s, id, NULL))
		return err_set(err, CSTORE_E_IN_USE, "layer %s is an image's", id);
	if (container_uses_layer(s, id))
		return err_set(err, CSTORE_E_IN_USE, "layer %s is a container's", id);
	r = mountpoint_forget(s, id, err);
	return r ? r : layers_remove(s, ids, trash, err);
}

static int delete_with_locks(struct cstore *s, const char *id, struct cstore_error *err)
{
	_cleanup_trash_ struct trash trash = { .records = NULL }; /* emptied after the locks are released */
	_cleanup_three_ struct three_locks held = { NULL };
	int r;

	r = three_lock(s, LOCK_SHARED, LOCK_SHARED, &held, err);
	if (r)
		return r;
	return delete_locked(s, id, &trash, err);
}

PUBLIC int cstore_layer_delete(struct cstore *s, const char *id, struct cstore_error *err)
{
	int r;

	if (!s || !id_valid(id))
		return err_sysr(err, -EINVAL, "delete layer");
	r = delete_with_locks(s, id, err);
	return r ? err_ctx(err, r, "delete layer %s", id) : 0;
}
