/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message has a prefix of five bytes (compressed-flag, length) and may be cut into DATA frames
 * anywhere, so it is collected here: first the prefix, then the bytes. The memory follows the bytes
 * that have arrived, by doubling, and never the length that was announced. It is charged to a
 * budget that all messages of a server share.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cbase/cleanup.h>

#include "framer.h"

#define FIRST_SIZE 512

void framer_init(struct framer *f, struct budget *budget, size_t max)
{
	*f = (struct framer){ .budget = budget, .max = max };
}

void framer_done(struct framer *f)
{
	budget_give(f->budget, f->size);
	free(f->data);
	framer_init(f, f->budget, f->max);
}

bool framer_complete(const struct framer *f)
{
	return f->prefix_len == FRAME_PREFIX && f->len == f->need;
}

bool framer_empty(const struct framer *f)
{
	return f->prefix_len == 0;
}

static int prefix_done(struct framer *f)
{
	f->need = (uint32_t)f->prefix[1] << 24 | (uint32_t)f->prefix[2] << 16 |
		  (uint32_t)f->prefix[3] << 8 | f->prefix[4];
	if (f->prefix[0] > 1)
		return FRAMER_E_MALFORMED;
	if (f->prefix[0] == 1)
		return FRAMER_E_COMPRESSED;
	if (f->need > f->max)
		return FRAMER_E_TOO_LARGE;
	return 0;
}

/* Room for n more bytes. */
static int grow(struct framer *f, size_t n)
{
	size_t want = f->len + n, size = f->size ? f->size : FIRST_SIZE;
	unsigned char *data;

	if (want <= f->size)
		return 0;
	while (size < want)
		size *= 2;
	if (size > f->need)
		size = f->need; /* want <= need */
	if (!budget_take(f->budget, size - f->size))
		return FRAMER_E_BUDGET;
	data = realloc(f->data, size);
	if (!data) {
		budget_give(f->budget, size - f->size);
		return -ENOMEM;
	}
	f->data = data;
	f->size = size;
	return 0;
}

int framer_push(struct framer *f, const uint8_t *p, size_t n, size_t *ret_taken)
{
	size_t taken = 0, part;
	int r;

	while (taken < n && f->prefix_len < FRAME_PREFIX) {
		f->prefix[f->prefix_len++] = p[taken++];
		if (f->prefix_len == FRAME_PREFIX) {
			r = prefix_done(f);
			if (r)
				return r;
		}
	}
	if (f->prefix_len == FRAME_PREFIX) {
		part = f->need - f->len;
		if (part > n - taken)
			part = n - taken;
		r = grow(f, part);
		if (r)
			return r;
		if (part)
			memcpy(f->data + f->len, p + taken, part);
		f->len += part;
		taken += part;
	}
	*ret_taken = taken;
	return 0;
}

void *framer_take(struct framer *f, size_t *ret_len, size_t *ret_charged)
{
	void *data = take(f->data);

	assert(framer_complete(f));
	*ret_len = f->len;
	*ret_charged = f->size;
	framer_init(f, f->budget, f->max);
	return data;
}

void framer_prefix(unsigned char out[FRAME_PREFIX], uint32_t len)
{
	out[0] = 0;
	out[1] = len >> 24;
	out[2] = len >> 16;
	out[3] = len >> 8;
	out[4] = len;
}
