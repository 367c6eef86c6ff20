/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying and merging trees by descriptor: no name is ever resolved through more than one component, and
 * no link is followed, so what a tree contains cannot lead out of it. Recursion is by directory;
 * its depth is limited as that of archives is.
 */
#include <fcntl.h>
#include <dirent.h>
#include <limits.h>
#include <search.h>
#include <stdbool.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <cbase/cleanup.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "tree_copy.h"

#define DEPTH_MAX 2048 /* of directories: a path of 4096 bytes has no more; bounds descriptors and stack */
#define OPAQUE "trusted.overlay.opaque"

/* A file with several names that has been copied under one of them. */
struct linked {
	ino_t inode;
	char *path; /* below the target */
};

struct copy {
	int target; /* the root */
	dev_t dev;
	void *linked; /* tsearch(3) of struct linked */
};

/* ---- attributes ---- */

static int copy_xattrs(int from, int to)
{
	_cleanup_free_ char *names = malloc(XATTR_LIST_MAX), *value = malloc(XATTR_SIZE_MAX);
	ssize_t n, len;

	if (!names || !value)
		return -ENOMEM;
	n = flistxattr(from, names, XATTR_LIST_MAX);
	if (n < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (char *name = names; name < names + n; name += strlen(name) + 1) {
		len = fgetxattr(from, name, value, XATTR_SIZE_MAX);
		if (len < 0 || streq(name, "security.selinux"))
			continue;
		if (fsetxattr(to, name, value, (size_t)len, 0) < 0 && errno != ENOTSUP &&
		    errno != EPERM)
			return -errno;
	}
	return 0;
}

/* Owner first: changing it takes set-id bits and capabilities away. */
static int set_attributes(int dir, const char *name, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchownat(dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(st->st_mode) && fchmodat(dir, name, st->st_mode & 07777, 0) < 0)
		return -errno;
	return utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Of directories and files, which can be opened. */
static int finish(int from, int to, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	int r = fchown(to, st->st_uid, st->st_gid) < 0 ? -errno : 0;

	if (!r && fchmod(to, st->st_mode & 07777) < 0)
		r = -errno;
	if (!r)
		r = copy_xattrs(from, to);
	if (!r && futimens(to, times) < 0)
		r = -errno;
	return r;
}

/* ---- files ---- */

static int copy_range(int from, int to, off_t at, off_t end)
{
	char buf[65536];
	off_t in = at, out = at;
	ssize_t n;

	while (in < end) {
		n = copy_file_range(from, &in, to, &out, (size_t)(end - in), 0);
		if (n > 0)
			continue;
		if (n == 0)
			return 0; /* became shorter */
		n = pread(from, buf, sizeof(buf), in);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (pwrite(to, buf, (size_t)n, in) != n)
			return -EIO;
		in += n;
		out = in;
	}
	return 0;
}

static int copy_content(int from, int to, off_t size)
{
	off_t data = 0, hole;
	int r = 0;

	if (!size || ioctl(to, FICLONE, from) == 0)
		return 0;
	while (!r && data < size && (data = lseek(from, data, SEEK_DATA)) >= 0) {
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		r = copy_range(from, to, data, hole);
		data = hole;
	}
	if (!r && data < 0 && errno != ENXIO)
		r = copy_range(from, to, 0, size);
	if (!r && ftruncate(to, size) < 0)
		r = -errno;
	return r;
}

static int copy_file(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	_cleanup_close_ int from = openat(from_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_close_ int to = -1;
	int r;

	if (from < 0)
		return -errno;
	to = openat(to_dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to < 0)
		return -errno;
	r = copy_content(from, to, st->st_size);
	return r ? r : finish(from, to, st);
}

static int copy_symlink(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	char target[PATH_MAX + 1];
	ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (symlinkat(target, to_dir, name) < 0)
		return -errno;
	return set_attributes(to_dir, name, st);
}

/* ---- hard links ---- */

static int by_inode(const void *a, const void *b)
{
	ino_t x = ((const struct linked *)a)->inode, y = ((const struct linked *)b)->inode;

	return x < y ? -1 : x > y;
}

static const char *find_linked(const struct copy *c, ino_t inode)
{
	const struct linked key = { .inode = inode };
	struct linked *const *found = tfind(&key, &c->linked, by_inode);

	return found ? (*found)->path : NULL;
}

static void linked_free(void *p)
{
	free(((struct linked *)p)->path);
	free(p);
}

static int remember_linked(struct copy *c, ino_t inode, char *path)
{
	struct linked *l = calloc(1, sizeof(*l));

	if (l) {
		*l = (struct linked){ inode, path };
		if (tsearch(l, &c->linked, by_inode))
			return 0;
	}
	free(l);
	free(path);
	return -ENOMEM;
}

/* ---- directories ---- */

static int copy_dir(struct copy *c, int from, int to, const char *path, int depth);

static int copy_subdir(struct copy *c, int from_dir, int to_dir, const char *name, const char *path,
		       int depth)
{
	_cleanup_close_ int from =
		openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_close_ int to = -1;

	if (from < 0)
		return -errno;
	if (mkdirat(to_dir, name, 0700) < 0)
		return -errno;
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return to < 0 ? -errno : copy_dir(c, from, to, path, depth + 1);
}

static int copy_entry(struct copy *c, int from, int to, const char *name, const char *dir,
		      int depth)
{
	_cleanup_free_ char *path = strf("%s%s%s", dir, *dir ? "/" : "", name);
	const char *first;
	struct stat st;
	int r;

	if (!path)
		return -ENOMEM;
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return st.st_dev == c->dev ? copy_subdir(c, from, to, name, path, depth) : 0;
	if (S_ISSOCK(st.st_mode))
		return 0; /* nobody listens on the copy */
	if (st.st_nlink > 1 && (first = find_linked(c, st.st_ino)))
		return linkat(c->target, first, to, name, 0) < 0 ? -errno : 0;
	if (S_ISREG(st.st_mode))
		r = copy_file(from, to, name, &st);
	else if (S_ISLNK(st.st_mode))
		r = copy_symlink(from, to, name, &st);
	else
		r = mknodat(to, name, st.st_mode, st.st_rdev) < 0 ? -errno
								  : set_attributes(to, name, &st);
	if (!r && st.st_nlink > 1)
		r = remember_linked(c, st.st_ino, take(path));
	return r;
}

static int copy_dir(struct copy *c, int from, int to, const char *path, int depth)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	struct stat st;
	int fd, r = 0;

	if (depth > DEPTH_MAX)
		return -ELOOP;
	fd = fcntl(from, F_DUPFD_CLOEXEC, 0);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d || fstat(from, &st) < 0)
		return -errno;
	while (!r && (errno = 0, e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			r = copy_entry(c, from, to, e->d_name, path, depth);
	if (!r && errno)
		r = -errno;
	return r ? r : finish(from, to, &st);
}

int tree_copy(const char *from, const char *to)
{
	_cleanup_close_ int source = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_close_ int target = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct copy c = { .target = target };
	struct stat st;
	int r;

	if (source < 0 || target < 0 || fstat(source, &st) < 0)
		return -errno;
	c.dev = st.st_dev;
	r = copy_dir(&c, source, target, "", 0);
	tdestroy(c.linked, linked_free);
	return r;
}

/* ---- merging ---- */

static int merge_dir(int from, int to, int depth);

static int empty_dir(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	_cleanup_closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d)
		return -errno;
	while (!r && (e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			r = rm_rf_at(fd, e->d_name);
	return r;
}

/* Both are directories: the lower one stays, with the attributes of the upper one. */
static int merge_subdir(int from_dir, int to_dir, const char *name, int depth)
{
	_cleanup_close_ int from =
		openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_close_ int to =
		openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	char value[4];
	int r = 0;

	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return -errno;
	if (fgetxattr(from, OPAQUE, value, sizeof(value)) == 1 && value[0] == 'y')
		r = empty_dir(to);
	if (!r)
		r = merge_dir(from, to, depth + 1);
	if (!r)
		r = finish(from, to, &st);
	fremovexattr(to, OPAQUE);
	return r;
}

static int strip_subdir(int dir, const char *name, int depth);

static int merge_entry(int from, int to, const char *name, int depth)
{
	struct stat st, below;
	bool exists = fstatat(to, name, &below, AT_SYMLINK_NOFOLLOW) == 0;
	int r;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0))
		return rm_rf_at(to, name);
	if (exists && S_ISDIR(st.st_mode) && S_ISDIR(below.st_mode))
		return merge_subdir(from, to, name, depth);
	r = exists ? rm_rf_at(to, name) : 0;
	if (!r && renameat(from, name, to, name) < 0)
		r = -errno;
	return !r && S_ISDIR(st.st_mode) ? strip_subdir(to, name, depth + 1) : r;
}

static int each_entry(int from, int to, int depth, int (*f)(int, int, const char *, int))
{
	int copy = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	_cleanup_closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d)
		return -errno;
	if (depth > DEPTH_MAX)
		return -ELOOP;
	while (!r && (e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			r = f(from, to, e->d_name, depth);
	return r;
}

static int merge_dir(int from, int to, int depth)
{
	return each_entry(from, to, depth, merge_entry);
}

/* Whiteouts and marks of a directory that came as a whole mean nothing any more. */
static int strip_entry(int dir, int unused, const char *name, int depth)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return strip_subdir(dir, name, depth + 1);
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0))
		return unlinkat(dir, name, 0) < 0 ? -errno : 0;
	return 0;
}

static int strip_subdir(int dir, const char *name, int depth)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	r = each_entry(fd, -1, depth, strip_entry);
	fremovexattr(fd, OPAQUE);
	if (!r) { /* removing entries changed its time */
		const struct timespec times[2] = { st.st_atim, st.st_mtim };

		r = futimens(fd, times) < 0 ? -errno : 0;
	}
	return r;
}

int tree_merge(const char *from, const char *to)
{
	_cleanup_close_ int source = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_close_ int target = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return source < 0 || target < 0 ? -errno : merge_dir(source, target, 0);
}
