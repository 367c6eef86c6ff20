/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See signals.h. Ending in order: no new calls, and no socket for them; what runs may finish, for
 * END_SECONDS at most. What is half done would be undone by the next start, but whole is better.
 */
#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <cbase/io.h>
#include "containers.h"
#include "events.h"
#include "log.h"
#include "notify.h"
#include "pods.h"
#include "pulls.h"
#include "reload.h"
#include "signals.h"

#define END_SECONDS 20			/* running operations may take this long after SIGTERM */

static const int handled[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };

struct signals {
	struct daemon *d;
	int fd;
	struct loop_source *source;
	struct loop_timer *timer;
};

/* ---- the end ---- */

/* An exec or a pull ends in an operation, so "no operation left" is the moment to look. */
static void end_when_idle(void *user)
{
	struct daemon *d = user;

	if (d->ending && jobs_running(d->jobs) == 0 && !d->execs && !d->pulls)
		loop_quit(d->loop);
}

static void on_end_deadline(void *user)
{
	struct signals *s = user;

	s->timer = NULL;
	log_warn("operations still run; the next start undoes or finishes them");
	loop_quit(s->d->loop);
}

static void begin_end(struct signals *s, const char *why)
{
	struct daemon *d = s->d;

	log_info("%s: ending; containers go on", why);
	notify("STOPPING=1\nSTATUS=waiting for what runs");
	d->ending = true;
	events_end(d);
	/* at once: the next daemon may then listen there, and its socket is not ours */
	unlink(d->config->listen);
	crisvc_server_drain(d->server);
	jobs_on_idle(d->jobs, end_when_idle, d);
	loop_timer(d->loop, mono_ns() + END_SECONDS * 1000000000ll, on_end_deadline, s, &s->timer);
	end_when_idle(d);
}

/* ---- the others ---- */

static void tell_state(struct daemon *d)
{
	struct mallinfo2 heap = mallinfo2();
	struct container *c;
	struct pod *p;

	log_info("SIGUSR1: %zu operations, %zu pulls, %zu execs, %zu operation threads, %zu bytes of heap", jobs_running(d->jobs),
		 pulls_count(d), d->execs, jobs_threads(d->jobs), heap.uordblks + heap.hblkhd);
	for (p = d->pods; p; p = p->next) {
		log_info("pod %s (%s): %s%s%s", p->info->id, p->info->name, pod_state_name(p->state), p->busy ? ", an operation runs" : "",
			 pod_visible(p) ? "" : ", not listed");
		for (c = p->containers; c; c = c->next)
			log_info("container %s (%s): %s%s", c->info->id, c->info->name, container_state_name(c->state),
				 c->busy ? ", an operation runs" : "");
	}
}

static void on_signal(void *user, uint32_t events)
{
	struct signals *s = user;
	struct signalfd_siginfo info;

	while (read(s->fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGHUP:
			log_info("SIGHUP: reading the configuration again");
			reload(s->d);
			break;
		case SIGUSR1:
			tell_state(s->d);
			break;
		case SIGUSR2:
			log_info("SIGUSR2: %s", malloc_trim(0) ? "gave memory back" : "there is no memory to give back");
			break;
		default:
			if (s->d->ending)
				loop_quit(s->d->loop);	/* asked twice: at once */
			else
				begin_end(s, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
		}
	}
}

static void handled_set(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_SIZE(handled); i++)
		sigaddset(set, handled[i]);
}

int signals_start(struct daemon *d, struct cb_error *err)
{
	struct signals *s = arena_alloc(&d->arena, sizeof(*s));
	sigset_t set;

	if (!s)
		return err_oom(err);
	handled_set(&set);
	*s = (struct signals){ .d = d, .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) };
	if (s->fd < 0)
		return err_sys(err, "make a signalfd");
	d->signals = s;
	return loop_add(d->loop, s->fd, EPOLLIN, on_signal, s, &s->source) ? err_oom(err) : 0;
}

void signals_stop(struct daemon *d)
{
	struct signals *s = d->signals;

	if (!s)
		return;
	loop_remove(s->source);
	loop_cancel(s->timer);
	close_fd(s->fd);
	d->signals = NULL;
}

void signals_block(void)
{
	sigset_t set;

	handled_set(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}
