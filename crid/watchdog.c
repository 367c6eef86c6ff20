/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See watchdog.h. The question is asked as a client would, from a thread of a lane that does nothing
 * else, so that the answer proves that connections are accepted, the loop turns and threads run.
 * While a question is under way no other is asked; one without an answer is told to the log only, and
 * the service manager ends a daemon it does not hear of.
 */
#include <crisvc-cri.h>
#include <cbase/io.h>
#include "log.h"
#include "notify.h"
#include "watchdog.h"

struct watchdog {
	struct daemon *d;
	struct loop_timer *timer;
	int64_t interval;		/* ns, half of what is allowed */
};

struct check {
	struct job job;
	struct watchdog *w;
	char *socket;
	int timeout_ms;
	int r;
	struct crisvc_error err;
};

static void check_run(struct job *job)
{
	struct check *c = (struct check *)job;
	struct crisvc_client *client = NULL;
	_cleanup_free_ void *reply = NULL;
	size_t n;

	c->r = crisvc_client_new(c->socket, &client, &c->err);
	if (!c->r)
		c->r = crisvc_client_call(client, crisvc_cri_method_by_name("Version")->path, NULL, 0, c->timeout_ms, &reply, &n,
					  &c->err);
	crisvc_client_free(client);
}

static void on_timer(void *user);

static void again(struct watchdog *w)
{
	if (w->d->watchdog && !w->timer && loop_timer(w->d->loop, mono_ns() + w->interval, on_timer, w, &w->timer))
		log_error("watchdog: out of memory");
}

static void check_done(struct job *job)
{
	struct check *c = (struct check *)job;
	struct watchdog *w = c->w;

	if (c->r)
		log_error("watchdog: the daemon does not answer on its own socket: %s", c->err.message);
	else
		notify("WATCHDOG=1");
	free(c->socket);
	free(c);
	again(w);
}

static void on_timer(void *user)
{
	struct watchdog *w = user;
	struct check *c = calloc(1, sizeof(*c));

	w->timer = NULL;
	if (w->d->ending) {
		free(c);
		return;
	}
	if (!c || !(c->socket = strdup(w->d->config->listen))) {
		free(c);
		again(w);
		return;
	}
	c->job = (struct job){ .run = check_run, .done = check_done };
	c->w = w;
	c->timeout_ms = (int)(w->interval / 1000000);
	jobs_submit(w->d->jobs, LANE_SELF, &c->job);
}

void watchdog_start(struct daemon *d)
{
	int64_t allowed = notify_watchdog_ns();

	if (!allowed)
		return;
	d->watchdog = arena_alloc(&d->arena, sizeof(*d->watchdog));
	if (!d->watchdog)
		return;
	*d->watchdog = (struct watchdog){ .d = d, .interval = allowed / 2 };
	on_timer(d->watchdog);
}

void watchdog_stop(struct daemon *d)
{
	if (d->watchdog)
		d->watchdog->timer = loop_cancel(d->watchdog->timer);
	d->watchdog = NULL;
}
