/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call is the part of a request that the application sees. It lives from the end of the request
 * until its answer has been collected, and does not depend on the connection: when that goes away
 * first, the call only loses its stream.
 *
 *	READY		complete, waits for crisvc_server_pop_call(); not those of HTTP/1
 *	POPPED		the application works on it
 *	ANSWERED	crisvc_call_reply() or _fail() was called, by whatever thread; the
 *			dispatching thread will collect the answer and free the call
 *
 * Threads: the fields below the mark in struct crisvc_call are guarded by the mailbox's lock.
 * Streams and connections belong to the dispatching thread, so an answering thread only queues the
 * call and wakes that thread through the eventfd.
 *
 * An answer of several messages is handed in piece by piece while the call is POPPED. What waits for
 * the client is counted, so that who sends faster than it reads is refused, and told when there is
 * room again.
 *
 * Most calls are answered at once by the thread that popped them, before it pops the next. Waking it
 * would cost more than the answer, so it collects those when there is nothing more to pop.
 *
 * Cancelling calls back into the application without the lock, because the callback may answer the
 * call. So that it never runs after the answer, an answering thread waits for a callback that is
 * under way, unless it is the callback itself that answers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cbase/cleanup.h>

#include "call.h"
#include "framer.h"
#include "http.h"
#include "limit.h"
#include "private.h"
#include "session.h"

/* ---- messages ---- */

struct message *message_new(const void *p, size_t n)
{
	struct message *m;
	size_t size;

	if (n > UINT32_MAX || __builtin_add_overflow(sizeof(*m) + FRAME_PREFIX, n, &size))
		return NULL;
	m = malloc(size);
	if (!m)
		return NULL;
	m->len = FRAME_PREFIX + n;
	m->sent = 0;
	framer_prefix(m->data, (uint32_t)n);
	if (n)
		memcpy(m->data + FRAME_PREFIX, p, n);
	return m;
}

void message_list_free(struct message_list *list)
{
	struct message *m;

	while ((m = STAILQ_FIRST(list))) {
		STAILQ_REMOVE_HEAD(list, link);
		free(m);
	}
}

/* ---- mailbox ---- */

void mailbox_init(struct mailbox *box, int wake_fd, struct budget *requests, size_t max_send)
{
	*box = (struct mailbox){
		.wake_fd = wake_fd,
		.requests = requests,
		.max_send = max_send,
		.max_queued = LIMIT_QUEUED,
	};
	pthread_mutex_init(&box->lock, NULL);
	pthread_cond_init(&box->told, NULL);
	LIST_INIT(&box->all);
	TAILQ_INIT(&box->ready);
	TAILQ_INIT(&box->news);
}

static void release_request(struct crisvc_call *c)
{
	budget_give(c->box->requests, c->request_charged);
	c->request_charged = 0;
	free(take(c->request));
}

void call_drop(struct crisvc_call *c)
{
	release_request(c);
	metadata_done(&c->metadata);
	metadata_done(&c->trailers);
	message_list_free(&c->out);
	free(c->status_message);
	free(c);
}

/* The call is in no queue any more. */
static void call_free(struct crisvc_call *c)
{
	LIST_REMOVE(c, all);
	c->box->n_calls--;
	call_drop(c);
}

void mailbox_done(struct mailbox *box)
{
	struct crisvc_call *c;

	while ((c = LIST_FIRST(&box->all)))
		call_free(c);
	pthread_cond_destroy(&box->told);
	pthread_mutex_destroy(&box->lock);
}

struct crisvc_call *call_new(struct mailbox *box)
{
	struct crisvc_call *c = calloc(1, sizeof(*c));

	if (c) {
		c->box = box;
		STAILQ_INIT(&c->out);
	}
	return c;
}

