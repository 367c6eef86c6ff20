/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of one HTTP/2 connection, without I/O: bytes go in with session_feed(), calls
 * come out in the mailbox, bytes to send come out with session_pull().
 */
#ifndef CRISVC_SESSION_H
#define CRISVC_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "budget.h"
#include "call.h"
#include "timers.h"

struct session;

/* What the sessions and HTTP/1 connections of a server share. */
struct host {
	const struct method *(*find_method)(struct host *h, const char *path);
	/*
	 * The session or HTTP/1 connection of user may have bytes to send, or may be done. Not
	 * called from session_pull() or http_pull().
	 */
	void (*want_attention)(void *user);
	/* A complete HTTP/1 request, to be answered with crisvc_http_reply(). */
	void (*on_http)(struct host *h, struct crisvc_http *request);
	size_t n_http;	   /* HTTP/1 connections */
	size_t n_streams;  /* of all sessions */
	int64_t keepalive; /* ask silent peers for a sign of life after this; 0: never */
	struct mailbox box;
	struct timers timers;
	struct budget requests, output;
	size_t max_recv;
	int64_t now; /* CLOCK_MONOTONIC, set before every call into a session */
};

int session_new(struct host *host, void *user, struct session **ret); /* 0 or -ENOMEM */
struct session *session_free(struct session *s);		      /* cancels its calls */

/* 0, or negative when the peer broke the protocol beyond repair or memory ran out: close it. */
int session_feed(struct session *s, const uint8_t *p, size_t n);
/* Fills buf with what is to be sent; 0 bytes: nothing now. 0, or negative as session_feed(). */
int session_pull(struct session *s, uint8_t *buf, size_t size, size_t *ret_n);
bool session_done(const struct session *s);   /* everything said and sent: close it */
bool session_choked(const struct session *s); /* do not feed it before the peer has read */
size_t session_streams(const struct session *s);
bool session_has_output(const struct session *s); /* answers that wait for the peer */
/* Answers taken by the peer so far, in bytes: grows while the peer reads. */
uint64_t session_progress(const struct session *s);
/* Says goodbye: streams that the peer has opened are served, new ones are not. */
void session_drain(struct session *s);

/* For the mailbox. */
void stream_set_call(struct stream *st, struct crisvc_call *c);
struct ending {
	int status;
	const char *message;	   /* may be NULL */
	struct metadata *trailers; /* taken over */
};
/* Takes over the messages; end is NULL when more will come. */
void stream_deliver(struct stream *st, struct message_list *out, const struct ending *end);

#endif
