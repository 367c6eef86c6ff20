/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls, and the mailbox through which threads hand in their answers. Internal to the server; the
 * public functions on calls are in call.c too.
 */
#ifndef CRISVC_CALL_H
#define CRISVC_CALL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "budget.h"
#include "crisvc.h"
#include "metadata.h"

struct stream;
struct http;

struct method {
	char *path;
	void *user;
};

/* One message on its way out: the gRPC prefix and the bytes. */
struct message {
	STAILQ_ENTRY(message) link;
	size_t len, sent;
	unsigned char data[];
};
STAILQ_HEAD(message_list, message);

struct callback {
	void (*fn)(void *user);
	void *user;
};

struct message *message_new(const void *p, size_t n); /* NULL when out of memory */
void message_list_free(struct message_list *list);

struct crisvc_call {
	struct mailbox *box;
	const struct method *method;
	void *request;
	size_t request_len, request_charged;
	int64_t deadline; /* 0: none */
	/* the dispatching thread's; both NULL when the client is gone */
	struct stream *stream;
	struct http *http;

	struct metadata metadata; /* of the request; not changed any more */

	/* under the lock of the mailbox */
	LIST_ENTRY(crisvc_call) all;
	TAILQ_ENTRY(crisvc_call) queue; /* ready or news */
	enum { CALL_READY, CALL_POPPED, CALL_ANSWERED } state;
	bool in_news;
	bool cancelled; /* client gone or deadline passed */
	bool told;	/* cancel_fn was, or is being, called */
	bool telling;	/* a callback runs */
	bool starved;	/* a message was refused, and room_fn not called since */
	struct callback on_cancel, on_room;
	size_t queued;		 /* bytes handed in that the client's windows did not take yet */
	struct message_list out; /* handed in and not yet given to the stream */
	struct metadata trailers;
	int status;	      /* valid when CALL_ANSWERED; of gRPC or HTTP */
	char *status_message; /* may be NULL; for HTTP: the header lines */
};

struct mailbox {
	pthread_mutex_t lock;
	pthread_cond_t told;
	pthread_t teller; /* thread in a callback; valid while some call is telling */
	int wake_fd;	  /* eventfd, [borrowed] */
	struct budget *requests;
	size_t max_send, max_queued;
	size_t n_calls, n_popped;
	bool late;	  /* a cancel_fn was set after its call was cancelled */
	bool popping;	  /* a thread pops calls, and will collect what it answers meanwhile */
	pthread_t popper; /* valid while popping */
	LIST_HEAD(, crisvc_call) all;
	TAILQ_HEAD(call_queue, crisvc_call) ready, news;
};

void mailbox_init(struct mailbox *box, int wake_fd, struct budget *requests, size_t max_send);
void mailbox_done(struct mailbox *box); /* frees all calls, told or not */

/*
 * The parts of a request of HTTP/1, each NUL-terminated, are in the request of the call. The call
 * is made as popped: there is no queue for it.
 */
struct crisvc_http {
	struct crisvc_call call;
	const char *method, *path, *query;
	bool no_body; /* HEAD */
};

struct crisvc_call *call_new(struct mailbox *box); /* NULL when out of memory */
/*
 * Counts the call and takes it over: 0, or -EAGAIN when there are LIMIT_CALLS. Request and stream or
 * http must be set. One that is READY waits to be popped.
 */
int mailbox_add(struct mailbox *box, struct crisvc_call *c);
void call_drop(struct crisvc_call *c); /* one that was not added */
/* Takes over m and text, which may be NULL. Any thread; c is gone then. */
void call_answer(struct crisvc_call *c, struct message *m, int status, char *text);

/* Dispatching thread: the client took n bytes of what the call has sent. */
void call_written(struct crisvc_call *c, size_t n);
/* After NULL, if *ret_news: mailbox_collect(). */
struct crisvc_call *mailbox_pop(struct mailbox *box, bool *ret_news);
size_t mailbox_pending(struct mailbox *box);
void mailbox_wake(struct mailbox *box);	   /* makes the descriptor of the server readable */
void mailbox_silence(struct mailbox *box); /* no application will be told of anything any more */

/*
 * Dispatching thread: the stream of the call is gone. Tells the application, or drops an unseen
 * call.
 */
void call_cancel(struct crisvc_call *c);
/*
 * Dispatching thread: brings the answers that were handed in to their streams, where those still
 * exist.
 */
void mailbox_collect(struct mailbox *box);

#endif
