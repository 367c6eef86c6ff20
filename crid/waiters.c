/* SPDX-License-Identifier: Apache-2.0 */
/* See waiters.h. */
#include <stdlib.h>
#include <string.h>
#include "errors.h"
#include "log.h"
#include "waiters.h"

struct waiter {
	struct waiter *next, **prev;
	struct waiters *list;
	struct crisvc_call *call;
	struct log_request request;
};

static void drop(struct waiter *w)
{
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	free(w);
}

static void on_cancel(void *user)
{
	struct waiter *w = user;
	struct waiters *list = w->list;
	struct crisvc_call *c = w->call;

	drop(w);
	crisvc_call_fail(c, CRISVC_CANCELLED, "the caller is gone");
	if (!list->first && list->abandoned)
		list->abandoned(list->user);
}

void waiters_add(struct waiters *list, struct crisvc_call *c)
{
	struct waiter *w;

	if (!c)
		return;
	w = malloc(sizeof(*w));
	if (!w) {
		crisvc_call_fail(c, CRISVC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	*w = (struct waiter){ .next = list->first, .prev = &list->first, .list = list, .call = c, .request = log_request_get() };
	if (list->first)
		list->first->prev = &w->next;
	list->first = w;
	crisvc_call_on_cancel(c, on_cancel, w);
}

bool waiters_any(const struct waiters *w)
{
	return w->first;
}

void waiters_log(const struct waiters *w)
{
	if (w->first && !log_request_get().name)
		log_request_set(&w->first->request);
}

void waiters_reply(struct waiters *list, const ProtobufCMessage *m)
{
	struct crisvc_call *c;

	while (list->first) {
		c = list->first->call;
		drop(list->first);
		call_reply(c, m);
	}
}

void waiters_reply_empty(struct waiters *w)
{
	struct crisvc_call *c;

	while (w->first) {
		c = w->first->call;
		drop(w->first);
		crisvc_call_reply(c, "", 0);
	}
}

void waiters_fail_with(struct waiters *list, int grpc_status, const char *message)
{
	struct crisvc_call *c;

	while (list->first) {
		c = list->first->call;
		drop(list->first);
		crisvc_call_fail(c, grpc_status, message);
	}
}

void waiters_fail(struct waiters *list, int r, const struct cb_error *err)
{
	waiters_fail_with(list, err_to_grpc(r), err->message);
}

void waiters_give_up(struct waiters *list)
{
	waiters_fail_with(list, err_to_grpc(E_UNAVAILABLE), "crid is stopping");
}

struct crisvc_call *waiters_take(struct waiters *w)
{
	struct crisvc_call *c = w->first ? w->first->call : NULL;

	if (c) {
		drop(w->first);
		crisvc_call_on_cancel(c, NULL, NULL);
	}
	return c;
}

void call_reply(struct crisvc_call *c, const ProtobufCMessage *m)
{
	_cleanup_free_ void *bytes = NULL;
	size_t n;
	int r;

	if (!c)
		return;
	if (crisvc_cri_pack(m, &bytes, &n))
		crisvc_call_fail(c, CRISVC_RESOURCE_EXHAUSTED, "out of memory");
	else if ((r = crisvc_call_reply(c, bytes, n)))
		log_error("answer with %s: %s", m->descriptor->name, strerror(-r));
}

void call_fail(struct crisvc_call *c, int r, const struct cb_error *err)
{
	if (!c)
		return;
	log_debug("%s: %s", crisvc_call_path(c), err->message);
	crisvc_call_fail(c, err_to_grpc(r), err->message);
}
