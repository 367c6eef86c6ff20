/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lock files of the store.
 *
 * Other programs take classic POSIX locks over the whole file. Those belong to a process and vanish
 * when any descriptor of the file is closed, so a library must not use them; open file description
 * locks conflict with them properly and have neither problem. Two threads that open the file twice
 * exclude each other as well; the mutex in front is for the memory that the lock protects.
 *
 * The file is opened for every acquisition: a store that was deleted and made anew has a new file,
 * and a lock on the old one would protect nothing.
 *
 * The content is the last-writer record: 64 bytes that every writer replaces before it changes the
 * files behind the lock, so that everybody else notices.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include "lockfile.h"
#include "private.h"

int lockfile_init(struct lockfile *l, const char *path)
{
	*l = (struct lockfile){ .fd = -1 };
	l->path = strdup(path);
	if (!l->path)
		return -ENOMEM;
	pthread_mutex_init(&l->mutex, NULL);
	return 0;
}

void lockfile_done(struct lockfile *l)
{
	if (!l->path)
		return;
	pthread_mutex_destroy(&l->mutex);
	free(l->path);
	l->path = NULL;
}

static int set_lock(int fd, int cmd, short type)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET };
	int r;

	do {
		r = fcntl(fd, cmd, &fl);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int make_parent(const char *path)
{
	_cleanup_free_ char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!slash)
		return -ENOMEM;
	*slash = '\0';
	return mkdir_p(dir, 0700);
}

static int lock_open(const char *path, enum lock_mode mode)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0 && errno == ENOENT && make_parent(path) == 0)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	/* a reader that may not write: read-only mount, sandbox */
	if (fd < 0 && mode == LOCK_SHARED && (errno == EACCES || errno == EROFS || errno == EPERM))
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static int acquire(struct lockfile *l, int fd, enum lock_mode mode, struct cstore_error *err)
{
	int r;

	r = set_lock(fd, F_OFD_SETLKW, mode == LOCK_EXCLUSIVE ? F_WRLCK : F_RDLCK);
	if (r) {
		close_fd(fd);
		pthread_mutex_unlock(&l->mutex);
		return err_sysr(err, r, "lock %s", l->path);
	}
	l->fd = fd;
	l->mode = mode;
	return 0;
}

int lockfile_acquire(struct lockfile *l, enum lock_mode mode, struct cstore_error *err)
{
	int fd;

	pthread_mutex_lock(&l->mutex);
	fd = lock_open(l->path, mode);
	if (fd < 0) {
		pthread_mutex_unlock(&l->mutex);
		return err_sysr(err, fd, "open lock file %s", l->path);
	}
	return acquire(l, fd, mode, err);
}

int lockfile_acquire_foreign(struct lockfile *l, struct cstore_error *err)
{
	int fd;

	pthread_mutex_lock(&l->mutex);
	fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT) /* a store that nobody has written to yet */
		fd = open(l->path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		pthread_mutex_unlock(&l->mutex);
	return fd < 0 ? 0 : acquire(l, fd, LOCK_SHARED, err);
}

void lockfile_release(struct lockfile *l)
{
	/* explicitly: a forked child may still have the description open */
	set_lock(l->fd, F_OFD_SETLK, F_UNLCK);
	l->fd = close_fd(l->fd);
	pthread_mutex_unlock(&l->mutex);
}

int lockfile_read(struct lockfile *l, struct last_write *ret, struct cstore_error *err)
{
	ssize_t n;

	do {
		n = pread(l->fd, ret->bytes, sizeof(ret->bytes), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "read lock file %s", l->path);
	ret->len = (int)n;
	return 0;
}

static void put_le(unsigned char *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

int lockfile_record_write(struct lockfile *l, struct last_write *ret, struct cstore_error *err)
{
	struct last_write w = { .len = LAST_WRITE_LEN };
	ssize_t n;

	put_le(w.bytes, (uint64_t)now_ns(), 8);
	put_le(w.bytes + 8, ++l->writes, 8);
	put_le(w.bytes + 16, (uint64_t)getpid(), 4);
	if (getrandom(w.bytes + 20, LAST_WRITE_LEN - 20, 0) != LAST_WRITE_LEN - 20)
		return err_sys(err, "get random bytes");
	do {
		n = pwrite(l->fd, w.bytes, sizeof(w.bytes), 0);
	} while (n < 0 && errno == EINTR);
	if (n != LAST_WRITE_LEN)
		return err_sysr(err, n < 0 ? -errno : -EIO, "write lock file %s", l->path);
	*ret = w;
	return 0;
}

bool last_write_same(const struct last_write *a, const struct last_write *b)
{
	return a->len >= 0 && a->len == b->len && memcmp(a->bytes, b->bytes, (size_t)a->len) == 0;
}

int lock_try_at(int dirfd, const char *name, int flags, int *ret)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	struct stat mine, named;
	int r;

	if (fd < 0)
		return -errno;
	r = set_lock(fd, F_OFD_SETLK, F_WRLCK);
	if (r)
		return r == -EACCES ? -EAGAIN : r;
	/* whoever held it before may have removed the name */
	if (fstat(fd, &mine) < 0)
		return -errno;
	if (fstatat(dirfd, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (mine.st_ino != named.st_ino || mine.st_dev != named.st_dev)
		return -ENOENT;
	*ret = take_fd(fd);
	return 0;
}
