/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths that cannot leave a directory: openat2(), and where there is none (kernels before 5.6, seccomp
 * filters older than it) a walk that opens one component after the other and follows no link by itself.
 *
 * The walk reads a link and puts its text before the rest of the path. It never asks the kernel for "..": it
 * forgets the last name and goes again from the top, so that a directory moved elsewhere meanwhile cannot
 * lead it out. Links of procfs may be magic, which only openat2() can tell; the walk refuses them all.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <cbase/io.h>
#include <cbase/str.h>

#define LINKS_MAX 40 /* the kernel's */

struct walk {
	int root, at;		 /* at is [owned] */
	bool in_root;		 /* "/" and ".." stop at the top; else they are refused there */
	unsigned links;
	char here[PATH_MAX];	 /* the names from root to at: no links, no dots */
	char rest[2 * PATH_MAX]; /* still to go */
};

/* To root/here, whose components were no links when they were put there. */
static int go_from_top(struct walk *w)
{
	char *save = NULL, names[PATH_MAX];
	int next, fd = openat(w->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	strcpy(names, w->here);
	for (char *n = strtok_r(names, "/", &save); n && fd >= 0; n = strtok_r(NULL, "/", &save)) {
		next = openat(fd, n, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close_fd(fd);
		fd = next;
	}
	if (fd < 0)
		return -errno;
	close_fd(w->at);
	w->at = fd;
	return 0;
}

static int go_up(struct walk *w)
{
	char *slash = strrchr(w->here, '/');

	if (!*w->here)
		return w->in_root ? 0 : -EXDEV;
	*(slash ? slash : w->here) = '\0';
	return go_from_top(w);
}

static int go_down(struct walk *w, const char *name, int fd)
{
	size_t n = strlen(w->here);

	if (n + strlen(name) + 2 > sizeof(w->here)) {
		close_fd(fd);
		return -ENAMETOOLONG;
	}
	if (n)
		w->here[n++] = '/';
	strcpy(w->here + n, name);
	close_fd(w->at);
	w->at = fd;
	return 0;
}

/* Puts the link's text before the rest. */
static int follow(struct walk *w, int link)
{
	char text[2 * PATH_MAX];
	size_t room = sizeof(text) - 1;
	struct statfs fs;
	ssize_t n;

	if (++w->links > LINKS_MAX || fstatfs(link, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC)
		return -ELOOP;
	n = readlinkat(link, "", text, room);
	if (n < 0)
		return -errno;
	if ((size_t)n + 1 + strlen(w->rest) > room)
		return -ENAMETOOLONG;
	text[n++] = '/';
	strcpy(text + n, w->rest);
	if (!*w->rest)
		text[n - 1] = '\0'; /* the last component may be a file */
	strcpy(w->rest, text);
	return 0;
}

/* An absolute path or link: from the top again. */
static int take_root(struct walk *w)
{
	if (*w->rest != '/')
		return 0;
	if (!w->in_root)
		return -EXDEV;
	*w->here = '\0';
	return go_from_top(w);
}

/* Cuts the next name out of the rest; *ret_last: nothing but slashes follows, *ret_dir: and at least one does. */
static bool cut_name(struct walk *w, char name[NAME_MAX + 1], bool *ret_last, bool *ret_dir)
{
	size_t skip = strspn(w->rest, "/"), n = strcspn(w->rest + skip, "/"), tail;

	tail = skip + n + strspn(w->rest + skip + n, "/");
	*ret_dir = tail > skip + n;
	*ret_last = !w->rest[tail];
	if (n > NAME_MAX)
		return false;
	memcpy(name, w->rest + skip, n);
	name[n] = '\0';
	memmove(w->rest, w->rest + tail, strlen(w->rest + tail) + 1);
	return true;
}

static int open_last(struct walk *w, const char *name, int flags, mode_t mode, int *known)
{
	struct stat st;
	int fd;

	if (flags & O_PATH && *known >= 0) {
		if (flags & O_DIRECTORY && (fstat(*known, &st) < 0 || !S_ISDIR(st.st_mode)))
			return -ENOTDIR;
		return take_fd(*known);
	}
	fd = openat(w->at, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
	return fd < 0 ? -errno : fd;
}

/* One name further. *ret_fd is the result when it was the last. */
static int step(struct walk *w, int flags, mode_t mode, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	char name[NAME_MAX + 1];
	bool last, dir;
	struct stat st;
	int r;

	if (!cut_name(w, name, &last, &dir))
		return -ENAMETOOLONG;
	if (!*name || streq(name, ".") || streq(name, "..")) {
		r = streq(name, "..") ? go_up(w) : 0;
		if (!r && last)
			*ret_fd = r = open_last(w, ".", flags & ~(O_CREAT | O_EXCL), 0, &fd);
		return r < 0 ? r : 0;
	}
	if (last && dir)
		flags |= O_DIRECTORY;
	fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && !(errno == ENOENT && last && flags & O_CREAT))
		return -errno;
	if (fd >= 0 && fstat(fd, &st) < 0)
		return -errno;
	if (fd >= 0 && S_ISLNK(st.st_mode) && !(last && flags & O_NOFOLLOW && !dir)) {
		if (last && dir)
			strcpy(w->rest, "/");
		r = follow(w, fd);
		return r ? r : take_root(w);
	}
	if (!last)
		return S_ISDIR(st.st_mode) ? go_down(w, name, take_fd(fd)) : -ENOTDIR;
	*ret_fd = r = open_last(w, name, flags, mode, &fd);
	return r < 0 ? r : 0;
}

static int open_slowly(int dirfd, const char *path, int flags, mode_t mode, bool in_root)
{
	_cleanup_free_ struct walk *w = NULL;
	int fd = -1, r;

	if (!*path)
		return -ENOENT;
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct walk){ .root = dirfd, .at = -1, .in_root = in_root };
	strcpy(w->rest, path);
	r = go_from_top(w);
	if (!r)
		r = take_root(w);
	while (!r && fd < 0)
		r = step(w, flags, mode, &fd);
	close_fd(w->at);
	return r ? r : fd;
}

static int open_how(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | __O_TMPFILE) ? mode : 0,
		.resolve = resolve | RESOLVE_NO_MAGICLINKS,
	};
	int fd, tries = 0;

	/* EAGAIN: a rename elsewhere made the kernel unsure about ".."; it asks to try again */
	do {
		fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < 100);
	if (fd < 0 && errno == ENOSYS)
		return open_slowly(dirfd, path, flags, mode, resolve == RESOLVE_IN_ROOT);
	return fd < 0 ? -errno : fd;
}

int open_in_root(int dirfd, const char *path, int flags, mode_t mode)
{
	return open_how(dirfd, path, flags, mode, RESOLVE_IN_ROOT);
}

int open_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
	return open_how(dirfd, path, flags, mode, RESOLVE_BENEATH);
}
