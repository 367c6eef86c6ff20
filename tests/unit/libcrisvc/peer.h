/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side of an HTTP/2 connection, made of raw frames, so that tests can say anything and
 * see everything. Only reading header blocks leaves the work to nghttp2.
 */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>
#include <stdint.h>
#include <nghttp2/nghttp2.h>
#include <cbase/str.h>

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

enum {
	F_DATA,
	F_HEADERS,
	F_PRIORITY,
	F_RST_STREAM,
	F_SETTINGS,
	F_PUSH_PROMISE,
	F_PING,
	F_GOAWAY,
	F_WINDOW_UPDATE,
	F_CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

/* ---- writing ---- */

void put_frame(struct str *out, unsigned type, unsigned flags, uint32_t id, const void *p,
	       size_t n);
void put_u32(struct str *out, uint32_t v);
/* A header field as a literal without indexing (RFC 7541, section 6.2.2). */
void put_field(struct str *block, const char *name, const char *value);
void put_field_n(struct str *block, const char *name, size_t name_len, const char *value,
		 size_t value_len);
/* HEADERS of a usual request with more fields (name, value, ..., NULL) behind. */
void put_request(struct str *out, uint32_t id, unsigned flags, const char *path, ...);
/* DATA with the whole gRPC message. */
void put_message(struct str *out, uint32_t id, unsigned flags, const void *p, size_t n);
void put_reset(struct str *out, uint32_t id, uint32_t code);

/* ---- reading ---- */

struct frame {
	unsigned type, flags;
	uint32_t id;
	const uint8_t *p;
	size_t n;
};

struct reader {
	struct str bytes;
	size_t pos;
	nghttp2_hd_inflater *inflater;
	struct str headers; /* of the last header block: "name: value\n" each */
};

void reader_init(struct reader *r);
void reader_done(struct reader *r);
/* The next whole frame, or false. A header block is decoded into headers. */
bool reader_next(struct reader *r, struct frame *f);
/* ... and the next one that is not SETTINGS, WINDOW_UPDATE or PING acknowledgement. */
bool reader_next_important(struct reader *r, struct frame *f);
uint32_t get_u32(const uint8_t *p);

#endif
