/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: its methods, its listening sockets, and the turns. One epoll descriptor, which is what
 * the application polls, has in it the sockets, a timerfd and the eventfd by which answering threads
 * wake us.
 *
 * A turn (crisvc_server_dispatch()) never blocks: take what epoll has, run timers, collect answers,
 * write what became ready, bury the dead. Connections (conn.c) are freed only at the end of a turn,
 * so nothing in it has to ask whether a pointer is still good.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cbase/cleanup.h>
#include <cbase/io.h>
#include <cbase/str.h>

#include "conn.h"
#include "crisvc.h"
#include "limit.h"
#include "private.h"
#include "server.h"

#define EVENTS_PER_TURN 64
#define ACCEPTS_PER_TURN 16

struct listener {
	struct source source;
	LIST_ENTRY(listener) link;
};

struct crisvc_server {
	struct host host;
	int epoll_fd;
	struct source wake, timer;
	int64_t timer_at; /* what the timerfd is set to */
	LIST_HEAD(, listener) listeners;
	struct conns conns;
	struct timer accept_pause;
	bool draining;
	atomic_uint stops;
	void (*http_fn)(struct crisvc_http *request, void *user);
	void *http_user;
	struct method *methods; /* sorted by path */
	size_t n_methods;
};

static struct crisvc_server *server_of(struct host *h)
{
	return (struct crisvc_server *)(void *)((char *)h - offsetof(struct crisvc_server, host));
}

/* ---- methods ---- */

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct method *)a)->path, ((const struct method *)b)->path);
}

static const struct method *find_method(struct host *h, const char *path)
{
	struct crisvc_server *s = server_of(h);
	union {
		const char *c;
		char *p;
	} u = { .c = path }; /* bsearch() only reads it */
	struct method key = { .path = u.p };

	if (!s->n_methods)
		return NULL;
	return bsearch(&key, s->methods, s->n_methods, sizeof(key), compare_paths);
}

/* Before the first connection only: streams keep pointers to methods. */
PUBLIC int crisvc_server_add_method(struct crisvc_server *s, const char *path, void *user)
{
	_cleanup_free_ char *copy = NULL;
	struct method *methods;

	if (!s || !path || path[0] != '/')
		return -EINVAL;
	if (s->conns.n || mailbox_pending(&s->host.box))
		return -EBUSY;
	if (find_method(&s->host, path))
		return -EEXIST;
	copy = strdup(path);
	methods = realloc(s->methods, (s->n_methods + 1) * sizeof(*methods));
	if (!copy || !methods) {
		if (methods)
			s->methods = methods;
		return -ENOMEM;
	}
	s->methods = methods;
	methods[s->n_methods++] = (struct method){ take(copy), user };
	qsort(methods, s->n_methods, sizeof(*methods), compare_paths);
	return 0;
}

/* ---- listening ---- */

static void resume_accepting(struct timer *t)
{
	struct crisvc_server *s =
		(struct crisvc_server *)(void *)((char *)t -
						 offsetof(struct crisvc_server, accept_pause));
	struct listener *l;

	LIST_FOREACH(l, &s->listeners, link)
	source_poll(s->epoll_fd, EPOLL_CTL_MOD, &l->source, EPOLLIN);
}

static void pause_accepting(struct crisvc_server *s)
{
	struct listener *l;

	if (timers_set(&s->host.timers, &s->accept_pause, s->host.now + LIMIT_ACCEPT_PAUSE_NS))
		return;
	LIST_FOREACH(l, &s->listeners, link)
	source_poll(s->epoll_fd, EPOLL_CTL_MOD, &l->source, 0);
}

static void listener_accept(struct crisvc_server *s, struct listener *l)
{
	int fd;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		fd = accept4(l->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			if (errno == ECONNABORTED || errno == EINTR)
				continue;
			if (errno != EAGAIN)
				pause_accepting(s); /* out of descriptors or memory */
			return;
		}
		conns_add(&s->conns, fd);
	}
}

static void listener_free(struct crisvc_server *s, struct listener *l)
{
	LIST_REMOVE(l, link);
	close_fd(l->source.fd);
	free(l);
}

