/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: bytes of the client are read into c->in and given to the protocol, which answers and
 * sends through c->out.
 *
 *	OPEN -> FLUSHING	nothing more is to be said; the rest of c->out is sent
 *	     -> LINGERING	all sent and shut down; the client reads it and closes
 *	     -> DEAD		any time: broken, too late, or done
 *
 * What the client sends while FLUSHING or LINGERING is read and dropped, or it might never read.
 *
 * Backpressure: with c->blocked (a process does not take its input) or too much in c->out, the client
 * is not read; that it goes away is seen all the same, by EPOLLRDHUP. With little room in c->out
 * conn_room() is 0, processes are not read, and c->full asks conn_flush() to pump them later.
 */
#include "private.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include "tls.h"

static void on_timer(struct timer *t);
static void on_conn(struct source *x, uint32_t events);

/* ---- what to wait for ---- */

static bool may_parse(const struct conn *c)
{
	return !c->blocked && c->out.len <= BOUND_OUT_HARD;
}

static void conn_watch(struct conn *c)
{
	uint32_t events = 0;

	if (c->state == CONN_DEAD)
		return;
	if (c->state == CONN_OPEN)
		events = EPOLLRDHUP | (may_parse(c) ? EPOLLIN : 0);
	else if (!c->ended)
		events = EPOLLIN;
	if (c->out.len || c->tls_wants_write)
		events |= EPOLLOUT;
	if (source_watch(c->server, &c->source, events))
		conn_abort(c);
}

static void arm(struct conn *c)
{
	int64_t when = c->limit ? c->limit : INT64_MAX, idle = c->server->idle_ns;

	if (c->state == CONN_OPEN && idle && idle < INT64_MAX - c->active && c->active + idle < when)
		when = c->active + idle;
	if (!c->quiet && c->active + BOUND_QUIET_NS < when)
		when = c->active + BOUND_QUIET_NS;
	if (when == INT64_MAX)
		timers_unset(&c->server->timers, &c->timer);
	else if (timers_set(&c->server->timers, &c->timer, when))
		conn_abort(c);
}

static void touch(struct conn *c)
{
	c->active = mono_ns();
	if (c->quiet) {
		c->quiet = false;
		arm(c);
	}
}

static void queue(struct conn *c)
{
	if (c->queued || c->state == CONN_DEAD)
		return;
	c->queued = true;
	c->next_ready = c->server->ready;
	c->server->ready = c;
}

/* ---- birth and death ---- */

int conn_new(struct crisvc_streaming *s, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct conn){ .next = s->conns, .server = s, .source = { fd, 0, on_conn },
			    .timer.fn = on_timer, .protocol = &http_protocol, .active = mono_ns() };
	if (s->tls) {
		c->tls = tls_open(s->tls, fd);
		if (!c->tls) {
			free(c);
			return -ENOMEM;
		}
	}
	s->conns = c;
	s->n_conns++;
	c->limit = c->active + BOUND_HEAD_NS;
	arm(c);
	conn_watch(c);
	return 0;
}

static void unlist(struct conn *c)
{
	struct crisvc_streaming *s = c->server;
	struct conn **p;

	for (p = &s->conns; *p != c; p = &(*p)->next)
		;
	*p = c->next;
	s->n_conns--;
	for (p = &s->ready; *p; p = &(*p)->next_ready) {
		if (*p != c)
			continue;
		*p = c->next_ready;
		break;
	}
}

static void abandon_streams(struct conn *c)
{
	while (c->streams)
		stream_abandon(c->streams);
}

void conn_abort(struct conn *c)
{
	if (c->state == CONN_DEAD)
		return;
	c->state = CONN_DEAD;
	abandon_streams(c);
	timers_unset(&c->server->timers, &c->timer);
	c->tls = tls_close(c->tls);
	source_close(c->server, &c->source);
	buf_done(&c->in);
	buf_done(&c->out);
	c->request = request_unref(c->request);
	unlist(c);
	c->next_dead = c->server->dead_conns;
	c->server->dead_conns = c;
}

void conn_finish(struct conn *c, int r)
{
	if (c->state != CONN_OPEN)
		return;
	c->state = CONN_FLUSHING;
	abandon_streams(c);
	if (c->protocol->goodbye)
		c->protocol->goodbye(c, r);
	conn_deadline(c, BOUND_FLUSH_NS);
	conn_flush(c);
}

static void all_sent(struct conn *c)
{
	c->state = CONN_LINGERING;
	if (c->tls)
		tls_shutdown(c->tls);
	shutdown(c->source.fd, SHUT_WR);
	if (c->ended)
		conn_abort(c);
	else
		conn_deadline(c, BOUND_LINGER_NS);
}

void conn_deadline(struct conn *c, int64_t ns)
{
	if (c->state == CONN_DEAD)
		return;
	c->limit = ns ? mono_ns() + ns : 0;
	arm(c);
}

static void on_timer(struct timer *t)
{
	struct conn *c = container_of(t, struct conn, timer);
	int64_t now = mono_ns(), idle = c->server->idle_ns;

	if (c->limit && now >= c->limit) {
		if (c->state == CONN_OPEN)
			conn_finish(c, -ETIMEDOUT);
		else
			conn_abort(c);
		return;
	}
	if (c->state == CONN_OPEN && idle && now - c->active >= idle) {
		conn_finish(c, -ETIME);
		return;
	}
	if (!c->quiet && now - c->active >= BOUND_QUIET_NS) {
		c->quiet = true;
		if (!c->in.len)
			buf_done(&c->in);
		if (!c->out.len)
			buf_done(&c->out);
	}
	arm(c);
}

