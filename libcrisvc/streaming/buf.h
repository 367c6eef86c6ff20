/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of bytes: appended at the end, taken at the front. It keeps its memory when it is empty, until
 * buf_done().
 */
#ifndef CRISVC_STREAMING_BUF_H
#define CRISVC_STREAMING_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct buf {
	uint8_t *data;
	size_t at, len, size; /* the bytes are data[at], ..., data[at + len - 1] */
};

static inline void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

static inline const uint8_t *buf_bytes(const struct buf *b)
{
	return b->data + b->at;
}

/* Room for n more bytes at the end; NULL when out of memory. */
static inline uint8_t *buf_reserve(struct buf *b, size_t n)
{
	size_t size = b->size ? b->size : 4096;
	uint8_t *data;

	if (b->size - b->at - b->len < n && b->at) {
		memmove(b->data, b->data + b->at, b->len);
		b->at = 0;
	}
	if (b->size - b->len >= n && b->data)
		return b->data + b->at + b->len;
	while (size < b->len + n)
		size *= 2;
	data = realloc(b->data, size);
	if (!data)
		return NULL;
	b->data = data;
	b->size = size;
	return data + b->len;
}

static inline bool buf_append(struct buf *b, const void *p, size_t n)
{
	uint8_t *to = n ? buf_reserve(b, n) : NULL;

	if (!n)
		return true;
	if (!to)
		return false;
	memcpy(to, p, n);
	b->len += n;
	return true;
}

static inline void buf_take(struct buf *b, size_t n)
{
	b->at += n;
	b->len -= n;
	if (!b->len)
		b->at = 0;
}

#endif
