/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which driver, and what all drivers do alike: finding a layer among the places, and moving it out of
 * the way.
 */
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include "driver.h"

static const struct driver *const drivers[] = { &driver_overlay, &driver_vfs };

const struct driver *driver_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (streq(drivers[i]->name, name))
			return drivers[i];
	return NULL;
}

static bool has_store(const char *graph_root, const char *driver)
{
	_cleanup_free_ char *path = strf("%s/%s-layers", graph_root, driver);

	return path && access(path, F_OK) == 0;
}

const struct driver *driver_probe(const char *graph_root, char *const *priority)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (has_store(graph_root, drivers[i]->name))
			return drivers[i];
	for (size_t i = 0; i < strv_len(priority); i++)
		if (driver_find(priority[i]))
			return driver_find(priority[i]);
	return strv_len(priority) ? NULL : &driver_overlay;
}

const struct place *layer_place(struct cstore *s, const char *id)
{
	for (int i = 0; i < s->place_count && s->place_count > 1; i++) {
		_cleanup_free_ char *dir = s->driver->layer_dir(&s->places[i], id);

		if (dir && access(dir, F_OK) == 0)
			return &s->places[i];
	}
	return &s->places[0];
}

char *layer_content(struct cstore *s, const char *id)
{
	return s->driver->content_dir(layer_place(s, id), id);
}

static int aside(struct cstore *s, struct tempdir **t, const char *parent, const char *tmp,
		 const char *path, struct cstore_error *err)
{
	_cleanup_free_ char *dir = NULL;
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "stat %s", path);
	if (!*t) {
		dir = strf("%s/%s", parent, tmp);
		r = dir ? tempdir_new(dir, t, err) : err_oom(err);
		if (r)
			return r;
		(*t)->leave = s->leave_garbage;
	}
	return tempdir_move_in(*t, path, err);
}

int layer_move_aside(struct cstore *s, const char *id, struct trash *t, struct cstore_error *err)
{
	_cleanup_free_ char *split = strf("%s/%s.tar-split.gz", s->layers_dir, id),
			    *data = strf("%s/%s", s->layers_dir, id);
	int r = split && data ? 0 : err_oom(err);

	for (int i = 0; i <= s->image_place && !r; i++) {
		const struct place *p = &s->places[i];
		_cleanup_free_ char *dir = s->driver->layer_dir(p, id);

		r = dir ? s->driver->forget(s, p, id, err) : err_oom(err);
		if (!r)
			r = aside(s, &t->home[i], p->home, "tempdirs", dir, err);
	}
	if (!r)
		r = aside(s, &t->records, s->layers_dir, "tmp", split, err);
	return r ? r : aside(s, &t->records, s->layers_dir, "tmp", data, err);
}

void trash_empty(struct trash *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->home); i++)
		t->home[i] = tempdir_free(t->home[i]);
	t->records = tempdir_free(t->records);
}
