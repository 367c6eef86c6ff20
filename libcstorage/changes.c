/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a layer. With overlay they are what is in its directory: whiteouts are deletions, and what else
 * is there has been added or modified, which the directories below tell. An opaque directory deletes what
 * those below have in it. With vfs the layer's and its parent's directory are compared.
 *
 * A directory that was renamed, or a file of which only the attributes were copied up, is not whole in the
 * layer's own directory (redirect_dir, metacopy). Then the layer and its parent are mounted read-only, and
 * compared as with vfs.
 *
 * A walk goes down by descriptor; the layers below are asked by path, beneath their directories and
 * without following links, so no more descriptors are open than the tree is deep.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "changes.h"
#include "driver.h"
#include "overlay.h"

#define DEPTH_MAX 2048 /* as deep as a path of 4096 bytes can be */

struct walk {
	struct cstore *store;
	const struct changes *c;
	int *below; /* directories below the layer, topmost first; vfs: the parent's alone */
	size_t below_count;
	bool whiteouts; /* the directories have those of overlay */
};

static bool is_whiteout(const struct walk *w, const struct stat *st)
{
	return w->whiteouts && S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static bool is_opaque(const struct walk *w, int fd)
{
	char v[2];

	return w->whiteouts && ((fgetxattr(fd, "trusted.overlay.opaque", v, sizeof(v)) == 1 && v[0] == 'y') ||
				(fgetxattr(fd, "user.overlay.opaque", v, sizeof(v)) == 1 && v[0] == 'y'));
}

/* ---- the layers below ---- */

enum answer { HERE, NOT_HERE, HIDDEN };

/* Does this one layer have path? HIDDEN: no, and it hides what is further below. */
static enum answer ask_layer(const struct walk *w, int root, const char *path, struct stat *st)
{
	_cleanup_free_ char *part = strdup(path);
	bool hides = false;

	if (!part)
		return HIDDEN;
	for (char *end = part;; end++) {
		_cleanup_close_ int fd = -1;

		if (*end && *end != '/')
			continue;
		char saved = *end;

		*end = '\0';
		fd = open_beneath(root, part, O_PATH | O_NOFOLLOW, 0);
		*end = saved;
		if (fd < 0 || fstat(fd, st) < 0)
			return hides ? HIDDEN : NOT_HERE;
		if (is_whiteout(w, st))
			return HIDDEN;
		if (!saved)
			return HERE;
		if (!S_ISDIR(st->st_mode))
			return HIDDEN;
		_cleanup_close_ int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		hides |= dir >= 0 && is_opaque(w, dir);
	}
}

static bool exists_below(const struct walk *w, const char *path, struct stat *st)
{
	for (size_t i = 0; i < w->below_count; i++) {
		switch (ask_layer(w, w->below[i], path, st)) {
		case HERE:
			return true;
		case HIDDEN:
			return false;
		case NOT_HERE:
			break;
		}
	}
	return false;
}

/* ---- names ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_names(int dir, char ***ret)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	_cleanup_free_ char **names = NULL;
	size_t n = 0, room = 0;
	struct dirent *e;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		if (n + 1 >= room) {
			char **bigger = realloc(names, (room = room ? 2 * room : 64) * sizeof(*names));

			if (!bigger)
				return -ENOMEM;
			names = bigger;
		}
		names[n] = strdup(e->d_name);
		if (!names[n])
			return -ENOMEM;
		names[++n] = NULL;
	}
	if (n)
		qsort(names, n, sizeof(*names), by_name);
	*ret = take(names);
	return 0;
}

static int tell(const struct walk *w, struct change *change, struct cstore_error *err)
{
	if (w->c->cancel && *(const volatile int *)w->c->cancel)
		return err_set(err, CSTORE_E_CANCELLED, "cancelled");
	return w->c->each(w->c->user, change, err);
}

static int tell_deleted(const struct walk *w, const char *path, struct cstore_error *err)
{
	struct change c = { .kind = CSTORE_CHANGE_DELETED, .path = path, .dir = -1 };

	return tell(w, &c, err);
}

/* What the layers below have in the directory path, and dir, which stands in their place, has not. */
static int tell_missing(const struct walk *w, const char *path, int dir, struct cstore_error *err)
{
	_cleanup_strv_ char **told = NULL;
	struct stat st;
	int r = 0;

	for (size_t i = 0; i < w->below_count && !r; i++) {
		_cleanup_close_ int below =
			open_beneath(w->below[i], *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		_cleanup_strv_ char **names = NULL;

		if (below < 0)
			continue;
		if (add_names(below, &names))
			return err_oom(err);
		for (size_t k = 0; k < strv_len(names) && !r; k++) {
			_cleanup_free_ char *at = strf("%s%s%s", path, *path ? "/" : "", names[k]);

			if (!at)
				return err_oom(err);
			if (fstatat(dir, names[k], &st, AT_SYMLINK_NOFOLLOW) == 0 ||
			    strv_has(told, names[k]) || !exists_below(w, at, &st))
				continue;
			r = strv_push(&told, names[k]) ? err_oom(err) : tell_deleted(w, at, err);
		}
	}
	return r;
}

/* ---- the walk ---- */

static bool same(const struct stat *a, const struct stat *b)
{
	bool same_times = a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
			  a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;

	return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
	       a->st_rdev == b->st_rdev &&
	       (S_ISDIR(a->st_mode) || (a->st_size == b->st_size && same_times));
}

static int walk_dir(const struct walk *w, int dir, const char *path, int depth, bool hidden,
		    struct cstore_error *err);

static int walk_subdir(const struct walk *w, struct change *change, int depth, bool hidden,
		       bool tell_it, struct cstore_error *err)
{
	_cleanup_close_ int fd = openat(change->dir, change->name,
					O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return err_sys(err, "open %s", change->path);
	change->opaque = is_opaque(w, fd);
	r = tell_it ? tell(w, change, err) : 0;
	if (!r && w->c->compare && change->opaque && !hidden)
		r = tell_missing(w, change->path, fd, err);
	return r ? r : walk_dir(w, fd, change->path, depth + 1, hidden || change->opaque, err);
}

static int walk_entry(const struct walk *w, int dir, const char *parent, const char *name,
		      int depth, bool hidden, struct cstore_error *err)
{
	_cleanup_free_ char *path = strf("%s%s%s", parent, *parent ? "/" : "", name);
	struct change c = { .kind = CSTORE_CHANGE_ADDED, .path = path, .dir = dir, .name = name };
	struct stat below;
	bool exists;

	if (!path)
		return err_oom(err);
	if (fstatat(dir, name, &c.st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "stat %s", path);
	if (is_whiteout(w, &c.st))
		return tell_deleted(w, path, err);
	exists = w->c->compare && !hidden && exists_below(w, path, &below);
	if (exists)
		c.kind = CSTORE_CHANGE_MODIFIED;
	bool tell_it = !exists || w->whiteouts || !same(&c.st, &below);

	if (S_ISDIR(c.st.st_mode)) /* vfs: nothing of a new directory is below */
		return walk_subdir(w, &c, depth, hidden || (w->c->compare && !exists), tell_it, err);
	return tell_it ? tell(w, &c, err) : 0;
}

static int walk_dir(const struct walk *w, int dir, const char *path, int depth, bool hidden,
		    struct cstore_error *err)
{
	_cleanup_strv_ char **names = NULL;
	int r;

	if (depth > DEPTH_MAX)
		return err_set(err, CSTORE_E_LIMIT, "%.100s...: deeper than %d directories", path,
			       DEPTH_MAX);
	r = add_names(dir, &names);
	if (r)
		return err_sysr(err, r, "read directory %s", *path ? path : "/");
	if (!w->whiteouts && w->below_count && !hidden)
		r = tell_missing(w, path, dir, err);
	for (size_t i = 0; names && names[i] && !r; i++)
		r = walk_entry(w, dir, path, names[i], depth, hidden, err);
	return r;
}

static int open_below(struct walk *w, const char *layer, const char *parent,
		      struct cstore_error *err)
{
	_cleanup_strv_ char **paths = NULL;
	_cleanup_free_ char *one = NULL;
	int r = 0;

	if (w->whiteouts) {
		r = overlay_lowers(w->store, layer, &paths, err);
	} else if (parent) {
		one = layer_content(w->store, parent);
		r = !one || strv_push(&paths, one) ? err_oom(err) : 0;
	}
	if (r)
		return r;
	w->below = calloc(strv_len(paths) + 1, sizeof(*w->below));
	if (!w->below)
		return err_oom(err);
	for (size_t i = 0; i < strv_len(paths); i++) {
		w->below[i] = open(paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (w->below[i] < 0)
			return err_sys(err, "open %s", paths[i]);
		w->below_count++;
	}
	return 0;
}

static int scan(int dir, bool *ret, int depth)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	_cleanup_closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d)
		return -errno;
	while (!r && !*ret && (e = readdir(d))) {
		_cleanup_close_ int fd = -1;

		if (streq(e->d_name, ".") || streq(e->d_name, "..") ||
		    (e->d_type != DT_DIR && e->d_type != DT_REG))
			continue;
		fd = openat(dir, e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			return errno == ENOENT ? 0 : -errno;
		*ret = fgetxattr(fd, "trusted.overlay.redirect", NULL, 0) > 0 ||
		       fgetxattr(fd, "trusted.overlay.metacopy", NULL, 0) >= 0;
		if (!*ret && e->d_type == DT_DIR && depth < DEPTH_MAX)
			r = scan(fd, ret, depth + 1);
	}
	return r;
}

static int walk_paths(struct walk *w, const char *own, const char *layer, const char *parent,
		      struct cstore_error *err)
{
	_cleanup_close_ int fd = open(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return errno == ENOENT ? err_set(err, CSTORE_E_DAMAGED, "%s does not exist", own)
				       : err_sys(err, "open %s", own);
	if (!w->below_count && (w->c->compare || !w->whiteouts))
		r = open_below(w, layer, parent, err);
	if (!r)
		r = walk_dir(w, fd, "", 0, false, err);
	for (size_t i = 0; i < w->below_count; i++)
		close(w->below[i]);
	free(w->below);
	return r;
}

/* Both as mounted; parent may be NULL. */
static int walk_mounted(struct walk *w, const char *layer, const char *parent,
			struct cstore_error *err)
{
	const struct cstore_mount_options o = { .size = sizeof(o), .read_only = 1 };
	_cleanup_free_ char *own = NULL, *below = NULL;
	struct changes c = *w->c;
	int r = cstore_layer_mount(w->store, layer, &o, &own, err);

	if (r)
		return r;
	c.compare = true;
	w->c = &c;
	w->whiteouts = false;
	if (parent)
		r = cstore_layer_mount(w->store, parent, &o, &below, err);
	if (!r && below) {
		w->below = calloc(1, sizeof(*w->below));
		w->below_count = w->below ? 1 : 0;
		if (w->below)
			w->below[0] = open(below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = !w->below ? err_oom(err) : w->below[0] < 0 ? err_sys(err, "open %s", below) : 0;
	}
	if (!r)
		r = walk_paths(w, own, layer, NULL, err);
	if (below)
		cstore_layer_unmount(w->store, parent, 0, NULL);
	cstore_layer_unmount(w->store, layer, 0, NULL);
	return r;
}

int changes_walk(struct cstore *s, const char *layer, const char *parent, const struct changes *c,
		 struct cstore_error *err)
{
	struct walk w = { .store = s, .c = c, .whiteouts = s->driver == &driver_overlay };
	_cleanup_free_ char *own = layer_content(s, layer);
	_cleanup_close_ int fd = own ? open(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	bool redirected = false;
	int r;

	if (!own)
		return err_oom(err);
	r = fd < 0 || !w.whiteouts || s->no_mounts ? 0 : scan(fd, &redirected, 0);
	if (r)
		return err_sysr(err, r, "read %s", own);
	return redirected ? walk_mounted(&w, layer, parent, err)
			  : walk_paths(&w, own, layer, parent, err);
}
