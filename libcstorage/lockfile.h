/* SPDX-License-Identifier: Apache-2.0 */
/* One lock file of the store: shared between threads by a mutex, between processes by fcntl. */
#ifndef CSTORAGE_LOCKFILE_H
#define CSTORAGE_LOCKFILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "cstorage.h"

#define LAST_WRITE_LEN 64

enum lock_mode { LOCK_SHARED, LOCK_EXCLUSIVE };

/* Says who wrote last. Opaque: compared byte for byte, length included. len < 0: nothing known. */
struct last_write {
	unsigned char bytes[LAST_WRITE_LEN];
	int len;
};

struct lockfile {
	char *path; /* NULL: not initialised */
	pthread_mutex_t mutex;
	int fd; /* -1 while not held */
	enum lock_mode mode;
	uint64_t writes; /* by this object */
};

int lockfile_init(struct lockfile *l, const char *path); /* 0 or -ENOMEM */
void lockfile_done(struct lockfile *l);
int lockfile_acquire(struct lockfile *l, enum lock_mode mode, struct cstore_error *err);
/*
 * For reading, the lock of a store that is not ours to change: no directory is made for it. Where there
 * is none, or none can be had, nothing is held, and fd stays -1.
 */
int lockfile_acquire_foreign(struct lockfile *l, struct cstore_error *err);
void lockfile_release(struct lockfile *l);
/* Both with the lock held. */
int lockfile_read(struct lockfile *l, struct last_write *ret, struct cstore_error *err);
int lockfile_record_write(struct lockfile *l, struct last_write *ret, struct cstore_error *err);
bool last_write_same(const struct last_write *a, const struct last_write *b);

/*
 * Tries to lock the file dirfd/name for writing without waiting. 0: *ret is the descriptor that holds
 * the lock and the name still is that file; -EAGAIN: somebody else holds it; -errno.
 */
int lock_try_at(int dirfd, const char *name, int flags, int *ret);

#endif
