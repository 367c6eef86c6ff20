/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of a connection that may be HTTP/1, from its first byte, without I/O: bytes go
 * in with http_feed(), the request comes out at host->on_http(), the answer with http_pull().
 */
#ifndef CRISVC_HTTP_H
#define CRISVC_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session.h"

struct http;

enum { HTTP_IS_HTTP2 = 1 };

int http_new(struct host *host, void *user, struct http **ret); /* 0 or -ENOMEM */
struct http *http_free(struct http *h);				/* cancels its call */

/*
 * 0; HTTP_IS_HTTP2: the connection begins as HTTP/2 does, so feed http_held() and then p to a
 * session; negative when it is neither: close it.
 */
int http_feed(struct http *h, const char *p, size_t n);
/* The bytes that http_feed() took before it knew. */
const char *http_held(const struct http *h, size_t *ret_n);
/* The peer says no more. 0, or negative when nothing can come of it: close it. */
int http_eof(struct http *h);
/* Fills buf with what is to be sent; 0: nothing now. */
size_t http_pull(struct http *h, unsigned char *buf, size_t size);
bool http_has_output(const struct http *h);
bool http_busy(
	const struct http *h); /* the application has its request, or answers are under way */
uint64_t http_progress(const struct http *h); /* bytes pulled */
bool http_done(const struct http *h);	      /* close it */
/* All was pulled: shut down writing, and say so with http_linger(). */
bool http_all_said(const struct http *h);
int http_linger(struct http *h); /* 0 or -ENOMEM */
/* Ends what has no complete request yet. */
void http_drain(struct http *h);

/* For the mailbox. */
void http_deliver(struct http *h, struct message_list *out, int status, const char *headers);

#endif