int mailbox_add(struct mailbox *box, struct crisvc_call *c)
{
	int r = 0;

	pthread_mutex_lock(&box->lock);
	if (box->n_calls >= LIMIT_CALLS) {
		r = -EAGAIN;
	} else {
		box->n_calls++;
		LIST_INSERT_HEAD(&box->all, c, all);
		if (c->state == CALL_READY)
			TAILQ_INSERT_TAIL(&box->ready, c, queue);
		else
			box->n_popped++;
	}
	pthread_mutex_unlock(&box->lock);
	return r;
}

struct crisvc_call *mailbox_pop(struct mailbox *box, bool *ret_news)
{
	struct crisvc_call *c;

	pthread_mutex_lock(&box->lock);
	c = TAILQ_FIRST(&box->ready);
	if (c) {
		TAILQ_REMOVE(&box->ready, c, queue);
		c->state = CALL_POPPED;
		box->n_popped++;
	}
	box->popping = c != NULL;
	box->popper = pthread_self();
	*ret_news = !TAILQ_EMPTY(&box->news);
	pthread_mutex_unlock(&box->lock);
	return c;
}

size_t mailbox_pending(struct mailbox *box)
{
	size_t n;

	pthread_mutex_lock(&box->lock);
	n = box->n_popped;
	pthread_mutex_unlock(&box->lock);
	return n;
}

void mailbox_wake(struct mailbox *box)
{
	uint64_t one = 1;
	ssize_t n = write(box->wake_fd, &one, sizeof(one));

	(void)n; /* fails only when the counter is full, and then the reader is awake */
}

void mailbox_silence(struct mailbox *box)
{
	struct crisvc_call *c;

	pthread_mutex_lock(&box->lock);
	LIST_FOREACH(c, &box->all, all)
	c->told = true;
	pthread_mutex_unlock(&box->lock);
}

/* Entered and left with the lock, which is released around the callback. */
static void tell(struct crisvc_call *c, struct callback cb)
{
	struct mailbox *box = c->box;

	c->telling = true;
	box->teller = pthread_self();
	pthread_mutex_unlock(&box->lock);
	cb.fn(cb.user);
	pthread_mutex_lock(&box->lock);
	c->telling = false; /* still there: only this thread frees calls */
	pthread_cond_broadcast(&box->told);
}

/* Lock held. Is there somebody to be told that nobody waits for the answer? */
static bool cancel_is_news(const struct crisvc_call *c)
{
	return c->state == CALL_POPPED && c->cancelled && c->on_cancel.fn && !c->told;
}

static void tell_cancel(struct crisvc_call *c)
{
	c->told = true;
	tell(c, c->on_cancel);
}

void call_cancel(struct crisvc_call *c)
{
	struct mailbox *box = c->box;

	c->stream = NULL;
	c->http = NULL;
	pthread_mutex_lock(&box->lock);
	if (c->state == CALL_READY) {
		/* nobody has seen it, and nobody waits for it */
		TAILQ_REMOVE(&box->ready, c, queue);
		call_free(c);
	} else if (c->state == CALL_POPPED) {
		c->cancelled = true;
		if (cancel_is_news(c))
			tell_cancel(c);
	}
	pthread_mutex_unlock(&box->lock);
}

/* Lock held. Callbacks that were set when their call was cancelled already. */
static void tell_late(struct mailbox *box)
{
	struct crisvc_call *c;

	while (box->late) {
		box->late = false;
		LIST_FOREACH(c, &box->all, all)
		if (cancel_is_news(c))
			break;
		if (c) {
			box->late = true; /* look again: the list may have changed meanwhile */
			tell_cancel(c);
		}
	}
}

/* Lock held, and the same while the lock is open: only this thread takes out of news. */
static void add_news(struct crisvc_call *c)
{
	struct mailbox *box = c->box;

	if (c->in_news)
		return;
	c->in_news = true;
	if (TAILQ_EMPTY(&box->news) &&
	    !(box->popping && pthread_equal(box->popper, pthread_self())))
		mailbox_wake(box);
	TAILQ_INSERT_TAIL(&box->news, c, queue);
}

