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

	/* under the lock of the mailbox */
	LIST_ENTRY(crisvc_call) all;
	STAILQ_ENTRY(crisvc_call) queue; /* ready or news */
	enum { CALL_READY, CALL_POPPED, CALL_ANSWERED } state;
	bool cancelled; /* client gone or deadline passed */
	bool told;	/* cancel_fn was, or is being, called */
	bool telling;	/* cancel_fn runs */
	void (*cancel_fn)(void *user);
	void *cancel_user;
	struct message_list out; /* handed in and not yet given to the stream */
	int status;		 /* valid when CALL_ANSWERED; of gRPC or HTTP */
	char *status_message;	 /* may be NULL; for HTTP: the header lines */
};

struct mailbox {
	pthread_mutex_t lock;
	pthread_cond_t told;
	pthread_t teller; /* thread in cancel_fn; valid while some call is telling */
	int wake_fd;	  /* eventfd, [borrowed] */
	struct budget *requests;
	size_t max_send;
	size_t n_calls, n_popped;
	bool late; /* a cancel_fn was set after its call was cancelled */
	LIST_HEAD(, crisvc_call) all;
	STAILQ_HEAD(call_queue, crisvc_call) ready, news;
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

/*
 * Counts the call and takes it over: 0, or -EAGAIN when there are LIMIT_CALLS. box, request and
 * stream or http must be set.
 */
int mailbox_add(struct mailbox *box, struct crisvc_call *c);
/* Takes over m and text, which may be NULL. Any thread; c is gone then. */
void call_answer(struct crisvc_call *c, struct message *m, int status, char *text);

/*
 * A complete request becomes a call that waits in ready; takes over request. 0, -EAGAIN when there
 * are LIMIT_CALLS, -ENOMEM; then request still belongs to the caller.
 */
int mailbox_add_call(struct mailbox *box, const struct method *m, struct stream *st,
		     int64_t deadline, void *request, size_t len, size_t charged);
struct crisvc_call *mailbox_pop(struct mailbox *box);
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
