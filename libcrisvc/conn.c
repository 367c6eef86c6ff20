/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: its socket, what speaks on it, and the bytes that the socket did not take yet.
 *
 *	OPEN -> DEAD (error, end of file, evicted, stalled) -> freed by conns_attend()
 *
 * A connection is HTTP/1 until it shows that it is HTTP/2, when there is a handler for HTTP/1; without
 * one it is HTTP/2 from the beginning.
 *
 * An idle connection owns no buffers: reading and writing share one buffer of the server, and only
 * bytes that the socket did not take are copied.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cbase/cleanup.h>

#include "conn.h"
#include "http.h"
#include "limit.h"

struct conn {
	struct source source;
	struct conns *all;
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

int source_poll(int epoll_fd, int op, struct source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	return epoll_ctl(epoll_fd, op, src->fd, &ev) ? -errno : 0;
}

/* ---- what it is ---- */

static void want_attention(void *user)
{
	struct conn *c = user;

	if (c->wants_attention)
		return;
	c->wants_attention = true;
	STAILQ_INSERT_TAIL(&c->all->attention, c, attention);
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
	struct conns *all = c->all;

	LIST_REMOVE(c, link);
	all->n--;
	if (c->wants_attention)
		STAILQ_REMOVE(&all->attention, c, conn, attention);
	c->wants_attention = true; /* cancels calls: nothing to write any more */
	session_free(c->session);
	http_free(c->http);
	timers_unset(&all->host->timers, &c->stall);
	/* closing is not enough: a child between fork and exec has it open, and then it goes on telling of c */
	source_poll(all->epoll_fd, EPOLL_CTL_DEL, &c->source, 0);
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
static bool evict_idle(struct conns *all)
{
	struct conn *c, *first = NULL;

	LIST_FOREACH(c, &all->list, link)
	if (!c->dead && !conn_busy(c) && (!first || goes_before(c, first)))
		first = c;
	if (first)
		conn_kill(first);
	return first != NULL;
}

static int conn_new(struct conns *all, int fd_)
{
	_cleanup_close_ int fd = fd_;
	struct conn *c = calloc(1, sizeof(*c));
	int r, on = 1;

	if (!c)
		return -ENOMEM;
	/* answers are written whole; fails on unix sockets */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->source = (struct source){ SOURCE_CONN, fd };
	c->all = all;
	c->stall.fn = on_stall;
	c->idle_since = all->host->now;
	c->events = EPOLLIN;
	r = all->http ? http_new(all->host, c, &c->http) : session_new(all->host, c, &c->session);
	if (!r)
		r = source_poll(all->epoll_fd, EPOLL_CTL_ADD, &c->source, c->events);
	if (r) {
		session_free(c->session);
		http_free(c->http);
		free(c);
		return r;
	}
	take_fd(fd);
	LIST_INSERT_HEAD(&all->list, c, link);
	all->n++;
	want_attention(c); /* our SETTINGS */
	return 0;
}

static int become_http2(struct conn *c)
{
	struct http *http = take(c->http);
	const char *held;
	size_t n;
	int r = session_new(c->all->host, c, &c->session);

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
	struct conns *all = c->all;
	ssize_t n;

	for (int i = 0; i < IO_TURNS && !conn_choked(c); i++) {
		n = recv(c->source.fd, all->buf, IO_BUFFER, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0 || (n ? conn_feed(c, all->buf, (size_t)n) : conn_eof(c))) {
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
		timers_unset(&c->all->host->timers, &c->stall); /* progress */
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
			n = http_pull(c->http, c->all->buf, IO_BUFFER);
		else
			r = session_pull(c->session, c->all->buf, IO_BUFFER, &n);
		if (r || !n)
			break;
		r = conn_send(c, c->all->buf, n);
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
	struct host *h = c->all->host;
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
	return source_poll(c->all->epoll_fd, EPOLL_CTL_MOD, &c->source, events);
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
		c->idle_since = c->all->host->now;
	if (r || conn_done(c))
		conn_free(c);
}

/* ---- all of them ---- */

int conns_init(struct conns *all, struct host *host, int epoll_fd)
{
	*all = (struct conns){ .host = host, .epoll_fd = epoll_fd, .buf = malloc(IO_BUFFER) };
	LIST_INIT(&all->list);
	STAILQ_INIT(&all->attention);
	host->want_attention = want_attention;
	return all->buf ? 0 : -ENOMEM;
}

void conns_done(struct conns *all)
{
	struct conn *c;

	while ((c = LIST_FIRST(&all->list)))
		conn_free(c);
	free(take(all->buf));
}

void conns_add(struct conns *all, int fd)
{
	if (all->n >= LIMIT_CONNECTIONS && !evict_idle(all))
		close_fd(fd);
	else
		conn_new(all, fd);
}

void conn_handle(struct source *src, uint32_t events)
{
	struct conn *c = (struct conn *)(void *)((char *)src - offsetof(struct conn, source));

	/* after its end of file: it does not read either any more */
	if (c->eof && events & (EPOLLERR | EPOLLHUP))
		c->dead = true;
	else if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		conn_read(c);
	want_attention(c);
}

/* Freeing a connection cancels calls, which changes no other connection: the list only shrinks. */
void conns_attend(struct conns *all)
{
	struct conn *c;

	while ((c = STAILQ_FIRST(&all->attention))) {
		STAILQ_REMOVE_HEAD(&all->attention, attention);
		c->wants_attention = false;
		conn_attend(c);
	}
}

void conns_drain(struct conns *all)
{
	struct conn *c;

	LIST_FOREACH(c, &all->list, link)
	{
		if (c->http)
			http_drain(c->http);
		else
			session_drain(c->session);
	}
}
