/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and directories by descriptor: whole-file reads with a limit, atomic replacement, resolution
 * that cannot leave a directory, removal of trees. All return 0 or a negative errno.
 */
#ifndef CBASE_IO_H
#define CBASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "cleanup.h"

int write_all(int fd, const void *p, size_t n);
/* The bytes up to end of file, NUL added, [owned]; more than limit bytes is -EFBIG. */
int read_fd(int fd, size_t limit, char **ret, size_t *ret_len);
/* As read_fd. Only regular files: a FIFO or device is -EINVAL, and never blocks. */
int read_file_at(int dirfd, const char *path, size_t limit, char **ret, size_t *ret_len);
static inline int read_file(const char *path, size_t limit, char **ret, size_t *ret_len)
{
	return read_file_at(-100 /* AT_FDCWD */, path, limit, ret, ret_len);
}

enum { IO_DURABLE = 1 };	/* fsync the file before, and its directory after, the rename */
/* Replaces dirfd/name by temporary file and rename: a reader sees the old or the new, whole. */
int write_file_at(int dirfd, const char *name, mode_t mode, const void *p, size_t n, int flags);
int write_file(const char *path, mode_t mode, const void *p, size_t n, int flags);

/*
 * Unlinks the temporary files that writers killed in the middle of write_file_at() left in a directory.
 * Only when nobody may be writing there: at start-up, or under the lock that writers take.
 */
int sweep_temp_files(int dirfd);

int mkdir_p(const char *path, mode_t mode);	/* parents too; an existing directory is fine */
/* Removes the tree; missing is fine. Follows no symlink, crosses no mount point. */
int rm_rf_at(int dirfd, const char *name);

/*
 * openat2(): the path is resolved with dirfd as "/" and cannot leave it (in_root), or fails with
 * -EXDEV when it tries to (beneath). Magic links are refused. Returns the descriptor or -errno. Where the
 * kernel has no openat2() the components are opened one by one, to the same end.
 */
int open_in_root(int dirfd, const char *path, int flags, mode_t mode);
int open_beneath(int dirfd, const char *path, int flags, mode_t mode);

int64_t now_ns(void);		/* CLOCK_REALTIME, nanoseconds since 1970 */
int64_t mono_ns(void);		/* CLOCK_MONOTONIC */

#define TIME_MAX_LEN 40
/*
 * RFC 3339 in UTC with up to 9 digits of fraction, trailing zeros trimmed, as Go's RFC3339Nano:
 * "2026-11-23T20:00:00.5Z". TIME_ZERO_NS stands for Go's zero time "0001-01-01T00:00:00Z".
 */
#define TIME_ZERO_NS INT64_MIN
void time_format(int64_t ns, char out[TIME_MAX_LEN]);
int time_parse(const char *s, int64_t *ret_ns);	/* any zone offset; -EINVAL */
/* As Go's time.ParseDuration: "300ms", "1.5h", "2h45m", "-1s", "0"; ns. -EINVAL, -ERANGE */
int duration_parse(const char *s, int64_t *ret_ns);

#endif
