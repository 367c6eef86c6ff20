/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See list_stream.h. The list is cut into messages and packed at once, because what it names may be gone
 * a moment later; the messages then leave as the client takes them. Without items there is no message,
 * only the end.
 */
#include <stdlib.h>
#include <string.h>
#include <cbase/io.h>
#include "list_stream.h"

struct piece {
	struct piece *next;
	void *bytes;
	size_t n;
};

struct list_stream {
	struct crisvc_call *call;
	struct piece *first, **last;
};

static void pop(struct list_stream *s)
{
	struct piece *p = s->first;

	s->first = p->next;
	free(p->bytes);
	free(p);
}

static void finish(struct list_stream *s, int status, const char *message)
{
	while (s->first)
		pop(s);
	if (status == CRISVC_OK)
		crisvc_call_end(s->call);
	else
		crisvc_call_fail(s->call, status, message);
	free(s);
}

static void on_cancel(void *user)
{
	finish(user, CRISVC_CANCELLED, "the caller is gone");
}

static void send_more(void *user)
{
	struct list_stream *s = user;
	int r = 0;

	while (s->first && !r) {
		r = crisvc_call_send(s->call, s->first->bytes, s->first->n);
		if (!r)
			pop(s);
	}
	if (!s->first)
		finish(s, CRISVC_OK, NULL);
	else if (r == -ENOMEM || r == -EMSGSIZE)
		finish(s, CRISVC_RESOURCE_EXHAUSTED, strerror(-r));
	/* else: there is room later, or on_cancel() is about to be called */
}

static int pack(struct list_stream *s, const ProtobufCMessage *m)
{
	struct piece *p = calloc(1, sizeof(*p));

	if (!p || crisvc_cri_pack(m, &p->bytes, &p->n)) {
		free(p);
		return -ENOMEM;
	}
	*s->last = p;
	s->last = &p->next;
	return 0;
}

/* The same message over and over, its one field moved along the items. */
static int cut(struct list_stream *s, ProtobufCMessage *m)
{
	const ProtobufCFieldDescriptor *f = &m->descriptor->fields[0];
	void ***items = (void ***)(void *)((char *)m + f->offset);
	size_t *n = (size_t *)(void *)((char *)m + f->quantifier_offset);
	size_t left = *n;
	int r = 0;

	for (; left && !r; *items += *n, left -= *n) {
		*n = left < LIST_STREAM_ITEMS ? left : LIST_STREAM_ITEMS;
		r = pack(s, m);
	}
	return r;
}

void list_stream(struct crisvc_call *call, ProtobufCMessage *m)
{
	struct list_stream *s = calloc(1, sizeof(*s));

	if (!s) {
		crisvc_call_fail(call, CRISVC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	s->call = call;
	s->last = &s->first;
	if (cut(s, m)) {
		finish(s, CRISVC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	crisvc_call_on_room(call, send_more, s);
	crisvc_call_on_cancel(call, on_cancel, s);
	send_more(s);
}
