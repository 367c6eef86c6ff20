/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vfs driver: home/dir/<id> is the whole root file system of a layer, made as a copy of its parent's
 * with the layer's own changes in it. It needs nothing of the file system, and much room; where
 * the file system can share blocks between files the copies do.
 *
 * A staged layer has only its own content, with the whiteouts of overlay, until it is joined with a
 * copy of its parent; that is done before any lock is taken.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "driver.h"
#include "tree_copy.h"

#define BASE_MODE 0555

static int make_dir(const char *path, mode_t mode, struct cstore_error *err)
{
	int r = mkdir_p(path, mode);

	return r ? err_sysr(err, r, "make directory %s", path) : 0;
}

static int vfs_prepare(struct cstore *s, struct cstore_error *err)
{
	int r = 0;

	for (int i = 0; i <= s->image_place && !r; i++) {
		_cleanup_free_ char *dir = strf("%s/dir", s->places[i].home);

		r = dir ? make_dir(dir, 0700, err) : err_oom(err);
	}
	return r;
}

static char *vfs_dir(const struct place *p, const char *id)
{
	return strf("%s/dir/%s", p->home, id);
}

/* Into an empty directory; without parent only the mode is set. */
static int copy_parent(struct cstore *s, const char *parent, const char *dir,
		       struct cstore_error *err)
{
	_cleanup_free_ char *from = parent ? layer_content(s, parent) : NULL;
	int r;

	if (!parent)
		return chmod(dir, BASE_MODE) < 0 ? err_sys(err, "set the mode of %s", dir) : 0;
	r = from ? tree_copy(from, dir) : -ENOMEM;
	if (r == -ENOENT)
		return err_set(err, CSTORE_E_NOT_FOUND, "layer %s does not exist", parent);
	return r ? err_sysr(err, r, "copy layer %s", parent) : 0;
}

static int vfs_create(struct cstore *s, const struct new_layer *l, struct cstore_error *err)
{
	_cleanup_trash_ struct trash left = { .records = NULL };
	_cleanup_free_ char *dir = vfs_dir(&s->places[0], l->id);
	int r;

	if (!dir)
		return err_oom(err);
	if (l->maps || l->size || l->inodes)
		return err_sysr(err, -EOPNOTSUPP, "the vfs driver has no id maps and no quotas");
	r = layer_move_aside(s, l->id, &left, err);
	if (r)
		return r;
	if (mkdir(dir, 0700) < 0)
		return err_sys(err, "make directory %s", dir);
	r = copy_parent(s, l->parent, dir, err);
	if (r)
		layer_move_aside(s, l->id, &left, NULL);
	return r;
}

static int vfs_frame(const char *dir, char link[LINK_LEN + 1], struct cstore_error *err)
{
	_cleanup_free_ char *diff = strf("%s/diff", dir);

	link[0] = '\0';
	return diff ? make_dir(diff, 0700, err) : err_oom(err);
}

/* dir/diff becomes dir, with the parent's files. */
static int vfs_join(struct cstore *s, const char *dir, const char *parent,
		    struct cstore_error *err)
{
	_cleanup_free_ char *diff = strf("%s/diff", dir), *whole = strf("%s.whole", dir);
	int r;

	if (!diff || !whole)
		return err_oom(err);
	if (mkdir(whole, 0700) < 0)
		return err_sys(err, "make directory %s", whole);
	r = copy_parent(s, parent, whole, err);
	if (!r) {
		r = tree_merge(diff, whole);
		r = r ? err_sysr(err, r, "join layer with its parent") : 0;
	}
	if (!r && (rm_rf_at(AT_FDCWD, dir) || rename(whole, dir) < 0))
		r = err_sys(err, "move %s to %s", whole, dir);
	if (r)
		rm_rf_at(AT_FDCWD, whole);
	return r;
}

static int vfs_complete(struct cstore *s, const char *dir, const char *parent,
			struct cstore_error *err)
{
	return 0;
}

static int vfs_placed(struct cstore *s, const char *id, const char *link, struct cstore_error *err)
{
	return 0;
}

/* The join came after the staging was synced. */
static int vfs_sync(struct cstore *s, const char *id, struct cstore_error *err)
{
	const char *home = s->places[s->image_place].home;
	_cleanup_close_ int fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || syncfs(fd) < 0 ? err_sys(err, "write %s to disk", home) : 0;
}

static int vfs_forget(struct cstore *s, const struct place *p, const char *id,
		      struct cstore_error *err)
{
	return 0;
}

static char *vfs_mount_path(struct cstore *s, const char *id)
{
	return layer_content(s, id);
}

const struct driver driver_vfs = {
	.name = "vfs",
	.prepare = vfs_prepare,
	.layer_dir = vfs_dir,
	.content_dir = vfs_dir,
	.create = vfs_create,
	.frame = vfs_frame,
	.join = vfs_join,
	.complete = vfs_complete,
	.placed = vfs_placed,
	.sync = vfs_sync,
	.forget = vfs_forget,
	.mount_path = vfs_mount_path,
};
