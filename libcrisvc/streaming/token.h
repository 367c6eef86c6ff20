/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: each lets one client have one request, once and for a minute. */
#ifndef CRISVC_STREAMING_TOKEN_H
#define CRISVC_STREAMING_TOKEN_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include "../crisvc-streaming.h"

/* What was asked for; shared by token, connection and its streams. */
struct request {
	int refs; /* of the dispatching thread, once the token was used */
	int kind, flags;
	void *data;
	void (*release)(void *data);
	size_t n_ports;
	uint16_t ports[];
};

struct request *request_ref(struct request *q);
struct request *request_unref(struct request *q); /* NULL is fine; returns NULL */

struct token {
	int64_t expires; /* CLOCK_MONOTONIC ns */
	struct request *request;
	char text[CRISVC_STREAMING_TOKEN_SIZE];
};

struct tokens {
	pthread_mutex_t lock;
	struct token *all;
	size_t n, size;
};

void tokens_init(struct tokens *t);
void tokens_done(struct tokens *t);
/* Takes over q when it is 0; CRISVC_STREAMING_E_LIMIT, -errno. */
int tokens_add(struct tokens *t, struct request *q, int64_t now, char ret[CRISVC_STREAMING_TOKEN_SIZE]);
/* The request of a good token, which is used up by this; NULL for any other text. */
struct request *tokens_use(struct tokens *t, const char *text, size_t n, int64_t now);
size_t tokens_count(struct tokens *t, int64_t now);

#endif
