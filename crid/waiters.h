/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that wait for one result. A caller that goes away (deadline, disconnect) is taken out; what
 * it waited for goes on.
 */
#ifndef CRID_WAITERS_H
#define CRID_WAITERS_H

#include <crisvc.h>
#include <crisvc-cri.h>
#include <stdbool.h>
#include <cbase/err.h>

struct waiters {
	struct waiter *first;
	void (*abandoned)(void *user);	/* the last caller went away; may be NULL */
	void *user;
};

void waiters_add(struct waiters *w, struct crisvc_call *c);	/* NULL c: nobody; owns c */
bool waiters_any(const struct waiters *w);
/* Unless the log is about a request already: from now on it is about the one that waits, if any. */
void waiters_log(const struct waiters *w);
/* Answer all and forget them. */
void waiters_reply(struct waiters *w, const ProtobufCMessage *m);
/* The same with a message without fields: no bytes. */
void waiters_reply_empty(struct waiters *w);
void waiters_fail(struct waiters *w, int r, const struct cb_error *err);
void waiters_fail_with(struct waiters *w, int grpc_status, const char *message);
/* What they wait for goes away with the daemon. */
void waiters_give_up(struct waiters *w);
/* The call of a list that holds at most one, taken out; NULL when it is gone. */
struct crisvc_call *waiters_take(struct waiters *w);

/* One call at once. */
void call_reply(struct crisvc_call *c, const ProtobufCMessage *m);	/* NULL c: nothing */
void call_fail(struct crisvc_call *c, int r, const struct cb_error *err);

#endif
