/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O around the sessions: listening sockets, connections, a timerfd and the eventfd by which
 * answering threads wake us, all in one epoll descriptor, which is what the application polls.
 *
 * A turn (crisvc_server_dispatch()) never blocks: take what epoll has, run timers, collect answers,
 * write what became ready, bury the dead. Connections are freed only at the end of a turn, so
 * nothing in it has to ask whether a pointer is still good.
 *
 *	OPEN -> DEAD (error, end of file, evicted, stalled) -> freed at the end of the turn
 *
 * A connection is HTTP/1 until it shows that it is HTTP/2, when there is a handler for HTTP/1; without
 * one it is HTTP/2 from the beginning.
 *
 * An idle connection owns no buffers: reading and writing share one buffer of the server, and only
 * bytes that the socket did not take are copied.
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

#include "crisvc.h"
#include "http.h"
#include "limit.h"
#include "private.h"
#include "session.h"

#define EVENTS_PER_TURN 64
#define ACCEPTS_PER_TURN 16

/* What an epoll event points to. */
struct source {
	enum { SOURCE_WAKE, SOURCE_TIMER, SOURCE_LISTENER, SOURCE_CONN } kind;
	int fd;
};

struct conn {
	struct source source;
	struct crisvc_server *server;
	struct session *session; /* one of the two is there */
	struct http *http;
	LIST_ENTRY(conn) link;
	STAILQ_ENTRY(conn) attention;
	bool wants_attention;
	bool dead;
	bool eof;	     /* HTTP/1: the peer says no more */
	uint32_t events;     /* what epoll waits for */
	unsigned char *tail; /* bytes the socket did not take */
	size_t tail_len, tail_sent;
	uint64_t progress; /* conn_progress() when the stall timer was set */
	struct timer stall;
	int64_t idle_since; /* last time its last stream ended */
};

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
	LIST_HEAD(, conn) conns;
	size_t n_conns;
	STAILQ_HEAD(, conn) attention;
	struct timer accept_pause;
	bool draining;
	void (*http_fn)(struct crisvc_http *request, void *user);
	void *http_user;
	struct method *methods; /* sorted by path */
	size_t n_methods;
	unsigned char *buf; /* IO_BUFFER */
};

static struct crisvc_server *server_of(struct host *h)
{
	return (struct crisvc_server *)(void *)((char *)h - offsetof(struct crisvc_server, host));
}

