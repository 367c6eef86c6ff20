/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extracting members below one directory.
 *
 * A name is cleaned lexically; its directory is resolved by openat2() with the layer's root as "/",
 * so a symbolic link of the layer can lead anywhere in the layer and nowhere else; the last component
 * is only ever created or removed there, never followed. The directory of the last member stays open,
 * because most members follow one of the same directory; it is closed when anything is removed.
 *
 * A name occurs once: a second member of the same cleaned name is refused, as the format requires.
 * Through symbolic links two names can still mean one file; then the later one replaces it, but a
 * directory on a directory keeps its content.
 *
 * Whiteouts become what overlayfs understands: a character device 0:0, or an attribute of the
 * directory. A whiteout is about the layers below: of a name that this layer has as well, it hides the
 * lower directory's content and leaves this layer's.
 *
 * Directories that no member describes are made as root's, 0755.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cbase/err.h>
#include <cbase/io.h>
#include "../userns.h"
#include "siphash.h"
#include "tree.h"

#define IMPLIED_MODE 0755

int tree_init(struct tree *t, int root, struct cstore_error *err)
{
	*t = (struct tree){ .root = root, .parent_fd = -1, .userns = in_userns() };
	if (getrandom(t->key, sizeof(t->key), 0) != sizeof(t->key) || u64set_init(&t->names) ||
	    u64set_init(&t->uids.seen) || u64set_init(&t->gids.seen))
		return err_sys(err, "get random bytes");
	return 0;
}

static void forget_parent(struct tree *t)
{
	free(t->parent_path);
	t->parent_path = NULL;
	t->parent_fd = close_fd(t->parent_fd);
}

void tree_done(struct tree *t)
{
	forget_parent(t);
	u64set_done(&t->names);
	u64set_done(&t->uids.seen);
	u64set_done(&t->gids.seen);
	free(t->uids.ids);
	free(t->gids.ids);
	for (size_t i = 0; i < t->dir_count; i++)
		free(t->dirs[i].path);
	free(t->dirs);
}

static int invalid(struct cstore_error *err, const struct tar_member *m, const char *why)
{
	return err_set(err, CSTORE_E_INVALID, "layer tar: %.300s: %s", m->name, why);
}

/* What the file system refuses because of what the archive says is the archive's fault. */
static int refused(struct cstore_error *err, const struct tar_member *m, int r)
{
	switch (-r) {
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
	case EEXIST:
	case ELOOP:
	case EXDEV:
	case ENAMETOOLONG:
	case ENOTEMPTY:
	case EMLINK:
		err_sysr(err, r, "layer tar: %.300s", m->name);
		if (err)
			err->code = CSTORE_E_INVALID;
		return CSTORE_E_INVALID;
	default:
		return err_sysr(err, r, "extract %.300s", m->name);
	}
}

/* ---- names ---- */

bool tree_clean(const char *name, char out[TAR_NAME_MAX + 1])
{
	bool rooted = *name == '/';
	size_t n = 0, len;

	for (const char *p = name; *p; p += len) {
		p += strspn(p, "/");
		len = strcspn(p, "/");
		if (!len || (len == 1 && p[0] == '.'))
			continue;
		if (len == 2 && p[0] == '.' && p[1] == '.') {
			if (!n && !rooted)
				return false;
			while (n && out[--n] != '/')
				;
			continue;
		}
		if (n + len + 1 > TAR_NAME_MAX)
			return false;
		if (n)
			out[n++] = '/';
		memcpy(out + n, p, len);
		n += len;
	}
	if (!n)
		out[n++] = '.';
	out[n] = '\0';
	return true;
}

static int count_entry(struct tree *t, struct cstore_error *err)
{
	if (++t->entries > TREE_ENTRIES_MAX)
		return err_set(err, CSTORE_E_LIMIT, "layer tar: more than %u entries",
			       TREE_ENTRIES_MAX);
	return 0;
}

static int register_name(struct tree *t, const struct tar_member *m, const char *path,
			 struct cstore_error *err)
{
	bool is_new;
	int r = count_entry(t, err);

	if (r)
		return r;
	if (u64set_add(&t->names, siphash(t->key, path, strlen(path)), &is_new))
		return err_oom(err);
	return is_new ? 0 : invalid(err, m, "there is a second member of this name");
}

