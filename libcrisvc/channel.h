/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's connection to a server: made when a call needs it, made anew when it broke, shared by
 * all exchanges. One thread at a time.
 */
#ifndef CRISVC_CHANNEL_H
#define CRISVC_CHANNEL_H

#include <nghttp2/nghttp2.h>
#include <sys/un.h>

#include "exchange.h"
#include "metadata.h"

struct channel {
	struct sockaddr_un addr;
	struct metadata metadata; /* goes with every call */
	int fd;
	nghttp2_session *h2;
	LIST_HEAD(, exchange) exchanges;
	unsigned char *tail; /* bytes the socket did not take */
	size_t tail_len, tail_sent;
	bool goaway;   /* the server wants no more calls */
	bool nonsense; /* the server does not speak HTTP/2 */
};

/* The path was checked. */
void channel_init(struct channel *ch, const char *path);
/* Takes over a connected socket, which is what a call otherwise makes. 0, negative errno. */
int channel_open(struct channel *ch, int fd, struct crisvc_error *err);
void channel_done(struct channel *ch); /* exchanges still there are lost */

/* Connects, unless there is a good connection, and sends the request. 0 or as crisvc_client_call() */
int channel_submit(struct channel *ch, struct exchange *x, const char *path,
		   struct crisvc_error *err);
/*
 * Until x has a message (unary calls: until its stream is closed), is done or damaged, or it is
 * "until" (0: never): CRISVC_E_AGAIN then, CRISVC_E_DEADLINE when its own deadline passed.
 */
int channel_run(struct channel *ch, struct exchange *x, int64_t until, struct crisvc_error *err);
/* The messages that came were taken: the server may send more. */
void channel_resume(struct channel *ch, struct exchange *x);
/* Forgets x; what the server still does for it is cancelled. */
void channel_drop(struct channel *ch, struct exchange *x);
void channel_disconnect(struct channel *ch);

#endif