PUBLIC int crisvc_server_listen(struct crisvc_server *s, int fd)
{
	int r, flags, listening = 0, type = 0;
	socklen_t len = sizeof(int);
	struct listener *l;

	if (!s || s->draining)
		return -EINVAL;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return -errno;
	if (!listening || type != SOCK_STREAM)
		return -EINVAL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
		return -errno;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->source = (struct source){ SOURCE_LISTENER, fd };
	r = source_poll(s->epoll_fd, EPOLL_CTL_ADD, &l->source, EPOLLIN);
	if (r) {
		free(l);
		return r;
	}
	LIST_INSERT_HEAD(&s->listeners, l, link);
	return 0;
}

/* ---- turns ---- */

static void drain_counter(int fd)
{
	uint64_t n;
	ssize_t r = read(fd, &n, sizeof(n));

	(void)r; /* EAGAIN: somebody was faster */
}

static void handle_event(struct crisvc_server *s, struct epoll_event *ev)
{
	struct source *src = ev->data.ptr;

	switch (src->kind) {
	case SOURCE_WAKE:
		drain_counter(src->fd);
		break;
	case SOURCE_TIMER:
		drain_counter(src->fd);
		s->timer_at = INT64_MAX;
		break;
	case SOURCE_LISTENER:
		listener_accept(s, (struct listener *)(void *)src);
		break;
	case SOURCE_CONN:
		conn_handle(src, ev->events);
		break;
	}
}

/*
 * The timerfd is only ever moved forward: most timers are unset before they are due, and one wake-
 * up for nothing is cheaper than two system calls per call.
 */
static int set_timer(struct crisvc_server *s)
{
	int64_t next = timers_next(&s->host.timers);
	struct itimerspec spec = {
		.it_value = { .tv_sec = next / SECOND_NS, .tv_nsec = next % SECOND_NS },
	};

	if (next >= s->timer_at)
		return 0;
	if (timerfd_settime(s->timer.fd, TFD_TIMER_ABSTIME, &spec, NULL))
		return -errno;
	s->timer_at = next;
	return 0;
}

/* What was answered goes to the connections, and out. */
static int flush(struct crisvc_server *s)
{
	mailbox_collect(&s->host.box);
	conns_attend(&s->conns);
	return set_timer(s);
}

int server_turn(struct crisvc_server *s, int timeout)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int n = epoll_wait(s->epoll_fd, events, EVENTS_PER_TURN, timeout);

	if (n < 0 && errno != EINTR)
		return -errno;
	s->host.now = mono_ns();
	for (int i = 0; i < n; i++)
		handle_event(s, &events[i]);
	timers_run(&s->host.timers, s->host.now);
	return flush(s);
}

PUBLIC int crisvc_server_dispatch(struct crisvc_server *s)
{
	return s ? server_turn(s, 0) : -EINVAL;
}

PUBLIC struct crisvc_call *crisvc_server_pop_call(struct crisvc_server *s)
{
	struct crisvc_call *c;
	bool news;

	if (!s)
		return NULL;
	c = mailbox_pop(&s->host.box, &news);
	if (c || !news)
		return c;
	s->host.now = mono_ns();
	if (flush(s))
		mailbox_wake(&s->host.box); /* the next turn will tell */
	return NULL;
}

PUBLIC size_t crisvc_server_pending(const struct crisvc_server *s)
{
	union {
		const struct crisvc_server *c;
		struct crisvc_server *p;
	} u = { .c = s };

	return s ? mailbox_pending(&u.p->host.box) : 0;
}

/* Also in a signal handler. */
PUBLIC void crisvc_server_stop(struct crisvc_server *s)
{
	int saved = errno;

	if (!s)
		return;
	atomic_fetch_add(&s->stops, 1);
	mailbox_wake(&s->host.box);
	errno = saved;
}

unsigned server_stops(const struct crisvc_server *s)
{
	return atomic_load(&s->stops);
}

bool server_idle(const struct crisvc_server *s)
{
	return !s->conns.n && !crisvc_server_pending(s);
}

