/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking a tree whose content is hostile and may change meanwhile: directories wait in a list of
 * paths relative to the root and are opened beneath it, so the walk uses two descriptors however deep
 * the tree is, and cannot be led out of it.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <cbase/cleanup.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "u64set.h"
#include "usage.h"

struct walk {
	int root;
	dev_t dev;
	char **waiting;
	size_t count, room;
	struct u64set seen; /* inodes with several names that were counted */
	struct usage *total;
};

static int push(struct walk *w, const char *dir, const char *name)
{
	size_t room = w->room ? 2 * w->room : 64;
	char **bigger, *path;

	if (strlen(dir) + strlen(name) + 2 > PATH_MAX)
		return 0;
	if (w->count == w->room) {
		bigger = realloc(w->waiting, room * sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		w->waiting = bigger;
		w->room = room;
	}
	path = strf("%s/%s", dir, name);
	if (!path)
		return -ENOMEM;
	w->waiting[w->count++] = path;
	return 0;
}

static int count_entry(struct walk *w, int dirfd, const char *dir, const char *name)
{
	bool is_new = true;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (st.st_dev != w->dev)
		return 0;
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 && u64set_add(&w->seen, st.st_ino, &is_new))
		return -ENOMEM;
	if (!is_new)
		return 0;
	w->total->bytes += (uint64_t)st.st_blocks * 512;
	w->total->inodes++;
	return S_ISDIR(st.st_mode) ? push(w, dir, name) : 0;
}

static int walk_dir(struct walk *w, const char *path)
{
	int fd = open_beneath(w->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0), r;
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;

	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP || fd == -EXDEV)
		return 0; /* changed meanwhile */
	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (!d) {
		r = -errno;
		close_fd(fd);
		return r;
	}
	while ((errno = 0, e = readdir(d))) {
		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		r = count_entry(w, fd, path, e->d_name);
		if (r)
			return r;
	}
	return errno == ENOENT ? 0 : -errno;
}

int usage_walk(const char *path, struct usage *total)
{
	_cleanup_close_ int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct walk w = { .root = root, .total = total };
	struct stat st;
	int r;

	if (root < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(root, &st) < 0)
		return -errno;
	r = u64set_init(&w.seen);
	if (r)
		return r;
	w.dev = st.st_dev;
	total->bytes += (uint64_t)st.st_blocks * 512;
	total->inodes++;
	r = walk_dir(&w, ".");
	while (!r && w.count) {
		_cleanup_free_ char *next = w.waiting[--w.count];

		r = walk_dir(&w, next);
	}
	while (w.count)
		free(w.waiting[--w.count]);
	free(w.waiting);
	u64set_done(&w.seen);
	return r;
}
