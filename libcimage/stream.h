/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that are put on top of each other: what happens to a blob on its way. */
#ifndef CIMAGE_STREAM_H
#define CIMAGE_STREAM_H

#include <cbase/digest.h>
#include "common.h"

struct crypt;
struct digest_module;

static inline void stream_close(struct cimage_stream *s)
{
	if (s)
		s->close(s);
}
static inline void stream_closep(struct cimage_stream **s)
{
	stream_close(*s);
}

/* Each takes the stream below, also on failure. */

/* fd is taken. */
int stream_fd(int fd, struct cimage_stream **ret, struct cimage_error *err);

/*
 * Digests what passes. At the end: is it the digest and size that were expected (NULL, -1: whatever it is)?
 * CIMAGE_E_DIGEST if not. ret_digest (DIGEST_STR_MAX) and ret_size, filled before the end is returned, may be NULL.
 */
struct meter {
	const char *expected;
	int64_t size;
	char *ret_digest;
	int64_t *ret_size;
};
int stream_meter(struct cimage_stream *below, const struct digest_module *digests, const struct meter *m,
		 struct cimage_stream **ret, struct cimage_error *err);

/* x is borrowed; its crypt_final() is called before the end is returned. */
int stream_crypt(struct cimage_stream *below, struct crypt *x, struct cimage_stream **ret, struct cimage_error *err);

/*
 * Passes all through, and digests what it is uncompressed: ret_digest is filled before the end is returned. A thread
 * does the work.
 */
int stream_diff_id(struct cimage_context *c, struct cimage_stream *below, char *ret_digest, struct cimage_stream **ret,
		   struct cimage_error *err);

#endif
