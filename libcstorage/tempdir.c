/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Temporary directories: parent/temp-dir-<r> belongs to whoever holds the lock on parent/lock-<r>.
 * Any program of the format that gets that lock removes both, so a directory whose owner died is
 * swept away by the next one that looks, and a living one is left alone.
 *
 * The lock comes first and goes last.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include "lockfile.h"
#include "private.h"
#include "tempdir.h"

#define LOCK_PREFIX "lock-"
#define DIR_PREFIX "temp-dir-"
#define TRIES 100

struct tempdir *tempdir_free(struct tempdir *t)
{
	if (!t)
		return NULL;
	if (t->lock_fd >= 0) {
		_cleanup_close_ int dir =
			t->leave ? -1 : open(t->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		/* what cannot be removed now keeps its lock file, for the next sweep */
		if (dir >= 0 && rm_rf_at(dir, strrchr(t->path, '/') + 1) == 0)
			unlinkat(dir, t->lock_name, 0);
		close_fd(t->lock_fd);
	}
	free(t->parent);
	free(t->path);
	free(t->lock_name);
	free(t);
	return NULL;
}

/* -EAGAIN and -ENOENT mean: another number. */
static int try_number(struct tempdir *t, int dir, unsigned number)
{
	int r;

	free(t->lock_name);
	free(t->path);
	t->lock_name = strf(LOCK_PREFIX "%u", number);
	t->path = strf("%s/" DIR_PREFIX "%u", t->parent, number);
	if (!t->lock_name || !t->path)
		return -ENOMEM;
	r = lock_try_at(dir, t->lock_name, O_CREAT | O_EXCL, &t->lock_fd);
	if (r)
		return r == -EEXIST ? -EAGAIN : r;
	if (mkdir(t->path, 0700) == 0)
		return 0;
	r = errno == EEXIST ? -EAGAIN : -errno;
	t->lock_fd = close_fd(t->lock_fd); /* a directory that lost its lock: left to the sweep */
	return r;
}

int tempdir_new(const char *parent, struct tempdir **ret, struct cstore_error *err)
{
	_cleanup_(tempdir_freep) struct tempdir *t = calloc(1, sizeof(*t));
	_cleanup_close_ int dir = -1;
	unsigned number;
	int r;

	if (!t)
		return err_oom(err);
	t->lock_fd = -1;
	t->parent = strdup(parent);
	if (!t->parent)
		return err_oom(err);
	r = mkdir_p(parent, 0700);
	if (r)
		return err_sysr(err, r, "make directory %s", parent);
	dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, "open %s", parent);
	for (int i = 0; i < TRIES; i++) {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return err_sys(err, "get random bytes");
		r = try_number(t, dir, number);
		if (r != -EAGAIN && r != -ENOENT)
			break;
	}
	if (r)
		return err_sysr(err, r, "make a temporary directory in %s", parent);
	*ret = take(t);
	return 0;
}

char *tempdir_name(struct tempdir *t, const char *what)
{
	return strf("%s/%u-%s", t->path, __atomic_fetch_add(&t->used, 1, __ATOMIC_RELAXED), what);
}

int tempdir_move_in(struct tempdir *t, const char *path, struct cstore_error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *to = tempdir_name(t, slash ? slash + 1 : path);

	if (!to)
		return err_oom(err);
	if (rename(path, to) < 0 && errno != ENOENT)
		return err_sys(err, "move %s to %s", path, to);
	return 0;
}

static void recover_one(int dir, const char *number)
{
	_cleanup_free_ char *lock = strf(LOCK_PREFIX "%s", number),
			    *name = strf(DIR_PREFIX "%s", number);
	int fd;

	if (!lock || !name)
		return;
	if (lock_try_at(dir, lock, O_CREAT, &fd))
		return;
	if (rm_rf_at(dir, name) == 0)
		unlinkat(dir, lock, 0);
	close_fd(fd);
}

int tempdir_recover(const char *parent, struct cstore_error *err)
{
	_cleanup_closedir_ DIR *d = opendir(parent);
	_cleanup_strv_ char **numbers = NULL;
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(err, "open %s", parent);
	while ((errno = 0, e = readdir(d))) {
		const char *number =
			str_starts(e->d_name, LOCK_PREFIX)  ? e->d_name + strlen(LOCK_PREFIX)
			: str_starts(e->d_name, DIR_PREFIX) ? e->d_name + strlen(DIR_PREFIX)
							    : NULL;

		if (number && *number && !strv_has(numbers, number) && strv_push(&numbers, number))
			return err_oom(err);
	}
	if (errno)
		return err_sys(err, "read %s", parent);
	for (size_t i = 0; i < strv_len(numbers); i++)
		recover_one(dirfd(d), numbers[i]);
	return 0;
}
