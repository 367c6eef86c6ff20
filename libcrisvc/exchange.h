/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call as its client sees it, without I/O: headers and bytes of the answer go in, messages and
 * the outcome come out.
 */
#ifndef CRISVC_EXCHANGE_H
#define CRISVC_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <cbase/str.h>

#include "call.h"
#include "crisvc.h"
#include "framer.h"

struct reply {
	STAILQ_ENTRY(reply) link;
	void *data;
	size_t len;
};

struct exchange {
	LIST_ENTRY(exchange) link; /* of the channel, while id is set */
	int32_t id;		   /* 0: not submitted */
	bool unary;
	int64_t deadline; /* 0: none */
	struct message *request;
	struct budget budget; /* one message, with its own limit */
	struct framer framer;
	STAILQ_HEAD(, reply) replies;
	size_t held; /* bytes whose windows wait until replies is empty */
	size_t header_size;
	bool done;	    /* the stream is closed */
	uint32_t h2_error;  /* it was closed with */
	int http_status;    /* 0: none seen */
	bool grpc;	    /* content-type */
	int status;	    /* -1: none seen */
	struct str message; /* decoded */
	int code;	    /* CRISVC_E_* found while receiving, or -ENOMEM */
	const char *why;
};

/* 0; CRISVC_E_LIMIT the request is too large; -ENOMEM. exchange_done() in any case. */
int exchange_init(struct exchange *x, const void *request, size_t len, int timeout_ms,
		  size_t max_send, size_t max_recv, struct crisvc_error *err);
void exchange_done(struct exchange *x);
void exchange_again(struct exchange *x); /* back to before it was submitted */

/* What came; damage is noted in code. exchange_on_header() says whether the block is of use. */
bool exchange_on_header(struct exchange *x, const uint8_t *name, size_t name_len,
			const uint8_t *value, size_t value_len);
void exchange_on_data(struct exchange *x, const uint8_t *p, size_t n);

/* The next message, or false. */
bool exchange_take(struct exchange *x, void **ret, size_t *ret_len);
/* The server has said that it did nothing for this call. */
bool exchange_refused(const struct exchange *x);
/* The stream is closed: what does that mean? 0, also with messages that nobody took. */
int exchange_conclude(const struct exchange *x, struct crisvc_error *err);
int exchange_expired(struct crisvc_error *err); /* CRISVC_E_DEADLINE */

#endif
