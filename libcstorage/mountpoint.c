/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounted containers: mountpoints.json below the run root counts the users of every mounted layer,
 * over all programs. A count without a mount (somebody unmounted it) is taken as zero; the last user
 * unmounts. Its lock is only ever taken with layers.lock held.
 */
#include <string.h>
#include "container.h"
#include "layer.h"

static int64_t count_of(struct cstore *s, const char *layer, const char *path, struct record **ret)
{
	struct record *rec = NULL;

	*ret = NULL;
	if (records_find(&s->mountpoints, layer, &rec) || !rec)
		return 0;
	*ret = rec;
	return is_mount_point(path) ? json_get_int(rec->json, "count", 0) : 0;
}

/* Writes the new count; zero removes the record. */
static int set_count(struct cstore *s, const char *layer, const char *path, int64_t count,
		     struct cstore_error *err)
{
	struct json_doc *doc = records_doc(&s->mountpoints, RECORDS_STABLE);
	struct record *rec = NULL;
	struct json *json;

	if (records_find(&s->mountpoints, layer, &rec))
		return err_oom(err);
	if (rec && count > 0) {
		json_set_string(doc, rec->json, "path", path);
		json_set_int(doc, rec->json, "count", count);
		records_changed(&s->mountpoints, RECORDS_STABLE);
	} else if (rec) {
		records_remove(&s->mountpoints, rec);
	} else if (count > 0) {
		json = json_new_object(doc);
		json_set_string(doc, json, "id", layer);
		json_set_string(doc, json, "path", path);
		json_set_int(doc, json, "count", count);
		records_add(&s->mountpoints, RECORDS_STABLE, json);
	} else {
		return 0;
	}
	return records_save(&s->mountpoints, err);
}

struct mount_wish {
	char *layer, *label;
	bool is_volatile;
};

static void mount_wish_done(struct mount_wish *w)
{
	free(w->layer);
	free(w->label);
}

static int read_wish(struct cstore *s, const char *id, struct mount_wish *w,
		     struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	const char *layer, *label;
	struct json *rec, *flags;
	int r;

	r = records_lock(&s->containers, LOCK_SHARED, err);
	if (r)
		return r;
	held = &s->containers;
	r = container_get(s, id, &rec, err);
	if (r)
		return r;
	flags = json_get(rec, "flags");
	layer = json_get_string(rec, "layer");
	label = json_get_string(flags, "MountLabel");
	if (!id_valid(layer))
		return err_set(err, CSTORE_E_DAMAGED, "container %s has no valid layer", id);
	w->layer = strdup(layer);
	w->label = strdup(label ? label : "");
	w->is_volatile = json_get_bool(flags, "Volatile", false) && !s->disable_volatile;
	return w->layer && w->label ? 0 : err_oom(err);
}

static int mount_locked(struct cstore *s, const struct mount_wish *w, const char *path,
			struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	struct record *rec;
	struct json *layer;
	int64_t count;
	int r;

	r = layer_get(s, w->layer, &layer, err);
	if (r)
		return r;
	r = records_lock(&s->mountpoints, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	held = &s->mountpoints;
	count = count_of(s, w->layer, path, &rec);
	if (count > 0)
		return set_count(s, w->layer, path, count + 1, err);
	/* the count is on disk before the mount exists: a crash between them leaves a count without mount */
	r = set_count(s, w->layer, path, 1, err);
	if (r)
		return r;
	if (is_mount_point(path)) /* mounted, but not counted */
		return 0;
	r = overlay_mount(s, w->layer, w->label, w->is_volatile, err);
	if (r)
		set_count(s, w->layer, path, 0, NULL);
	return r;
}

static int mount_container(struct cstore *s, const struct mount_wish *w, const char *path,
			   struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	int r;

	r = overlay_mount_home(s, err);
	if (r)
		return r;
	r = layers_lock(s, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	held = &s->layers;
	return mount_locked(s, w, path, err);
}

PUBLIC int cstore_container_mount(struct cstore *s, const char *id, char **ret_path,
				  struct cstore_error *err)
{
	_cleanup_(mount_wish_done) struct mount_wish w = { NULL };
	_cleanup_free_ char *path = NULL;
	int r;

	if (!s || !id_valid(id) || !ret_path)
		return err_sysr(err, -EINVAL, "mount container");
	if (s->no_mounts)
		return err_sysr(err, -EOPNOTSUPP,
				"mount container %s: the store was opened without mounts", id);
	r = read_wish(s, id, &w, err);
	if (r)
		return r;
	path = strf("%s/%s/merged", s->home, w.layer);
	if (!path)
		return err_oom(err);
	/* the graph lock keeps other programs from taking the home's mount away meanwhile */
	r = lockfile_acquire(&s->graph_lock, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	r = mount_container(s, &w, path, err);
	lockfile_release(&s->graph_lock);
	if (r)
		return err_ctx(err, r, "mount container %s", id);
	*ret_path = take(path);
	return 0;
}

static int unmount_locked(struct cstore *s, const char *layer, bool force, struct cstore_error *err)
{
	_cleanup_free_ char *path = strf("%s/%s/merged", s->home, layer);
	_cleanup_unlock_ struct records *held = NULL;
	struct record *rec;
	int64_t count;
	int r;

	if (!path)
		return err_oom(err);
	r = records_lock(&s->mountpoints, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	held = &s->mountpoints;
	count = count_of(s, layer, path, &rec);
	if (count > 1 && !force)
		return set_count(s, layer, path, count - 1, err);
	if (is_mount_point(path)) {
		r = overlay_unmount(s, layer, err);
		if (r)
			return r;
	}
	return set_count(s, layer, path, 0, err);
}

int mountpoint_forget(struct cstore *s, const char *layer, struct cstore_error *err)
{
	return unmount_locked(s, layer, true, err);
}

PUBLIC int cstore_container_unmount(struct cstore *s, const char *id, int force,
				    struct cstore_error *err)
{
	_cleanup_free_ char *layer = NULL;
	int r;

	if (!s || !id_valid(id))
		return err_sysr(err, -EINVAL, "unmount container");
	r = container_layer(s, id, &layer, err);
	if (r)
		return r;
	if (!*layer)
		return 0;
	r = layers_lock(s, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	r = unmount_locked(s, layer, force, err);
	records_unlock(&s->layers);
	return r ? err_ctx(err, r, "unmount container %s", id) : 0;
}