PUBLIC int crisvc_server_drain(struct crisvc_server *s)
{
	struct listener *l;

	if (!s)
		return -EINVAL;
	if (s->draining)
		return 0;
	s->draining = true;
	s->host.now = mono_ns();
	timers_unset(&s->host.timers, &s->accept_pause);
	while ((l = LIST_FIRST(&s->listeners)))
		listener_free(s, l);
	conns_drain(&s->conns);
	mailbox_wake(&s->host.box); /* the next turn writes it */
	return 0;
}

static void on_http(struct host *h, struct crisvc_http *request)
{
	struct crisvc_server *s = server_of(h);

	s->http_fn(request, s->http_user);
}

PUBLIC int crisvc_server_set_http(struct crisvc_server *s,
				  void (*fn)(struct crisvc_http *h, void *user), void *user)
{
	if (!s || !fn)
		return -EINVAL;
	s->http_fn = fn;
	s->http_user = user;
	s->conns.http = true;
	return 0;
}

/* ---- life ---- */

PUBLIC int crisvc_server_new(struct crisvc_server **ret)
{
	struct crisvc_server *s;
	int r = 0;

	if (!ret)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	LIST_INIT(&s->listeners);
	s->timer_at = INT64_MAX;
	s->accept_pause.fn = resume_accepting;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->wake = (struct source){ SOURCE_WAKE, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	s->timer = (struct source){ SOURCE_TIMER,
				    timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK) };
	if (s->epoll_fd < 0 || s->wake.fd < 0 || s->timer.fd < 0)
		r = -errno;
	s->host.find_method = find_method;
	s->host.on_http = on_http;
	s->host.requests.max = LIMIT_REQUEST_BYTES;
	s->host.output.max = LIMIT_OUTPUT;
	s->host.max_recv = CRISVC_MESSAGE_MAX_DEFAULT;
	s->host.now = mono_ns();
	mailbox_init(&s->host.box, s->wake.fd, &s->host.requests, CRISVC_MESSAGE_MAX_DEFAULT);
	if (conns_init(&s->conns, &s->host, s->epoll_fd) && !r)
		r = -ENOMEM;
	if (!r)
		r = source_poll(s->epoll_fd, EPOLL_CTL_ADD, &s->wake, EPOLLIN);
	if (!r)
		r = source_poll(s->epoll_fd, EPOLL_CTL_ADD, &s->timer, EPOLLIN);
	if (r) {
		crisvc_server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

PUBLIC struct crisvc_server *crisvc_server_free(struct crisvc_server *s)
{
	struct listener *l;

	if (!s)
		return NULL;
	mailbox_silence(&s->host.box);
	conns_done(&s->conns);
	while ((l = LIST_FIRST(&s->listeners)))
		listener_free(s, l);
	mailbox_done(&s->host.box);
	timers_unset(&s->host.timers, &s->accept_pause);
	timers_done(&s->host.timers);
	for (size_t i = 0; i < s->n_methods; i++)
		free(s->methods[i].path);
	free(s->methods);
	close_fd(s->timer.fd);
	close_fd(s->wake.fd);
	close_fd(s->epoll_fd);
	free(s);
	return NULL;
}

PUBLIC int crisvc_server_set_max_message(struct crisvc_server *s, size_t recv, size_t send)
{
	if (!s || recv > UINT32_MAX || send > UINT32_MAX)
		return -EINVAL;
	s->host.max_recv = recv;
	s->host.box.max_send = send;
	return 0;
}

PUBLIC int crisvc_server_set_max_queued(struct crisvc_server *s, size_t bytes)
{
	if (!s)
		return -EINVAL;
	pthread_mutex_lock(&s->host.box.lock);
	s->host.box.max_queued = bytes;
	pthread_mutex_unlock(&s->host.box.lock);
	return 0;
}

PUBLIC int crisvc_server_set_keepalive(struct crisvc_server *s, int interval_ms)
{
	if (!s || interval_ms < 0)
		return -EINVAL;
	s->host.keepalive = interval_ms * (SECOND_NS / 1000);
	return 0;
}

PUBLIC int crisvc_server_get_fd(const struct crisvc_server *s)
{
	return s ? s->epoll_fd : -EINVAL;
}
