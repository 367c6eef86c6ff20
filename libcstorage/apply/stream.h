/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a layer: read, decompressed, hashed in both forms. */
#ifndef CSTORAGE_STREAM_H
#define CSTORAGE_STREAM_H

#include <cbase/digest.h>
#include "codec.h"

/*
 * A layer may not unpack to more than this, and not to more than RATIO_MAX times its compressed size
 * once it is larger than RATIO_FREE: real layers stay below 100, a bomb of zeros is 1000 (gzip) and more.
 */
#define STREAM_BYTES_MAX (UINT64_C(1) << 40)
#define STREAM_RATIO_MAX 500
#define STREAM_RATIO_FREE (UINT64_C(1) << 30)

struct stream {
	const struct apply_job *job;
	const struct codec *codec; /* NULL: plain */
	void *state;
	struct codec_io io;
	uint8_t *in, *out; /* buffers */
	const uint8_t *at; /* decompressed and not consumed */
	size_t len;
	bool started, eof;
	int (*source)(void *user, void *p, size_t n, size_t *ret_got, struct cstore_error *err);
	void *source_user;
	uint64_t in_total, out_total;
	struct digest_stream *in_hash, *out_hash;
};

int stream_init(struct stream *s, const struct apply_job *job, struct cstore_error *err);
void stream_done(struct stream *s);
/* Plain bytes from source, which gives 0 of them at the end, instead of the job's blob. */
void stream_from(struct stream *s,
		 int (*source)(void *user, void *p, size_t n, size_t *ret_got, struct cstore_error *err),
		 void *user);
/* What is there, at least one byte unless at the end (*ret_len 0); valid until the next call. */
int stream_peek(struct stream *s, const uint8_t **ret, size_t *ret_len, struct cstore_error *err);
void stream_consume(struct stream *s, size_t n);
/* Up to n bytes; less only at the end. */
int stream_read(struct stream *s, void *p, size_t n, size_t *ret_len, struct cstore_error *err);
/* At the end of the stream: digests, sizes, compression. */
void stream_result(struct stream *s, struct apply_result *ret);

#endif