/* ---- users and groups ----
 *
 * They end up in the store's records, so a layer with a million of them must not make those large.
 * What other programs use them for is the highest.
 */

static int note_id(struct id_list *l, uint32_t id, struct cstore_error *err)
{
	bool is_new;

	if (l->count && l->last == id)
		return 0;
	l->last = id;
	if (id > l->highest)
		l->highest = id;
	if (l->count == TREE_IDS_MAX)
		return 0;
	if (!l->ids)
		l->ids = calloc(TREE_IDS_MAX, sizeof(*l->ids));
	if (!l->ids || u64set_add(&l->seen, id, &is_new))
		return err_oom(err);
	if (is_new)
		l->ids[l->count++] = id;
	return 0;
}

static int note_ids(struct tree *t, const struct tar_member *m, struct cstore_error *err)
{
	int r = note_id(&t->uids, m->uid, err);

	return r ? r : note_id(&t->gids, m->gid, err);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void move_ids(struct id_list *l, uint32_t **ret, size_t *ret_count)
{
	if (l->count) {
		qsort(l->ids, l->count, sizeof(*l->ids), by_value);
		l->ids[l->count - 1] = l->highest;
	}
	*ret = take(l->ids);
	*ret_count = l->count;
	l->count = 0;
}

void tree_ids(struct tree *t, struct apply_result *ret)
{
	move_ids(&t->uids, &ret->uids, &ret->uid_count);
	move_ids(&t->gids, &ret->gids, &ret->gid_count);
}

/* ---- the directory of a member ---- */

/* A '/' of path between the two offsets, near the middle; 0: there is none. */
static size_t middle_slash(const char *path, size_t after, size_t before)
{
	size_t at = after + (before - after) / 2;
	const char *next;

	while (at > after && path[at] != '/')
		at--;
	if (at > after)
		return at;
	next = memchr(path + after + 1, '/', before - after - 1);
	return next ? (size_t)(next - path) : 0;
}

/*
 * Opens the longest part of a path that exists; *ret_cut: its length, 0 for the root. What exists has its parents, so
 * it is found by halving: each look is as long as the path, and links make it longer.
 */
static int open_longest(struct tree *t, char *path, size_t *ret_cut)
{
	size_t there = 0, missing = strlen(path), cut;
	_cleanup_close_ int fd = open_in_root(t->root, ".", O_PATH | O_DIRECTORY, 0);

	while (fd >= 0 && (cut = middle_slash(path, there, missing))) {
		int found;

		path[cut] = '\0';
		found = open_in_root(t->root, path, O_PATH | O_DIRECTORY, 0);
		path[cut] = '/';
		if (found == -ENOENT) {
			missing = cut;
			continue;
		}
		close_fd(fd);
		fd = found;
		there = cut;
	}
	*ret_cut = there;
	return take_fd(fd);
}

/* Makes path and what is missing above it, and opens it. */
static int make_parents(struct tree *t, const char *path, int *ret_fd, struct cstore_error *err)
{
	_cleanup_free_ char *buf = strdup(path);
	_cleanup_close_ int fd = -1;
	size_t cut;
	int r;

	if (!buf)
		return err_oom(err);
	fd = open_longest(t, buf, &cut);
	if (fd < 0)
		return fd;
	for (char *name = cut ? buf + cut + 1 : buf, *slash; name; name = slash ? slash + 1 : NULL) {
		int below;

		slash = strchr(name, '/');
		if (slash)
			*slash = '\0';
		r = count_entry(t, err);
		if (r)
			return r;
		/* a dangling link is there, and is no directory */
		if (mkdirat(fd, name, IMPLIED_MODE) < 0)
			return -errno;
		if (fchmodat(fd, name, IMPLIED_MODE, 0) < 0)
			return -errno;
		below = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			return -errno;
		close_fd(fd);
		fd = below;
	}
	*ret_fd = take_fd(fd);
	return 0;
}

/* Splits path and opens its directory; *ret_fd is borrowed from the tree. -errno as from the system, or a code. */
static int open_parent(struct tree *t, char *path, const char **ret_base, int *ret_fd,
		       struct cstore_error *err)
{
	char *slash = strrchr(path, '/');
	const char *dir = slash ? path : ".";
	int r;

	if (slash)
		*slash = '\0';
	*ret_base = slash ? slash + 1 : path;
	if (t->parent_path && streq(t->parent_path, dir)) {
		*ret_fd = t->parent_fd;
		return 0;
	}
	forget_parent(t);
	r = open_in_root(t->root, dir, O_PATH | O_DIRECTORY, 0);
	if (r >= 0)
		t->parent_fd = r;
	else if (r == -ENOENT)
		r = make_parents(t, dir, &t->parent_fd, err);
	if (r && t->parent_fd < 0)
		return r;
	t->parent_path = strdup(dir);
	if (!t->parent_path) {
		forget_parent(t);
		return err_oom(err);
	}
	*ret_fd = t->parent_fd;
	return 0;
}

/* ---- whiteouts ---- */

static int set_opaque(const struct tree *t, int dirfd, const char *name)
{
	_cleanup_close_ int fd =
		openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fsetxattr(fd, OPAQUE_XATTR(t->userns), "y", 1, 0) < 0 ? -errno : 0;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static int white_out(const struct tree *t, const struct tar_member *m, int dir, const char *name)
{
	struct stat st;

	if (!*name || streq(name, ".") || streq(name, ".."))
		return -ENOENT;
	if (mknodat(dir, name, S_IFCHR, makedev(0, 0)) == 0)
		return fchownat(dir, name, m->uid, m->gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	if (errno != EEXIST)
		return -errno;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? set_opaque(t, dir, name) : 0;
}

static int add_whiteout(struct tree *t, const struct tar_member *m, char *path,
			struct cstore_error *err)
{
	const char *base;
	int dir, r;

	if (m->size)
		return invalid(err, m, "a whiteout has content");
	r = open_parent(t, path, &base, &dir, err);
	if (r == -ENOTDIR)
		return 0; /* below something that is whited out itself */
	if (!r && streq(base, WHITEOUT_OPAQUE))
		r = set_opaque(t, dir, ".");
	else if (!r && !str_starts(base, WHITEOUT_META))
		r = white_out(t, m, dir, base + strlen(WHITEOUT));
	return r < 0 ? refused(err, m, r) : r;
}

/* ---- making things ---- */

/* Removes what is in the way of a new thing. A link that led to the open parent may go with it. */
static int make_way(struct tree *t, int dir, const char *name)
{
	t->removed = true;
	return rm_rf_at(dir, name);
}

static int make_dir(struct tree *t, int dir, const char *name, const struct tar_member *m)
{
	bool was_whiteout = false;
	struct stat st;
	int r;

	if (mkdirat(dir, name, 0700) < 0) {
		if (errno != EEXIST || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		was_whiteout = is_whiteout(&st);
		if (!S_ISDIR(st.st_mode)) {
			r = make_way(t, dir, name);
			if (r)
				return r;
			if (mkdirat(dir, name, 0700) < 0)
				return -errno;
		}
	}
	/* the lower directory of this name was hidden, and must stay hidden */
	return was_whiteout ? set_opaque(t, dir, name) : 0;
}

static int make_file(int dir, const char *name, int *ret_fd)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int make_hardlink(struct tree *t, int dir, const char *name, const struct tar_member *m)
{
	_cleanup_close_ int from = -1;
	char target[TAR_NAME_MAX + 1];
	char *slash;

	if (!*m->link || !tree_clean(m->link, target))
		return -EXDEV;
	slash = strrchr(target, '/');
	if (slash)
		*slash = '\0';
	from = open_in_root(t->root, slash ? target : ".", O_PATH | O_DIRECTORY, 0);
	if (from < 0)
		return from;
	if (linkat(from, slash ? slash + 1 : target, dir, name, 0) == 0)
		return 0;
	return errno == EPERM ? -EISDIR : -errno; /* a directory cannot be linked */
}

static int make_other(struct tree *t, int dir, const char *name, const struct tar_member *m,
		      int *ret_fd)
{
	int r = 0;

	switch (m->type) {
	case TAR_FILE:
		return make_file(dir, name, ret_fd);
	case TAR_HARDLINK:
		return make_hardlink(t, dir, name, m);
	case TAR_SYMLINK:
		r = symlinkat(m->link, dir, name);
		break;
	case TAR_CHAR:
		r = mknodat(dir, name, S_IFCHR | 0600, makedev(m->major, m->minor));
		break;
	case TAR_BLOCKDEV:
		r = mknodat(dir, name, S_IFBLK | 0600, makedev(m->major, m->minor));
		break;
	case TAR_FIFO:
		r = mknodat(dir, name, S_IFIFO | 0600, 0);
		break;
	case TAR_DIR:
		return make_dir(t, dir, name, m);
	}
	return r < 0 ? -errno : 0;
}

static int late_times(struct tree *t, const struct tar_member *m, const char *path,
		      struct cstore_error *err)
{
	struct late_dir *bigger;
	size_t room;

	if (t->dir_count == t->dir_room) {
		room = t->dir_room ? 2 * t->dir_room : 64;
		bigger = realloc(t->dirs, room * sizeof(*bigger));
		if (!bigger)
			return err_oom(err);
		t->dirs = bigger;
		t->dir_room = room;
	}
	t->dirs[t->dir_count] =
		(struct late_dir){ .path = strdup(path), .mtime = m->mtime, .atime = m->atime };
	return t->dirs[t->dir_count++].path ? 0 : err_oom(err);
}

static int add_at(struct tree *t, const struct tar_member *m, int dir, const char *base,
		  int *ret_fd, struct cstore_error *err)
{
	int r;

	if (tree_leaves_out(t, m))
		return 0;
	r = make_other(t, dir, base, m, ret_fd);
	if (r == -EEXIST) {
		r = make_way(t, dir, base);
		if (!r)
			r = make_other(t, dir, base, m, ret_fd);
	}
	/* a file's attributes come after its content; a hard link's are those of its target */
	if (!r && m->type != TAR_FILE && m->type != TAR_HARDLINK)
		r = attr_set_at(m, dir, base, t->userns, err);
	if (t->removed)
		forget_parent(t);
	t->removed = false;
	return r < 0 ? refused(err, m, r) : r;
}

int tree_add(struct tree *t, const struct tar_member *m, int *ret_fd, struct cstore_error *err)
{
	char path[TAR_NAME_MAX + 1], split[TAR_NAME_MAX + 1];
	const char *base;
	int dir, r;

	*ret_fd = -1;
	if (!tree_clean(m->name, path))
		return invalid(err, m, "the name leads out of the layer");
	r = register_name(t, m, path, err);
	if (r)
		return r;
	if (streq(path, ".")) { /* the root's attributes are the parent layer's */
		r = note_ids(t, m, err);
		return r || m->type == TAR_DIR ? r : invalid(err, m, "the root is no directory");
	}
	memcpy(split, path, sizeof(split));
	base = strrchr(path, '/');
	if (str_starts(base ? base + 1 : path, WHITEOUT))
		return add_whiteout(t, m, split, err);
	r = note_ids(t, m, err);
	if (r)
		return r;
	r = open_parent(t, split, &base, &dir, err);
	if (!r)
		r = add_at(t, m, dir, base, ret_fd, err);
	else if (r < 0)
		r = refused(err, m, r);
	if (!r && m->type == TAR_DIR)
		r = late_times(t, m, path, err);
	return r;
}

int tree_finish_file(struct tree *t, const struct tar_member *m, int fd, struct cstore_error *err)
{
	struct timespec times[2];
	int r = attr_set_fd(m, fd, t->userns, err);

	if (r)
		return r;
	attr_times(m, times);
	return futimens(fd, times) < 0 ? err_sys(err, "set times of %.300s", m->name) : 0;
}

/* Filling a directory changes its times, so they come last. One that was replaced meanwhile is left alone. */
int tree_finish(struct tree *t, struct cstore_error *err)
{
	struct tar_member m = { .size = 0 };
	struct timespec times[2];

	forget_parent(t);
	while (t->dir_count) {
		_cleanup_free_ char *path = t->dirs[--t->dir_count].path;
		_cleanup_close_ int fd =
			open_in_root(t->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

		m.mtime = t->dirs[t->dir_count].mtime;
		m.atime = t->dirs[t->dir_count].atime;
		attr_times(&m, times);
		if (fd >= 0 && futimens(fd, times) < 0)
			return err_sys(err, "set times of %.300s", path);
	}
	return 0;
}
