/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See events.h. An event carries the state of its pod and of all of the pod's containers at that moment; it
 * is packed once. A subscriber has a queue of what its call has no room for. One that does not keep up
 * loses nothing in silence: its call fails, it subscribes again and lists.
 */
#include <stdlib.h>
#include <cbase/io.h>
#include "containers.h"
#include "cri_objects.h"
#include "errors.h"
#include "events.h"
#include "log.h"

struct queued {
	struct queued *next;
	size_t n;
	char bytes[];
};

struct subscriber {
	struct subscriber *next;
	struct daemon *d;
	struct crisvc_call *call;
	struct queued *first, **last;
	size_t count, bytes;
};

/* ---- subscribers ---- */

static void drop_first(struct subscriber *s)
{
	struct queued *e = s->first;

	s->first = e->next;
	if (!s->first)
		s->last = &s->first;
	s->count--;
	s->bytes -= e->n;
	free(e);
}

static void cut_off(struct subscriber *s, int status, const char *why)
{
	struct subscriber **at;

	for (at = &s->d->subscribers; *at != s; at = &(*at)->next)
		;
	*at = s->next;
	while (s->first)
		drop_first(s);
	crisvc_call_fail(s->call, status, why);
	free(s);
}

static void on_cancel(void *user)
{
	cut_off(user, CRISVC_CANCELLED, "the caller is gone");
}

static void on_room(void *user)
{
	struct subscriber *s = user;

	while (s->first && !crisvc_call_send(s->call, s->first->bytes, s->first->n))
		drop_first(s);
}

static void queue(struct subscriber *s, const void *bytes, size_t n)
{
	struct queued *e = NULL;

	if (s->count < EVENTS_QUEUED_MAX && s->bytes + n <= EVENTS_BYTES_MAX)
		e = malloc(sizeof(*e) + n);
	if (!e) {
		s->d->events_dropped += s->count + 1;
		log_warn("a reader of events is too slow: cut off, %zu events are lost to it", s->count + 1);
		cut_off(s, CRISVC_RESOURCE_EXHAUSTED, "too slow: events are lost");
		return;
	}
	e->next = NULL;
	e->n = n;
	memcpy(e->bytes, bytes, n);
	*s->last = e;
	s->last = &e->next;
	s->count++;
	s->bytes += n;
}

static void tell(struct subscriber *s, const void *bytes, size_t n)
{
	int r = s->first ? CRISVC_E_AGAIN : crisvc_call_send(s->call, bytes, n);

	/* who has left is taken out by on_cancel() */
	if (r == CRISVC_E_AGAIN)
		queue(s, bytes, n);
	else if (r && r != CRISVC_E_DISCONNECTED)
		cut_off(s, CRISVC_RESOURCE_EXHAUSTED, strerror(-r));
}

void events_subscribe(struct daemon *d, struct crisvc_call *call)
{
	struct subscriber *s;

	if (!d->config->enable_pod_events) {
		crisvc_call_end(call);
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		crisvc_call_fail(call, CRISVC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	*s = (struct subscriber){ .next = d->subscribers, .d = d, .call = call };
	s->last = &s->first;
	d->subscribers = s;
	crisvc_call_on_room(call, on_room, s);
	crisvc_call_on_cancel(call, on_cancel, s);
}

void events_end(struct daemon *d)
{
	while (d->subscribers)
		cut_off(d->subscribers, CRISVC_UNAVAILABLE, "crid is stopping");
}

/* ---- events ---- */

static void publish(const struct pod *p, const char *id, Runtime__V1__ContainerEventType type)
{
	Runtime__V1__ContainerEventResponse m = RUNTIME__V1__CONTAINER_EVENT_RESPONSE__INIT;
	struct subscriber *s = p->d->subscribers, *next;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_free_ void *bytes = NULL;
	size_t n;

	if (!s)
		return;
	m.container_id = cri_text(id);
	m.container_event_type = type;
	m.created_at = now_ns();
	m.pod_sandbox_status = cri_pod_status(&a, p);
	m.containers_statuses = cri_container_statuses(&a, p, &m.n_containers_statuses);
	if (arena_failed(&a) || crisvc_cri_pack(&m.base, &bytes, &n)) {
		log_error("out of memory: an event of pod %s is not told", p->info->id);
		p->d->events_dropped++;
		return;
	}
	for (; s; s = next) {
		next = s->next;
		tell(s, bytes, n);
	}
}

void events_container(const struct container *c, enum container_event ev)
{
	if (c->infra)
		return;		/* the pod's own events tell of it */
	if (ev == CONTAINER_EV_CREATED)
		publish(c->pod, c->info->id, RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_CREATED_EVENT);
	else if (ev == CONTAINER_EV_STARTED)
		publish(c->pod, c->info->id, RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_STARTED_EVENT);
	else if (ev == CONTAINER_EV_EXITED)
		publish(c->pod, c->info->id, RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_STOPPED_EVENT);
	else if (ev == CONTAINER_EV_REMOVED)
		publish(c->pod, c->info->id, RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_DELETED_EVENT);
}

/* A pod is created and running at once. */
void events_pod(const struct pod *p, enum pod_event ev)
{
	if (ev == POD_EV_MADE) {
		publish(p, p->info->id, RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_CREATED_EVENT);
		publish(p, p->info->id, RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_STARTED_EVENT);
	} else if (ev == POD_EV_STOPPED) {
		publish(p, p->info->id, RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_STOPPED_EVENT);
	} else if (ev == POD_EV_REMOVED) {
		publish(p, p->info->id, RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_DELETED_EVENT);
	}
}
