/* SPDX-License-Identifier: Apache-2.0 */
/* The header list of one request: checked as it comes in, reduced to what gRPC needs. */
#ifndef CRISVC_HEAD_H
#define CRISVC_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metadata.h"

#define HEAD_PATH_MAX 256 /* longer paths exist for nobody */

struct head {
	unsigned seen; /* bits of the headers that may come once */
	size_t size;   /* as HPACK counts */
	bool regular;  /* a header that is not a pseudo-header has come */
	bool malformed;
	bool too_big;
	bool post;
	bool grpc;    /* content-type is gRPC's */
	bool encoded; /* grpc-encoding other than identity */
	bool bad_timeout;
	int64_t timeout;	  /* ns; -1: none */
	char path[HEAD_PATH_MAX]; /* "" when longer */
	struct metadata metadata;
};

void head_init(struct head *h);
void head_done(struct head *h);
/* Malformed and oversized lists are noted; there is nothing the caller could do at once. */
void head_add(struct head *h, const uint8_t *name, size_t name_len, const uint8_t *value,
	      size_t value_len);
/* After the last one: are all there that must be? Otherwise malformed is set. */
void head_end(struct head *h);

#endif