/* Lock held. May a message of n bytes wait behind those that wait already? */
static bool has_room(const struct crisvc_call *c, size_t n)
{
	return !c->queued ||
	       (c->queued <= c->box->max_queued && n <= c->box->max_queued - c->queued);
}

void call_written(struct crisvc_call *c, size_t n)
{
	struct mailbox *box = c->box;

	pthread_mutex_lock(&box->lock);
	c->queued -= n;
	if (c->starved && has_room(c, box->max_queued / 2))
		add_news(c);
	pthread_mutex_unlock(&box->lock);
}

/* Lock held. What the client's windows took has made room for who was refused. */
static void tell_room(struct crisvc_call *c)
{
	if (c->state != CALL_POPPED || !c->starved || c->cancelled || c->told ||
	    !has_room(c, c->box->max_queued / 2))
		return;
	c->starved = false;
	if (c->on_room.fn)
		tell(c, c->on_room);
}

static void deliver(struct crisvc_call *c, struct message_list *out, bool answered)
{
	struct stream *st = c->stream;

	if (st && answered) {
		struct ending end = { c->status, c->status_message, &c->trailers };

		stream_set_call(st, NULL);
		stream_deliver(st, out, &end);
	} else if (st) {
		stream_deliver(st, out, NULL);
	} else if (c->http) {
		http_deliver(c->http, out, c->status, c->status_message);
	}
	message_list_free(out); /* what nobody wanted */
}

void mailbox_collect(struct mailbox *box)
{
	struct call_queue news = TAILQ_HEAD_INITIALIZER(news);
	struct message_list out = STAILQ_HEAD_INITIALIZER(out);
	struct crisvc_call *c;
	bool answered;

	pthread_mutex_lock(&box->lock);
	box->popping = false;
	tell_late(box);
	TAILQ_CONCAT(&news, &box->news, queue);
	while ((c = TAILQ_FIRST(&news))) {
		TAILQ_REMOVE(&news, c, queue);
		c->in_news = false;
		STAILQ_CONCAT(&out, &c->out);
		answered = c->state == CALL_ANSWERED;
		if (answered || !STAILQ_EMPTY(&out)) {
			/* what of the call is not under the lock is this thread's */
			pthread_mutex_unlock(&box->lock);
			deliver(c, &out, answered);
			pthread_mutex_lock(&box->lock);
		}
		if (answered)
			call_free(c);
		else
			tell_room(c);
	}
	pthread_mutex_unlock(&box->lock);
}

/* ---- answering ---- */

void call_answer(struct crisvc_call *c, struct message *m, int status, char *text)
{
	struct mailbox *box = c->box;

	pthread_mutex_lock(&box->lock);
	while (c->telling && !pthread_equal(box->teller, pthread_self()))
		pthread_cond_wait(&box->told, &box->lock);
	release_request(c);
	c->state = CALL_ANSWERED;
	c->status = status;
	free(c->status_message);
	c->status_message = text;
	if (m)
		STAILQ_INSERT_TAIL(&c->out, m, link);
	box->n_popped--;
	add_news(c);
	pthread_mutex_unlock(&box->lock); /* from here on c may be freed */
}

/* ---- public ---- */

PUBLIC const char *crisvc_call_path(const struct crisvc_call *c)
{
	return c->method->path;
}

PUBLIC void *crisvc_call_method_user(const struct crisvc_call *c)
{
	return c->method->user;
}

PUBLIC const void *crisvc_call_request(const struct crisvc_call *c, size_t *ret_len)
{
	*ret_len = c->request_len;
	return c->request ? c->request : "";
}

PUBLIC int64_t crisvc_call_deadline(const struct crisvc_call *c)
{
	return c->deadline;
}

