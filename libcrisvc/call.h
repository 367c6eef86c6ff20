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
	int64_t deadline;      /* 0: none */
	struct stream *stream; /* the dispatching thread's; NULL when the client is gone */

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
	int status;		 /* valid when CALL_ANSWERED */
	char *status_message;	 /* may be NULL */
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
