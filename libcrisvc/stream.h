/* SPDX-License-Identifier: Apache-2.0 */
/* One request and its answer on a session; shared by session.c and stream.c only. */
#ifndef CRISVC_STREAM_H
#define CRISVC_STREAM_H

#include <nghttp2/nghttp2.h>

#include "framer.h"
#include "head.h"
#include "session.h"

struct stream {
	struct session *session;
	LIST_ENTRY(stream) link;
	int32_t id;
	enum {
		STREAM_HEADERS,	 /* header block coming in */
		STREAM_BODY,	 /* message coming in */
		STREAM_CALL,	 /* the call is with the application */
		STREAM_ANSWERED, /* all is queued; goes when nghttp2 closes it */
	} state;
	struct head head;
	const struct method *method;
	struct framer framer;
	int64_t deadline;	  /* 0: none */
	struct timer timer;	  /* deadline, or end of receiving */
	struct crisvc_call *call; /* in STREAM_CALL */
	struct message_list out;
	bool responded; /* response headers are queued */
	bool finished;	/* no message will follow: trailers after the last one */
	bool late;	/* the request has had its time: no patience after the answer */
	bool over;	/* all is sent, and the client has not said its last */
	int status;
	char *status_message; /* percent-encoded; may be NULL */
	struct metadata trailers;
};

/* So much at once, and then so much per second. */
struct bucket {
	unsigned left;
	int64_t at; /* when left was right */
};

struct session {
	struct host *host;
	void *user;
	nghttp2_session *h2;
	LIST_HEAD(, stream) streams;
	size_t n_streams;
	size_t output; /* bytes of answers, queued and not yet given to nghttp2 */
	uint64_t progress;
	const uint8_t *chunk; /* nghttp2's, not yet pulled */
	size_t chunk_len;
	struct bucket empty, resets;
	enum { SESSION_OPEN, SESSION_NOTICED, SESSION_LEAVING } state;
	struct timer drain_timer, keepalive;
	int64_t heard; /* when bytes came */
	bool asked;    /* a PING of keepalive is not answered yet */
	bool broken;   /* out of memory inside nghttp2: close */
};

int stream_new(struct session *s, int32_t id); /* 0, -ENOMEM, -EAGAIN there are too many */
void stream_free(struct stream *st);	       /* cancels its call */
void stream_on_headers(struct stream *st);
void stream_on_data(struct stream *st, const uint8_t *p, size_t n, bool last);
void stream_on_end(struct stream *st);
void stream_on_answered(struct stream *st); /* trailers were sent before the end of the request */
void stream_reset(struct stream *st, uint32_t code);

#endif