/* ---- to the client ---- */

void conn_write(struct conn *c, const void *p, size_t n)
{
	if (c->state != CONN_DEAD && !buf_append(&c->out, p, n))
		conn_abort(c);
}

size_t conn_room(struct conn *c)
{
	if (c->state == CONN_OPEN && c->out.len < BOUND_OUT)
		return BOUND_OUT - c->out.len;
	c->full = true;
	return 0;
}

/* Bytes sent; 0: not now; -1: broken. */
static ssize_t send_some(struct conn *c)
{
	ssize_t n;

	if (!c->tls) {
		n = send(c->source.fd, buf_bytes(&c->out), c->out.len, MSG_NOSIGNAL);
		return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -1;
	}
	n = tls_write(c->tls, buf_bytes(&c->out), c->out.len);
	return n > 0 ? n : n == TLS_BROKEN ? -1 : 0;
}

/* Was a stream told that there is no room, and is there some now? */
static bool has_room_again(const struct conn *c)
{
	return c->state == CONN_OPEN && c->full && c->out.len <= BOUND_OUT / 2;
}

static void pump_all(struct conn *c)
{
	struct crisvc_stream *x, *next;

	c->full = false;
	for (x = c->streams; x && c->state == CONN_OPEN; x = next) {
		next = x->next_of_conn;
		stream_pump(x);
	}
}

void conn_flush(struct conn *c)
{
	ssize_t n = 1;

	if (c->ends_with_streams && !c->streams && c->state == CONN_OPEN) {
		conn_finish(c, 0); /* comes back here */
		return;
	}
	while (c->state != CONN_DEAD && c->state != CONN_LINGERING && c->out.len && n > 0) {
		n = send_some(c);
		if (n < 0) {
			conn_abort(c);
			return;
		}
		buf_take(&c->out, (size_t)n);
		if (n)
			touch(c);
	}
	if (c->state == CONN_FLUSHING && !c->out.len)
		all_sent(c);
	/* may_parse() may have become true, or room is there again, and neither need make an event */
	if ((c->state == CONN_OPEN && c->in.len && may_parse(c)) || has_room_again(c))
		queue(c);
	conn_watch(c);
}

/* ---- from the client ---- */

static bool has_pending(struct conn *c)
{
	return c->protocol->pending && c->protocol->pending(c);
}

static void conn_parse(struct conn *c)
{
	ssize_t n;

	while (c->state == CONN_OPEN && may_parse(c) && (c->in.len || has_pending(c))) {
		n = c->protocol->feed(c, buf_bytes(&c->in), c->in.len);
		if (n < 0) {
			conn_finish(c, (int)n);
			return;
		}
		if (c->state == CONN_DEAD)
			return;
		buf_take(&c->in, (size_t)n);
		if (!n && !has_pending(c))
			return;
	}
}

/* Bytes read; 0: the end; -1: not now; -2: broken. */
static ssize_t receive_some(struct conn *c, uint8_t *p, size_t size)
{
	ssize_t n;

	if (!c->tls) {
		n = recv(c->source.fd, p, size, 0);
		return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? -1 : -2;
	}
	n = tls_read(c->tls, p, size);
	c->tls_wants_write = n == TLS_WANT_WRITE;
	return n >= 0 ? n : n == TLS_BROKEN ? -2 : -1;
}

static void on_end(struct conn *c)
{
	c->ended = true;
	/* in FLUSHING it may only have closed its own side */
	if (c->state != CONN_FLUSHING)
		conn_abort(c);
}

static void conn_read(struct conn *c)
{
	ssize_t n;

	for (int i = 0; i < TURNS && c->state != CONN_DEAD; i++) {
		uint8_t *p;

		if (c->state == CONN_OPEN && !may_parse(c))
			return;
		p = buf_reserve(&c->in, CHUNK);
		n = p ? receive_some(c, p, CHUNK) : -2;
		if (n == -1)
			return;
		if (n == 0) {
			on_end(c);
			return;
		}
		if (n < 0) {
			conn_abort(c);
			return;
		}
		touch(c);
		if (c->state != CONN_OPEN)
			continue;
		c->in.len += (size_t)n;
		conn_parse(c);
	}
	/* bytes that OpenSSL has read already make no event */
	if (c->tls)
		queue(c);
}

void conn_resume(struct conn *c)
{
	if (!c->blocked)
		return;
	c->blocked = false;
	queue(c);
}

void conn_run_ready(struct conn *c)
{
	if (c->state == CONN_OPEN)
		conn_parse(c);
	if (c->state != CONN_DEAD)
		conn_read(c);
	conn_flush(c);
	if (has_room_again(c))
		pump_all(c);
}

static void on_conn(struct source *x, uint32_t events)
{
	struct conn *c = container_of(x, struct conn, source);

	if (events & (EPOLLERR | EPOLLHUP)) {
		conn_abort(c);
		return;
	}
	if ((events & EPOLLIN) || ((events & EPOLLOUT) && c->tls_wants_write))
		conn_read(c);
	else if ((events & EPOLLRDHUP) && c->state == CONN_OPEN)
		conn_abort(c);
	conn_flush(c);
	if (has_room_again(c))
		pump_all(c);
}
