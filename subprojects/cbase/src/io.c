/* SPDX-License-Identifier: Apache-2.0 */
/* See io.h. */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include <cbase/str.h>

int write_all(int fd, const void *p, size_t n)
{
	const char *at = p;
	ssize_t k;

	while (n) {
		k = write(fd, at, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		at += k;
		n -= (size_t)k;
	}
	return 0;
}

int read_fd(int fd, size_t limit, char **ret, size_t *ret_len)
{
	_cleanup_str_ struct str s = STR_INIT;
	ssize_t k;
	char *p;

	for (;;) {
		p = str_reserve(&s, 4096);
		if (!p)
			return -ENOMEM;
		k = read(fd, p, s.size - s.len - 1);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		s.len += (size_t)k;
		if (s.len > limit)
			return -EFBIG;
		if (k == 0)
			break;
	}
	s.data[s.len] = '\0';
	if (ret_len)
		*ret_len = s.len;
	*ret = take(s.data);
	return 0;
}

int read_file_at(int dirfd, const char *path, size_t limit, char **ret, size_t *ret_len)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its writer */
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > 0 && (uint64_t)st.st_size > limit)
		return -EFBIG;
	return read_fd(fd, limit, ret, ret_len);
}

/*
 * A file that need not be on disk is swapped with the old one, which then goes: when ext4 is told to rename over
 * a file it starts writing at once, and the next replacement waits for the disk.
 */
static int replace(int dirfd, const char *tmp, const char *name, int flags)
{
	if (!(flags & IO_DURABLE)) {
		if (renameat2(dirfd, tmp, dirfd, name, RENAME_EXCHANGE) == 0)
			return unlinkat(dirfd, tmp, 0) < 0 ? -errno : 0;
		if (errno != ENOENT && errno != EINVAL && errno != ENOSYS) /* no old one, or no swapping */
			return -errno;
	}
	return renameat(dirfd, tmp, dirfd, name) < 0 ? -errno : 0;
}

int write_file_at(int dirfd, const char *name, mode_t mode, const void *p, size_t n, int flags)
{
	const char *slash = strrchr(name, '/');
	size_t dirlen = slash ? (size_t)(slash - name) + 1 : 0;
	_cleanup_close_ int fd = -1, dir = -1;
	char tmp[PATH_MAX], rnd[17];
	int r;

	r = random_hex(8, rnd);
	if (r)
		return r;
	if (snprintf(tmp, sizeof(tmp), "%.*s.tmp-%.200s-%s", (int)dirlen, name, name + dirlen, rnd) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, p, n);
	if (!r && fchmod(fd, mode) < 0)
		r = -errno;
	if (!r && (flags & IO_DURABLE) && fsync(fd) < 0)
		r = -errno;
	if (!r)
		r = replace(dirfd, tmp, name, flags);
	if (r) {
		unlinkat(dirfd, tmp, 0);
		return r;
	}
	if (!(flags & IO_DURABLE))
		return 0;
	if (slash) {
		tmp[dirlen] = '\0';
		dir = openat(dirfd, tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	} else {
		dir = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (dir < 0 || fsync(dir) < 0)
		return -errno;
	return 0;
}

int write_file(const char *path, mode_t mode, const void *p, size_t n, int flags)
{
	return write_file_at(AT_FDCWD, path, mode, p, n, flags);
}

/* ".tmp-NAME-" and 16 hex digits, as made above */
static bool is_temp_name(const char *name)
{
	const char *dash = strrchr(name, '-');

	return str_starts(name, ".tmp-") && dash > name + 4 && str_is_hex(dash + 1, 16);
}

int sweep_temp_files(int dirfd)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	int fd;

	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		close_fd(fd);
		return -ENOMEM;
	}
	while ((e = readdir(d)))
		if (is_temp_name(e->d_name) && unlinkat(dirfd, e->d_name, 0) < 0 && errno != ENOENT)
			return -errno;
	return 0;
}

static int make_parents(const char *path, mode_t mode)
{
	char buf[PATH_MAX];

	if (snprintf(buf, sizeof(buf), "%s", path) >= (int)sizeof(buf))
		return -ENAMETOOLONG;
	for (char *p = buf + 1; *buf && (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(buf, mode) < 0 && errno != EEXIST && errno != EROFS)
			return -errno;
		*p = '/';
	}
	return 0;
}

int mkdir_p(const char *path, mode_t mode)
{
	struct stat st;
	int r;

	r = mkdir(path, mode) < 0 ? -errno : 0;
	if (r == -ENOENT) {
		r = make_parents(path, mode);
		if (!r)
			r = mkdir(path, mode) < 0 ? -errno : 0;
	}
	if (r != -EEXIST && r != -EROFS)
		return r;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/*
 * Removal of trees. A container may nest directories deeper than we have descriptors: what lies deeper
 * than REMOVE_DEPTH_MAX is moved up to the top of the tree and found there by another round.
 */
#define REMOVE_DEPTH_MAX 128

struct removal {
	int top;	/* the directory being removed */
	dev_t dev;
};

static int remove_children(const struct removal *rm, int fd, int depth);

static int move_up(const struct removal *rm, int dirfd, const char *name)
{
	char rnd[33];
	int r = random_hex(16, rnd);

	if (r)
		return r;
	return renameat(dirfd, name, rm->top, rnd) < 0 ? -errno : 0;
}

static int remove_entry(const struct removal *rm, int dirfd, const char *name, int depth)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (depth > REMOVE_DEPTH_MAX)
		return move_up(rm, dirfd, name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_dev != rm->dev)
		return -EXDEV;
	r = remove_children(rm, fd, depth + 1);
	if (r)
		return r;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

static int remove_children(const struct removal *rm, int fd, int depth)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	int copy, r;

	copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy < 0)
		return -errno;
	d = fdopendir(copy);
	if (!d) {
		close_fd(copy);
		return -errno;
	}
	while ((errno = 0, e = readdir(d))) {
		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		r = remove_entry(rm, fd, e->d_name, depth);
		if (r)
			return r;
	}
	return -errno;
}

int rm_rf_at(int dirfd, const char *name)
{
	_cleanup_close_ int fd = -1;
	struct removal rm;
	struct stat st;
	int r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	rm = (struct removal){ .top = fd, .dev = st.st_dev };
	do {
		r = remove_children(&rm, fd, 1);
		if (r)
			return r;
		if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
	} while (errno == ENOTEMPTY);
	return -errno;
}
