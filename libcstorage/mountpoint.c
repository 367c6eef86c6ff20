/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounted containers: mountpoints.json below the run root counts the users of every mounted layer,
 * over all programs. A count without a mount (somebody unmounted it) is taken as zero; the last user
 * unmounts. Its lock is only ever taken with layers.lock held.
 */
#include <string.h>
#include "container.h"
#include "id_maps.h"
#include "layer.h"
#include "overlay.h"

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

static void mount_wish_done(struct mount_wish *w)
{
	free(w->layer);
	free(w->label);
	strv_free(w->options);
	id_maps_free(w->maps);
}

/* What the container's record says of its mount. */
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
	if (!w->layer || !w->label || json_strv(json_get(flags, "MountOpts"), &w->options))
		return err_oom(err);
	return id_maps_load(rec, &w->maps, err);
}

static int mount_locked(struct cstore *s, struct mount_wish *w, const char *path,
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
	if (json_get(layer, "uidmap")) { /* its files have the container's owners on disk */
		id_maps_free(w->maps);
		w->maps = NULL;
	}
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
	r = s->driver->mount(s, w, path, err);
	if (r)
		set_count(s, w->layer, path, 0, NULL);
	return r;
}

static int mount_with_locks(struct cstore *s, struct mount_wish *w, char **ret_path,
			    struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	_cleanup_free_ char *path = NULL;
	int r;

	r = overlay_mount_home(s, err);
	if (r)
		return r;
	r = layers_lock(s, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	held = &s->layers;
	path = s->driver->mount_path(s, w->layer);
	if (!path)
		return err_oom(err);
	/* what others stand on, or cannot be written to, is only shown */
	if (layer_place(s, w->layer)->read_only && !w->read_only)
		return err_set(err, CSTORE_E_READ_ONLY,
			       "layer %s is in a store that is only read", w->layer);
	r = mount_locked(s, w, path, err);
	if (!r)
		*ret_path = take(path);
	return r;
}

/* A driver without mounts shows the directory itself. */
static int show(struct cstore *s, const char *layer, char **ret_path, struct cstore_error *err)
{
	_cleanup_free_ char *path = s->driver->mount_path(s, layer);

	if (!path)
		return err_oom(err);
	if (access(path, F_OK) < 0)
		return err_set(err, CSTORE_E_DAMAGED, "%s does not exist", path);
	*ret_path = take(path);
	return 0;
}

static int mount_wish(struct cstore *s, struct mount_wish *w, char **ret_path,
		      struct cstore_error *err)
{
	int r;

	if (!s->driver->mount)
		return show(s, w->layer, ret_path, err);
	if (s->no_mounts)
		return err_sysr(err, -EOPNOTSUPP, "the store was opened without mounts");
	/* the graph lock keeps other programs from taking the home's mount away meanwhile */
	r = lockfile_acquire(&s->graph_lock, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	r = mount_with_locks(s, w, ret_path, err);
	lockfile_release(&s->graph_lock);
	return r;
}

static int take_options(struct mount_wish *w, const struct cstore_mount_options *o,
			struct cstore_error *err)
{
	if (!o)
		return 0;
	if (o->size != sizeof(*o))
		return err_sysr(err, -EINVAL, "mount options");
	w->read_only = o->read_only;
	for (size_t i = 0; o->options && o->options[i]; i++)
		if (strv_push(&w->options, o->options[i]))
			return err_oom(err);
	if (o->label) {
		free(w->label);
		w->label = strdup(o->label);
	}
	return o->label && !w->label ? err_oom(err) : 0;
}

PUBLIC int cstore_container_mount(struct cstore *s, const char *id, char **ret_path,
				  struct cstore_error *err)
{
	_cleanup_(mount_wish_done) struct mount_wish w = { NULL };
	int r;

	if (!s || !id_valid(id) || !ret_path)
		return err_sysr(err, -EINVAL, "mount container");
	r = read_wish(s, id, &w, err);
	if (!r)
		r = mount_wish(s, &w, ret_path, err);
	return r ? err_ctx(err, r, "mount container %s", id) : 0;
}

PUBLIC int cstore_layer_mount(struct cstore *s, const char *id,
			      const struct cstore_mount_options *o, char **ret_path,
			      struct cstore_error *err)
{
	_cleanup_(mount_wish_done) struct mount_wish w = { NULL };
	int r;

	if (!s || !id_valid(id) || !ret_path)
		return err_sysr(err, -EINVAL, "mount layer");
	w.layer = strdup(id);
	r = w.layer ? take_options(&w, o, err) : err_oom(err);
	if (!r)
		r = mount_wish(s, &w, ret_path, err);
	return r ? err_ctx(err, r, "mount layer %s", id) : 0;
}

/* ---- unmounting ---- */

static int unmount_locked(struct cstore *s, const char *layer, bool force, struct cstore_error *err)
{
	_cleanup_free_ char *path = s->driver->mount_path(s, layer);
	_cleanup_unlock_ struct records *held = NULL;
	struct record *rec;
	int64_t count;
	int r;

	if (!path)
		return err_oom(err);
	if (!s->driver->mount)
		return 0;
	r = records_lock(&s->mountpoints, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	held = &s->mountpoints;
	count = count_of(s, layer, path, &rec);
	if (count > 1 && !force)
		return set_count(s, layer, path, count - 1, err);
	if (is_mount_point(path)) {
		r = s->driver->unmount(s, layer, path, err);
		if (r)
			return r;
	}
	return set_count(s, layer, path, 0, err);
}

int mountpoint_forget(struct cstore *s, const char *layer, struct cstore_error *err)
{
	return unmount_locked(s, layer, true, err);
}

int64_t mountpoint_count(struct cstore *s, const char *layer)
{
	_cleanup_free_ char *path = s->driver->mount ? s->driver->mount_path(s, layer) : NULL;
	struct record *rec;

	return path ? count_of(s, layer, path, &rec) : 0;
}

PUBLIC int cstore_layer_unmount(struct cstore *s, const char *id, int force,
				struct cstore_error *err)
{
	int r;

	if (!s || !id_valid(id))
		return err_sysr(err, -EINVAL, "unmount layer");
	r = layers_lock(s, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	r = unmount_locked(s, id, force, err);
	records_unlock(&s->layers);
	return r ? err_ctx(err, r, "unmount layer %s", id) : 0;
}

PUBLIC int cstore_container_unmount(struct cstore *s, const char *id, int force,
				    struct cstore_error *err)
{
	_cleanup_free_ char *layer = NULL;
	int r;

	if (!s || !id_valid(id))
		return err_sysr(err, -EINVAL, "unmount container");
	r = container_layer(s, id, &layer, err);
	if (!r && *layer)
		r = cstore_layer_unmount(s, layer, force, err);
	return r ? err_ctx(err, r, "unmount container %s", id) : 0;
}
