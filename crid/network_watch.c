/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See network_watch.h. One question is asked at a time, on an operation thread: a change while it is
 * asked makes it be asked once more. The question is repeated by a timer only where the kernel does not
 * tell: for plugins that answer STATUS, and when the directories cannot be watched.
 *
 * Collecting waits longer each time it leaves something, up to a quarter of an hour.
 */
#include <sys/epoll.h>
#include <cbase/io.h>
#include "errors.h"
#include "log.h"
#include "network_watch.h"
#include "pods.h"

#define SECOND 1000000000LL
#define POLL_UNREADY (SECOND / 2)
#define POLL_READY (5 * SECOND)
#define COLLECT_FIRST (30 * SECOND)
#define COLLECT_MAX (900 * SECOND)

struct waiting {
	struct waiting *next;
	struct network_watch *w;
	struct loop_timer *timer;
	network_ready_fn fn;
	void *user;
};

struct network_watch {
	struct daemon *d;
	struct loop_source *source;	/* NULL: directories are not watched */
	struct loop_timer *poll, *collect;
	struct waiting *waiting;	/* in no order */
	bool asking, again, collecting;
	int64_t collect_wait;
};

/* ---- who waits ---- */

static void tell(struct waiting *p, int r, const struct cb_error *err)
{
	struct waiting **at = &p->w->waiting, copy = *p;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	loop_cancel(p->timer);
	free(p);
	copy.fn(copy.user, r, err);
}

static void on_deadline(void *user)
{
	struct waiting *p = user;
	struct cb_error err = { 0 };

	p->timer = NULL;
	tell(p, err_set(&err, E_UNAVAILABLE, "the network is not ready: %s", p->w->d->network_message), &err);
}

int network_wait(struct daemon *d, int64_t deadline, network_ready_fn fn, void *user)
{
	struct network_watch *w = d->network_watch;
	struct waiting *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct waiting){ .next = w->waiting, .w = w, .fn = fn, .user = user };
	if (loop_timer(d->loop, deadline, on_deadline, p, &p->timer)) {
		free(p);
		return -ENOMEM;
	}
	w->waiting = p;
	return 0;
}

static void tell_all(struct network_watch *w, int r, const struct cb_error *err)
{
	while (w->waiting)
		tell(w->waiting, r, err);
}

/* ---- is it ready? ---- */

struct question {
	struct job job;
	struct network_watch *w;
	int r;
	struct cb_error err;
};

static void ask(struct network_watch *w);
static void collect(struct network_watch *w);

static void on_poll(void *user)
{
	struct network_watch *w = user;

	w->poll = NULL;
	ask(w);
}

static void poll_again(struct network_watch *w)
{
	struct daemon *d = w->d;

	if (w->poll || (w->source && !network_has_status(d->sv.network)))
		return;
	loop_timer(d->loop, mono_ns() + (d->network_ready ? POLL_READY : POLL_UNREADY), on_poll, w, &w->poll);
}

static void ask_run(struct job *job)
{
	struct question *q = (struct question *)job;

	q->r = network_reload(q->w->d->sv.network, &q->err);
}

static void ask_done(struct job *job)
{
	struct question *q = (struct question *)job;
	struct network_watch *w = q->w;
	struct daemon *d = w->d;
	bool was_ready = d->network_ready;

	if (was_ready != !q->r)
		log_info("network is %s%s", q->r ? "not ready: " : "ready", q->r ? q->err.message : "");
	d->network_ready = !q->r;
	utf8_copy(d->network_message, sizeof(d->network_message), q->r ? q->err.message : "");
	free(q);
	w->asking = false;
	if (d->network_ready)
		tell_all(w, 0, NULL);
	if (d->network_ready && !was_ready)
		collect(w);
	if (w->again)
		ask(w);
	else
		poll_again(w);
}

static void ask(struct network_watch *w)
{
	struct question *q;

	w->again = w->asking;
	if (w->asking)
		return;
	q = calloc(1, sizeof(*q));
	if (!q)
		return;
	*q = (struct question){ .job = { .run = ask_run, .done = ask_done }, .w = w };
	w->asking = true;
	w->poll = loop_cancel(w->poll);
	jobs_submit(w->d->jobs, LANE_NET, &q->job);
}

static void on_change(void *user, uint32_t events)
{
	struct network_watch *w = user;

	if (network_changed(w->d->sv.network))
		ask(w);
}

/* ---- what pods that are gone have left ---- */

struct collection {
	struct job job;
	struct network_watch *w;
	char **pods;	/* that may have a network */
	bool left;
};

static void collect_run(struct job *job)
{
	struct collection *c = (struct collection *)job;

	c->left = network_collect(c->w->d->sv.network, c->pods);
}

static void on_collect(void *user)
{
	struct network_watch *w = user;

	w->collect = NULL;
	collect(w);
}

static void collect_again(struct network_watch *w)
{
	if (w->collect || w->collecting)
		return;
	loop_timer(w->d->loop, mono_ns() + w->collect_wait, on_collect, w, &w->collect);
	if (w->collect_wait < COLLECT_MAX)
		w->collect_wait *= 2;
}

static void collect_done(struct job *job)
{
	struct collection *c = (struct collection *)job;
	struct network_watch *w = c->w;

	w->collecting = false;
	if (c->left)
		collect_again(w);
	else
		w->collect_wait = COLLECT_FIRST;
	strv_free(c->pods);
	free(c);
}

static void collect(struct network_watch *w)
{
	struct collection *c;
	struct pod *p;

	w->collect = loop_cancel(w->collect);
	if (w->collecting)
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		return;
	*c = (struct collection){ .job = { .run = collect_run, .done = collect_done }, .w = w };
	c->pods = strv_copy(NULL);
	for (p = w->d->pods; p; p = p->next)
		if (!p->network_down && p->info->network != NS_NODE && strv_push(&c->pods, p->info->id))
			break;
	if (p || !c->pods) { /* without all of them it could take away what is in use */
		strv_free(c->pods);
		free(c);
		return;
	}
	w->collecting = true;
	jobs_submit(w->d->jobs, LANE_NET, &c->job);
}

void network_collect_later(struct daemon *d)
{
	if (d->network_watch && network_has_leftovers(d->sv.network))
		collect_again(d->network_watch);
}

/* ---- all ---- */

int network_watch_start(struct daemon *d, struct cb_error *err)
{
	struct network_watch *w = arena_alloc(&d->arena, sizeof(*w));
	int fd, r;

	if (!w)
		return err_oom(err);
	*w = (struct network_watch){ .d = d, .collect_wait = COLLECT_FIRST };
	d->network_watch = w;
	fd = network_watch_fd(d->sv.network);
	if (fd >= 0) {
		r = loop_add(d->loop, fd, EPOLLIN, on_change, w, &w->source);
		if (r)
			return err_sysr(err, r, "watch the CNI directories");
	}
	ask(w);
	collect(w);
	return 0;
}

void network_watch_stop(struct daemon *d)
{
	struct network_watch *w = d->network_watch;
	struct cb_error err = { 0 };

	if (!w)
		return;
	loop_cancel(w->poll);
	loop_cancel(w->collect);
	loop_remove(w->source);
	tell_all(w, err_set(&err, E_UNAVAILABLE, "crid is ending"), &err);
	d->network_watch = NULL;
}
