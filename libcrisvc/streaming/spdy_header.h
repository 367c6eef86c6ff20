/* SPDX-License-Identifier: Apache-2.0 */
/* Header blocks of SPDY/3.1: names and values, deflated as one stream for each direction. */
#ifndef CRISVC_STREAMING_SPDY_HEADER_H
#define CRISVC_STREAMING_SPDY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#define SPDY_DICTIONARY_SIZE 1423
extern const unsigned char spdy_dictionary[SPDY_DICTIONARY_SIZE];

struct spdy_headers {
	z_stream z;
	bool began;
	uint8_t *text; /* of the last block, inflated */
	size_t size;
};

/* The values that matter, "" when not there. */
struct spdy_fields {
	char stream_type[16], port[8], request_id[64];
};

int spdy_headers_init(struct spdy_headers *h); /* 0 or -ENOMEM */
void spdy_headers_done(struct spdy_headers *h);
/*
 * The next block of the client. 0; -EPROTO malformed, or a value of ours is too long; -EMSGSIZE too
 * large; -ENOMEM. After any of these the stream is lost.
 */
int spdy_headers_parse(struct spdy_headers *h, const uint8_t *p, size_t n, struct spdy_fields *ret);

/*
 * A block without headers, the first one or a later one of our stream: stored, not deflated, so that
 * there is nothing to remember. Returns its length.
 */
#define SPDY_EMPTY_BLOCK_MAX 20
size_t spdy_headers_empty(bool first, uint8_t out[SPDY_EMPTY_BLOCK_MAX]);

#endif