PUBLIC void crisvc_call_on_cancel(struct crisvc_call *c, void (*fn)(void *user), void *user)
{
	struct mailbox *box = c->box;

	pthread_mutex_lock(&box->lock);
	c->on_cancel = (struct callback){ fn, user };
	if (cancel_is_news(c)) {
		box->late = true;
		mailbox_wake(box);
	}
	pthread_mutex_unlock(&box->lock);
}

PUBLIC void crisvc_call_on_room(struct crisvc_call *c, void (*fn)(void *user), void *user)
{
	pthread_mutex_lock(&c->box->lock);
	c->on_room = (struct callback){ fn, user };
	pthread_mutex_unlock(&c->box->lock);
}

PUBLIC const char *crisvc_call_metadata(const struct crisvc_call *c, size_t i,
					const char **ret_value)
{
	return metadata_at(&c->metadata, i, ret_value);
}

PUBLIC int crisvc_call_add_trailer(struct crisvc_call *c, const char *name, const char *value)
{
	if (!c || !name || !value || !metadata_valid(name, value))
		return -EINVAL;
	if (c->trailers.n >= LIMIT_TRAILERS || strlen(name) + strlen(value) > LIMIT_STATUS_MESSAGE)
		return -E2BIG;
	return metadata_add(&c->trailers, name, strlen(name), value, strlen(value));
}

/* Lock held. 0, or why the call takes no message of n bytes with its prefix. */
static int may_send(struct crisvc_call *c, size_t n)
{
	if (c->cancelled)
		return CRISVC_E_DISCONNECTED;
	if (has_room(c, n))
		return 0;
	c->starved = true;
	return CRISVC_E_AGAIN;
}

PUBLIC int crisvc_call_send(struct crisvc_call *c, const void *p, size_t n)
{
	struct message *m;
	int r;

	if (!c || (!p && n))
		return -EINVAL;
	if (n > c->box->max_send)
		return -EMSGSIZE;
	pthread_mutex_lock(&c->box->lock);
	r = may_send(c, FRAME_PREFIX + n);
	if (!r)
		c->queued += FRAME_PREFIX + n; /* only this thread adds: the room stays */
	pthread_mutex_unlock(&c->box->lock);
	if (r)
		return r;
	m = message_new(p, n);
	pthread_mutex_lock(&c->box->lock);
	if (m) {
		STAILQ_INSERT_TAIL(&c->out, m, link);
		add_news(c);
	} else {
		c->queued -= FRAME_PREFIX + n;
	}
	pthread_mutex_unlock(&c->box->lock);
	return m ? 0 : -ENOMEM;
}

PUBLIC int crisvc_call_end(struct crisvc_call *c)
{
	if (!c)
		return -EINVAL;
	call_answer(c, NULL, CRISVC_OK, NULL);
	return 0;
}

PUBLIC int crisvc_call_reply(struct crisvc_call *c, const void *p, size_t n)
{
	struct message *m;

	if (!c || (!p && n))
		return -EINVAL;
	if (n > c->box->max_send) {
		call_answer(c, NULL, CRISVC_RESOURCE_EXHAUSTED,
			    strdup("the reply is larger than the limit for messages"));
		return -EMSGSIZE;
	}
	m = message_new(p, n);
	if (!m) {
		call_answer(c, NULL, CRISVC_RESOURCE_EXHAUSTED, NULL);
		return -ENOMEM;
	}
	call_answer(c, m, CRISVC_OK, NULL);
	return 0;
}

PUBLIC int crisvc_call_fail(struct crisvc_call *c, int grpc_status, const char *message)
{
	char *text;

	if (!c)
		return -EINVAL;
	if (grpc_status <= CRISVC_OK || grpc_status > CRISVC_UNAUTHENTICATED)
		grpc_status = CRISVC_UNKNOWN;
	text = message ? strdup(message) : NULL;
	call_answer(c, NULL, grpc_status, text);
	return message && !text ? -ENOMEM : 0;
}
