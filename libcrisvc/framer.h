/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Length-prefixed messages out of a stream of bytes ("gRPC over HTTP2", Length-Prefixed-Message).
 */
#ifndef CRISVC_FRAMER_H
#define CRISVC_FRAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "budget.h"

#define FRAME_PREFIX 5

enum {
	FRAMER_E_COMPRESSED = 1, /* the message is compressed, which was not agreed on */
	FRAMER_E_MALFORMED = 2,	 /* a compressed-flag that is neither 0 nor 1 */
	FRAMER_E_TOO_LARGE = 3,	 /* announced as larger than max */
	FRAMER_E_BUDGET = 4,	 /* the sum of all messages is too large */
};

struct framer {
	struct budget *budget;
	size_t max;
	unsigned char prefix[FRAME_PREFIX];
	size_t prefix_len;
	uint32_t need;	     /* valid when the prefix is complete */
	unsigned char *data; /* size bytes, charged to the budget; len of them filled */
	size_t len, size;
};

void framer_init(struct framer *f, struct budget *budget, size_t max);
void framer_done(struct framer *f);
/*
 * Takes bytes up to the end of one message and says how many. When framer_complete(), take the
 * message before pushing more. 0, one of FRAMER_E_*, or -ENOMEM; after an error only framer_done()
 * is allowed.
 */
int framer_push(struct framer *f, const uint8_t *p, size_t n, size_t *ret_taken);
bool framer_complete(const struct framer *f);
bool framer_empty(const struct framer *f); /* no byte of a message yet */
/* [owned] the complete message (NULL when empty), and how much of the budget it holds. */
void *framer_take(struct framer *f, size_t *ret_len, size_t *ret_charged);

void framer_prefix(unsigned char out[FRAME_PREFIX], uint32_t len);

#endif
