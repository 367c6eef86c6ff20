/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll, with timers kept in a list sorted by time (there are few: grace periods and sweeps) and a
 * queue of posted calls behind an eventfd. A source removed inside a batch of events is only freed
 * after the batch, so that a later event of the same batch finds it dead instead of gone. After each
 * callback the thread works for no request any more; a timer works for the one that set it.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <cbase/io.h>
#include "log.h"
#include "loop.h"

struct loop_source {
	struct loop *loop;
	int fd;
	void (*fn)(void *user, uint32_t events);	/* NULL: removed */
	void *user;
	struct loop_source *next_dead;
};

struct loop_timer {
	struct loop *loop;
	struct loop_timer *next;
	int64_t when;
	void (*fn)(void *user);
	void *user;
	struct log_request request;	/* of who set it */
};

struct post {
	struct post *next;
	void (*fn)(void *user);
	void *user;
};

struct loop {
	int epoll_fd, event_fd;
	bool quit;
	struct loop_source *dead, *posts_source;
	struct loop_timer *timers;
	pthread_mutex_t lock;	/* of the two below */
	struct post *first, **last;
};

static void run_posts(void *user, uint32_t events);

int loop_new(struct loop **ret)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	l->last = &l->first;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = l->epoll_fd < 0 || l->event_fd < 0 ? -errno :
		loop_add(l, l->event_fd, EPOLLIN, run_posts, l, &l->posts_source);
	if (r) {
		loop_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

static void free_dead(struct loop *l)
{
	struct loop_source *s;

	while ((s = l->dead)) {
		l->dead = s->next_dead;
		free(s);
	}
}

struct loop *loop_free(struct loop *l)
{
	struct loop_timer *t;
	struct post *p;

	if (!l)
		return NULL;
	loop_remove(l->posts_source);
	free_dead(l);
	while ((t = l->timers)) {
		l->timers = t->next;
		free(t);
	}
	while ((p = l->first)) {
		l->first = p->next;
		free(p);
	}
	close_fd(l->epoll_fd);
	close_fd(l->event_fd);
	pthread_mutex_destroy(&l->lock);
	free(l);
	return NULL;
}

int loop_add(struct loop *l, int fd, uint32_t events, void (*fn)(void *, uint32_t), void *user,
	     struct loop_source **ret)
{
	struct loop_source *s = calloc(1, sizeof(*s));
	struct epoll_event ev = { .events = events, .data.ptr = s };

	if (!s)
		return -ENOMEM;
	*s = (struct loop_source){ .loop = l, .fd = fd, .fn = fn, .user = user };
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		int r = -errno;

		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct loop_source *loop_remove(struct loop_source *s)
{
	if (!s)
		return NULL;
	epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	s->fn = NULL;
	s->next_dead = s->loop->dead;
	s->loop->dead = s;
	return NULL;
}

int loop_timer(struct loop *l, int64_t when, void (*fn)(void *), void *user, struct loop_timer **ret)
{
	struct loop_timer *t = calloc(1, sizeof(*t)), **at;

	if (!t)
		return -ENOMEM;
	*t = (struct loop_timer){ .loop = l, .when = when, .fn = fn, .user = user, .request = log_request_get() };
	for (at = &l->timers; *at && (*at)->when <= when; at = &(*at)->next)
		;
	t->next = *at;
	*at = t;
	*ret = t;
	return 0;
}

struct loop_timer *loop_cancel(struct loop_timer *t)
{
	struct loop_timer **at;

	if (!t)
		return NULL;
	for (at = &t->loop->timers; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	free(t);
	return NULL;
}

void loop_post(struct loop *l, void (*fn)(void *), void *user)
{
	struct post *p = malloc(sizeof(*p));
	uint64_t one = 1;

	/* a lost result would leave a caller waiting for ever: starting again is the better way out */
	if (!p)
		abort();
	*p = (struct post){ .fn = fn, .user = user };
	pthread_mutex_lock(&l->lock);
	*l->last = p;
	l->last = &p->next;
	pthread_mutex_unlock(&l->lock);
	(void)!write(l->event_fd, &one, sizeof(one));
}

static void run_posts(void *user, uint32_t events)
{
	struct loop *l = user;
	struct post *p, *next;
	uint64_t count;

	(void)!read(l->event_fd, &count, sizeof(count));
	pthread_mutex_lock(&l->lock);
	p = l->first;
	l->first = NULL;
	l->last = &l->first;
	pthread_mutex_unlock(&l->lock);
	for (; p; p = next) {
		next = p->next;
		p->fn(p->user);
		log_request_set(NULL);
		free(p);
	}
}

static void run_timers(struct loop *l)
{
	int64_t now = mono_ns();
	struct loop_timer *t;

	while ((t = l->timers) && t->when <= now) {
		void (*fn)(void *) = t->fn;
		void *user = t->user;

		l->timers = t->next;
		log_request_set(&t->request);
		free(t);
		fn(user);
		log_request_set(NULL);
	}
}

static int wait_ms(const struct loop *l)
{
	int64_t ns;

	if (!l->timers)
		return -1;
	ns = l->timers->when - mono_ns();
	if (ns <= 0)
		return 0;
	/* rounded up: waking early would only spin */
	return ns / 1000000 >= 3600000 ? 3600000 : (int)(ns / 1000000) + 1;
}

int loop_run(struct loop *l)
{
	struct epoll_event ev[32];
	struct loop_source *s;
	int i, n;

	while (!l->quit) {
		n = epoll_wait(l->epoll_fd, ev, ARRAY_SIZE(ev), wait_ms(l));
		if (n < 0 && errno != EINTR)
			return -errno;
		for (i = 0; i < n; i++) {
			s = ev[i].data.ptr;
			if (s->fn)
				s->fn(s->user, ev[i].events);
			log_request_set(NULL);
		}
		free_dead(l);
		run_timers(l);
	}
	return 0;
}

void loop_quit(struct loop *l)
{
	l->quit = true;
}