static int poll_source(struct crisvc_server *s, int op, struct source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	return epoll_ctl(s->epoll_fd, op, src->fd, &ev) ? -errno : 0;
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
	if (s->n_conns || mailbox_pending(&s->host.box))
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

/* ---- connections ---- */

static void want_attention(void *user)
{
	struct conn *c = user;

	if (c->wants_attention)
		return;
	c->wants_attention = true;
	STAILQ_INSERT_TAIL(&c->server->attention, c, attention);
}

static void conn_kill(struct conn *c)
{
	c->dead = true;
	want_attention(c);
}

static void on_stall(struct timer *t)
{
	struct conn *c = (struct conn *)(void *)((char *)t - offsetof(struct conn, stall));

	conn_kill(c);
}

/* Calls, or a request of HTTP/1 that is whole: not to be ended for another connection. */
static bool conn_busy(const struct conn *c)
{
	return c->http ? http_busy(c->http) : session_streams(c->session) > 0;
}

static bool conn_choked(const struct conn *c)
{
	return c->http ? c->eof : session_choked(c->session);
}

static bool conn_has_output(const struct conn *c)
{
	return c->tail || (c->http ? http_has_output(c->http) : session_has_output(c->session));
}

static uint64_t conn_progress(const struct conn *c)
{
	return c->http ? http_progress(c->http) : session_progress(c->session);
}

static bool conn_done(const struct conn *c)
{
	return !c->tail && (c->http ? http_done(c->http) : session_done(c->session));
}

static void conn_free(struct conn *c)
{
	struct crisvc_server *s = c->server;

	LIST_REMOVE(c, link);
	s->n_conns--;
	if (c->wants_attention)
		STAILQ_REMOVE(&s->attention, c, conn, attention);
	c->wants_attention = true; /* cancels calls: nothing to write any more */
	session_free(c->session);
	http_free(c->http);
	timers_unset(&s->host.timers, &c->stall);
	close_fd(c->source.fd);
	free(c->tail);
	free(c);
}

/* Those that have not yet said what they want go first: a client of CRI may be idle for long. */
static bool goes_before(const struct conn *a, const struct conn *b)
{
	if (!a->http != !b->http)
		return a->http;
	return a->idle_since < b->idle_since;
}

/* A connection without calls makes room. */
static bool evict_idle(struct crisvc_server *s)
{
	struct conn *c, *first = NULL;

	LIST_FOREACH(c, &s->conns, link)
	if (!c->dead && !conn_busy(c) && (!first || goes_before(c, first)))
		first = c;
	if (first)
		conn_kill(first);
	return first != NULL;
}

static int conn_new(struct crisvc_server *s, int fd_)
{
	_cleanup_close_ int fd = fd_;
	struct conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->source = (struct source){ SOURCE_CONN, fd };
	c->server = s;
	c->stall.fn = on_stall;
	c->idle_since = s->host.now;
	c->events = EPOLLIN;
	r = s->http_fn ? http_new(&s->host, c, &c->http) : session_new(&s->host, c, &c->session);
	if (!r)
		r = poll_source(s, EPOLL_CTL_ADD, &c->source, c->events);
	if (r) {
		session_free(c->session);
		http_free(c->http);
		free(c);
		return r;
	}
	take_fd(fd);
	LIST_INSERT_HEAD(&s->conns, c, link);
	s->n_conns++;
	want_attention(c); /* our SETTINGS */
	return 0;
}

static int become_http2(struct conn *c)
{
	struct http *http = take(c->http);
	const char *held;
	size_t n;
	int r = session_new(&c->server->host, c, &c->session);

	held = http_held(http, &n);
	if (!r && n)
		r = session_feed(c->session, (const uint8_t *)held, n);
	if (r)
		c->http = http; /* one of the two */
	else
		http_free(http);
	return r;
}

static int conn_feed(struct conn *c, const unsigned char *p, size_t n)
{
	int r;

	if (c->http) {
		r = http_feed(c->http, (const char *)p, n);
		if (r == HTTP_IS_HTTP2)
			r = become_http2(c);
		if (r || c->http)
			return r;
	}
	return session_feed(c->session, p, n);
}

/* A client of HTTP/1 may end its side and still read. */
static int conn_eof(struct conn *c)
{
	c->eof = true;
	return c->http ? http_eof(c->http) : -ECONNRESET;
}

static void conn_read(struct conn *c)
{
	struct crisvc_server *s = c->server;
	ssize_t n;

	for (int i = 0; i < IO_TURNS && !conn_choked(c); i++) {
		n = recv(c->source.fd, s->buf, IO_BUFFER, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0 || (n ? conn_feed(c, s->buf, (size_t)n) : conn_eof(c))) {
			c->dead = true;
			break;
		}
		if ((size_t)n < IO_BUFFER)
			break;
	}
	want_attention(c);
}

/* Sends p; what the socket does not take becomes the tail. */
static int conn_send(struct conn *c, const unsigned char *p, size_t n)
{
	ssize_t sent;

	while (n) {
		sent = send(c->source.fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent < 0)
			return -errno;
		p += sent;
		n -= (size_t)sent;
	}
	if (!n)
		return 0;
	c->tail = malloc(n);
	if (!c->tail)
		return -ENOMEM;
	memcpy(c->tail, p, n);
	c->tail_len = n;
	c->tail_sent = 0;
	return 0;
}

static int conn_send_tail(struct conn *c)
{
	ssize_t sent;

	while (c->tail_sent < c->tail_len) {
		sent = send(c->source.fd, c->tail + c->tail_sent, c->tail_len - c->tail_sent,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN ? 0 : -errno;
		c->tail_sent += (size_t)sent;
		timers_unset(&c->server->host.timers, &c->stall); /* progress */
	}
	free(take(c->tail));
	return 0;
}

/* Writes until nothing is left, the socket is full, or others should have their turn. */
static int conn_write(struct conn *c, bool *ret_more)
{
	size_t n = 1;
	int r = conn_send_tail(c);

	for (int i = 0; !r && !c->tail && i < IO_TURNS; i++) {
		if (c->http)
			n = http_pull(c->http, c->server->buf, IO_BUFFER);
		else
			r = session_pull(c->session, c->server->buf, IO_BUFFER, &n);
		if (r || !n)
			break;
		r = conn_send(c, c->server->buf, n);
	}
	*ret_more = c->tail || n;
	if (!r && !*ret_more && c->http && http_all_said(c->http)) {
		shutdown(c->source.fd, SHUT_WR);
		r = http_linger(c->http);
	}
	return r;
}

/* Whoever has answers to take must take some of them within LIMIT_STALL_NS. */
static int watch_stall(struct conn *c)
{
	struct host *h = &c->server->host;
	uint64_t progress = conn_progress(c);

	if (!conn_has_output(c)) {
		timers_unset(&h->timers, &c->stall);
		return 0;
	}
	if (c->stall.pos && progress == c->progress)
		return 0;
	c->progress = progress;
	return timers_set(&h->timers, &c->stall, h->now + LIMIT_STALL_NS);
}

static int set_events(struct conn *c, bool more)
{
	uint32_t events = more ? EPOLLOUT : 0;

	if (!conn_choked(c))
		events |= EPOLLIN;
	if (events == c->events)
		return 0;
	c->events = events;
	return poll_source(c->server, EPOLL_CTL_MOD, &c->source, events);
}

static void conn_attend(struct conn *c)
{
	bool more = false;
	int r = c->dead ? -ECONNRESET : conn_write(c, &more);

	if (!r)
		r = watch_stall(c);
	if (!r)
		r = set_events(c, more);
	if (conn_busy(c))
		c->idle_since = c->server->host.now;
	if (r || conn_done(c))
		conn_free(c);
}

/* ---- listening ---- */

static void resume_accepting(struct timer *t)
{
	struct crisvc_server *s =
		(struct crisvc_server *)(void *)((char *)t -
						 offsetof(struct crisvc_server, accept_pause));
	struct listener *l;

	LIST_FOREACH(l, &s->listeners, link)
	poll_source(s, EPOLL_CTL_MOD, &l->source, EPOLLIN);
}

static void pause_accepting(struct crisvc_server *s)
{
	struct listener *l;

	if (timers_set(&s->host.timers, &s->accept_pause, s->host.now + LIMIT_ACCEPT_PAUSE_NS))
		return;
	LIST_FOREACH(l, &s->listeners, link)
	poll_source(s, EPOLL_CTL_MOD, &l->source, 0);
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
		if (s->n_conns >= LIMIT_CONNECTIONS && !evict_idle(s)) {
			close_fd(fd);
			continue;
		}
		conn_new(s, fd); /* what fails here only fails this client */
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
	r = poll_source(s, EPOLL_CTL_ADD, &l->source, EPOLLIN);
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

static void handle_conn(struct conn *c, uint32_t events)
{
	/* after its end of file: it does not read either any more */
	if (c->eof && events & (EPOLLERR | EPOLLHUP))
		c->dead = true;
	else if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		conn_read(c);
	want_attention(c);
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
		handle_conn((struct conn *)(void *)src, ev->events);
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

PUBLIC int crisvc_server_dispatch(struct crisvc_server *s)
{
	struct epoll_event events[EVENTS_PER_TURN];
	struct conn *c;
	int n;

	if (!s)
		return -EINVAL;
	n = epoll_wait(s->epoll_fd, events, EVENTS_PER_TURN, 0);
	if (n < 0 && errno != EINTR)
		return -errno;
	s->host.now = mono_ns();
	for (int i = 0; i < n; i++)
		handle_event(s, &events[i]);
	timers_run(&s->host.timers, s->host.now);
	mailbox_collect(&s->host.box);
	/*
	 * Freeing a connection cancels calls, which changes no other connection: the list only
	 * shrinks.
	 */
	while ((c = STAILQ_FIRST(&s->attention))) {
		STAILQ_REMOVE_HEAD(&s->attention, attention);
		c->wants_attention = false;
		conn_attend(c);
	}
	return set_timer(s);
}

PUBLIC struct crisvc_call *crisvc_server_pop_call(struct crisvc_server *s)
{
	return s ? mailbox_pop(&s->host.box) : NULL;
}

PUBLIC size_t crisvc_server_pending(const struct crisvc_server *s)
{
	union {
		const struct crisvc_server *c;
		struct crisvc_server *p;
	} u = { .c = s };

	return s ? mailbox_pending(&u.p->host.box) : 0;
}

PUBLIC int crisvc_server_drain(struct crisvc_server *s)
{
	struct listener *l;
	struct conn *c;

	if (!s)
		return -EINVAL;
	s->draining = true;
	s->host.now = mono_ns();
	timers_unset(&s->host.timers, &s->accept_pause);
	while ((l = LIST_FIRST(&s->listeners)))
		listener_free(s, l);
	LIST_FOREACH(c, &s->conns, link)
	{
		if (c->http)
			http_drain(c->http);
		else
			session_drain(c->session);
	}
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
	LIST_INIT(&s->conns);
	STAILQ_INIT(&s->attention);
	s->timer_at = INT64_MAX;
	s->accept_pause.fn = resume_accepting;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->wake = (struct source){ SOURCE_WAKE, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	s->timer = (struct source){ SOURCE_TIMER,
				    timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK) };
	if (s->epoll_fd < 0 || s->wake.fd < 0 || s->timer.fd < 0)
		r = -errno;
	s->host.find_method = find_method;
	s->host.want_attention = want_attention;
	s->host.on_http = on_http;
	s->host.requests.max = LIMIT_REQUEST_BYTES;
	s->host.output.max = LIMIT_OUTPUT;
	s->host.max_recv = CRISVC_MESSAGE_MAX_DEFAULT;
	s->host.now = mono_ns();
	mailbox_init(&s->host.box, s->wake.fd, &s->host.requests, CRISVC_MESSAGE_MAX_DEFAULT);
	s->buf = malloc(IO_BUFFER);
	if (!r && !s->buf)
		r = -ENOMEM;
	if (!r)
		r = poll_source(s, EPOLL_CTL_ADD, &s->wake, EPOLLIN);
	if (!r)
		r = poll_source(s, EPOLL_CTL_ADD, &s->timer, EPOLLIN);
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
	struct conn *c;

	if (!s)
		return NULL;
	mailbox_silence(&s->host.box);
	while ((c = LIST_FIRST(&s->conns)))
		conn_free(c);
	while ((l = LIST_FIRST(&s->listeners)))
		listener_free(s, l);
	mailbox_done(&s->host.box);
	timers_unset(&s->host.timers, &s->accept_pause);
	timers_done(&s->host.timers);
	for (size_t i = 0; i < s->n_methods; i++)
		free(s->methods[i].path);
	free(s->methods);
	free(s->buf);
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

PUBLIC int crisvc_server_get_fd(const struct crisvc_server *s)
{
	return s ? s->epoll_fd : -EINVAL;
}
