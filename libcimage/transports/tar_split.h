/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar-split: what a tar archive has besides the content of its files, so that it can be put together again from them,
 * bit for bit. A gzip stream with one JSON object in a line: type 2 has raw bytes, type 1 stands for a file's content, with its CRC-64.
 */
#ifndef CIMAGE_TAR_SPLIT_H
#define CIMAGE_TAR_SPLIT_H

#include "../common.h"

#define TAR_EXTENSION_MAX (1u << 20)	/* bytes of one PAX header or GNU long name */
#define TAR_SPLIT_MAX (10u << 20)	/* bytes of the stream; what ostree takes as metadata */
#define TAR_SPLIT_LINE_MAX (8u << 20)

/* Of the archive in fd, read from where it stands. ret_digest: DIGEST_STR_MAX, of the archive. CIMAGE_E_INVALID, _LIMIT. */
int tar_split_make(int fd, struct str *ret, char *ret_digest, int64_t *ret_size, struct cimage_error *err);

/* Opens the content of a file of the archive; the name as the archive has it. */
typedef int tar_split_open_fn(void *user, const char *name, struct cimage_stream **ret, struct cimage_error *err);
/* The archive as a stream. split is taken, also on failure; user is freed with done(). */
int tar_split_join(char *split, size_t n, tar_split_open_fn *open, void *user, void (*done)(void *user),
		   struct cimage_stream **ret, struct cimage_error *err);

#endif
