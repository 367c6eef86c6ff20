/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One exec, one attach or one forwarded connection, between the backend's descriptors and the wires
 * of a client.
 *
 *	WAITING -> STARTING	all wires are there; the backend was asked
 *		-> RUNNING	it gave descriptors
 *		-> DONE		all was said, or the client left
 *
 * In DONE the stream may still be owed a crisvc_stream_exit() ("owned"); then it is released: done() is
 * called, and the memory goes at the end of the dispatch.
 *
 * Order at the end of an exec: all of stdout and stderr, their ends, then the status, its end, then the
 * connection. The status waits for the outputs to end, not for the process alone: a child of it may
 * have them, as with CRI-O.
 */
#include "private.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* conmon takes at most 32 KiB at once and would drop the rest of a packet. */
#define PACKET_MAX 16384

static void on_out(struct source *x, uint32_t events);
static void on_err(struct source *x, uint32_t events);
static void on_in(struct source *x, uint32_t events);
static void on_timer(struct timer *t);

static bool is_forward(const struct crisvc_stream *s)
{
	return s->request->kind == CRISVC_STREAM_PORT_FORWARD;
}

bool stream_has(const struct request *q, enum channel ch, int version)
{
	if (ch == CH_ERROR)
		return true;
	if (q->kind == CRISVC_STREAM_PORT_FORWARD)
		return ch == CH_STDIN || ch == CH_STDOUT;
	if (ch == CH_RESIZE)
		return (q->flags & CRISVC_STREAM_TTY) && version >= 3;
	return q->flags & (ch == CH_STDIN ? CRISVC_STREAM_STDIN : ch == CH_STDOUT ? CRISVC_STREAM_STDOUT : CRISVC_STREAM_STDERR);
}

/* ---- birth and death ---- */

struct crisvc_stream *stream_new(struct conn *c, unsigned port)
{
	struct crisvc_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct crisvc_stream){ .next = c->server->streams, .next_of_conn = c->streams, .server = c->server,
				     .conn = c, .request = request_ref(c->request), .port = port,
				     .in = { -1, 0, on_in }, .out = { { -1, 0, on_out }, { -1, 0, on_err } },
				     .timer.fn = on_timer };
	c->server->streams = s;
	c->server->n_streams++;
	c->streams = s;
	return s;
}

static void leave_conn(struct crisvc_stream *s)
{
	struct crisvc_stream **p;

	if (!s->conn)
		return;
	s->conn->protocol->detach(s);
	for (p = &s->conn->streams; *p != s; p = &(*p)->next_of_conn)
		;
	*p = s->next_of_conn;
	conn_resume(s->conn);
	s->conn = NULL;
}

static void close_all(struct crisvc_stream *s)
{
	source_close(s->server, &s->in);
	source_close(s->server, &s->out[0]);
	source_close(s->server, &s->out[1]);
	timers_unset(&s->server->timers, &s->timer);
	buf_done(&s->to_process);
	buf_done(&s->resize);
	s->in_closed = true;
}

void stream_free(struct crisvc_stream *s)
{
	struct crisvc_streaming *server = s->server;
	struct crisvc_stream **p;

	leave_conn(s);
	close_all(s);
	if (s->state != STREAM_WAITING && server->backend.done)
		server->backend.done(server->user, s);
	for (p = &server->streams; *p != s; p = &(*p)->next)
		;
	*p = s->next;
	server->n_streams--;
	s->request = request_unref(s->request);
	free(take(s->message));
	s->next_dead = server->dead_streams;
	server->dead_streams = s;
}

void stream_abandon(struct crisvc_stream *s)
{
	bool waiting = s->state == STREAM_WAITING;

	leave_conn(s);
	close_all(s);
	if (!s->owned) {
		stream_free(s);
		return;
	}
	if (!waiting && s->state != STREAM_DONE) {
		s->state = STREAM_DONE;
		if (s->server->backend.cancel)
			s->server->backend.cancel(s->server->user, s);
	}
}

void stream_wait(struct crisvc_stream *s)
{
	if (timers_set(&s->server->timers, &s->timer, mono_ns() + BOUND_PAIR_NS))
		stream_abandon(s);
}

void stream_start(struct crisvc_stream *s)
{
	timers_unset(&s->server->timers, &s->timer);
	s->state = STREAM_STARTING;
	s->owned = true;
	s->server->backend.start(s->server->user, s);
}

/* ---- the end ---- */

static void say(struct crisvc_stream *s, enum channel ch, const void *p, size_t n)
{
	if (s->conn)
		s->conn->protocol->send(s, ch, p, n);
}

static void finish(struct crisvc_stream *s, enum channel ch)
{
	if (s->conn)
		s->conn->protocol->finish(s, ch);
}

/* Of an exec or attach: with it ends the connection. */
static void complete(struct crisvc_stream *s)
{
	_cleanup_str_ struct str text = STR_INIT;
	struct conn *c = s->conn;

	close_all(s);
	finish(s, CH_STDOUT);
	finish(s, CH_STDERR);
	if (status_text(c->version, s->failed, s->code, s->message ? s->message : "", &text)) {
		conn_abort(c);
		return;
	}
	if (text.len)
		say(s, CH_ERROR, text.data, text.len);
	finish(s, CH_ERROR);
	finish(s, CH_STDIN);
	finish(s, CH_RESIZE);
	s->state = STREAM_DONE;
	conn_finish(c, 0); /* frees s, when the backend owes nothing */
}

/* Of a forwarded connection: the others on the same wire go on. */
static void complete_forward(struct crisvc_stream *s)
{
	struct conn *c = s->conn;

	if (s->failed) {
		say(s, CH_ERROR, s->message ? s->message : "failed", s->message ? strlen(s->message) : 6);
		finish(s, CH_ERROR);
		if (s->conn)
			c->protocol->reset(s);
	} else {
		finish(s, CH_STDOUT);
		finish(s, CH_ERROR);
	}
	s->state = STREAM_DONE;
	stream_free(s);
	conn_flush(c);
}

static void maybe_complete(struct crisvc_stream *s)
{
	if (!s->conn || s->state != STREAM_RUNNING || !s->out_done[0] || !s->out_done[1])
		return;
	if (!is_forward(s)) {
		if (s->request->kind != CRISVC_STREAM_EXEC || s->has_code || s->failed)
			complete(s);
		return;
	}
	if (s->in_closed) {
		complete_forward(s);
		return;
	}
	finish(s, CH_STDOUT);
	if (!s->finishing && !timers_set(&s->server->timers, &s->timer, mono_ns() + BOUND_HALF_NS))
		s->finishing = true;
	if (s->conn)
		conn_flush(s->conn);
}

/*
 * The rest of its wires did not come. Or: the connection has ended in the pod, the client goes on
 * sending, and may as long as that is taken.
 */
static void on_timer(struct timer *t)
{
	struct crisvc_stream *s = container_of(t, struct crisvc_stream, timer);

	if (s->state == STREAM_WAITING) {
		stream_abandon(s);
		return;
	}
	if (s->moved && !timers_set(&s->server->timers, t, mono_ns() + BOUND_HALF_NS)) {
		s->moved = false;
		return;
	}
	complete_forward(s);
}

/* ---- what is waited for ---- */

static void watch(struct crisvc_stream *s)
{
	uint32_t in = s->to_process.len ? EPOLLOUT : 0, events;
	int r = 0;

	if (s->state != STREAM_RUNNING || !s->conn)
		return;
	for (int i = 0; i < 2; i++) {
		enum channel ch = i ? CH_STDERR : CH_STDOUT;

		events = !s->out_done[i] && s->conn->protocol->room(s, ch) ? EPOLLIN : 0;
		if (!i && s->one_fd)
			events |= in;
		if (source_watch(s->server, &s->out[i], events))
			r = -1;
	}
	if (!s->one_fd && source_watch(s->server, &s->in, in))
		r = -1;
	if (r)
		conn_abort(s->conn);
}

/* ---- from the process to the client ---- */

static void out_end(struct crisvc_stream *s, int i)
{
	s->out_done[i] = true;
	if (s->flags & CRISVC_STREAM_IO_PACKETS)
		s->out_done[1] = true;
	if (i || !s->one_fd || s->in_closed)
		source_close(s->server, &s->out[i]);
	maybe_complete(s);
}

/* Not an end like others: the client should know that something is missing. */
static void connection_broke(struct crisvc_stream *s, int e)
{
	s->failed = true;
	s->message = strdup(strerror(e));
	complete_forward(s);
}

static bool wanted(const struct crisvc_stream *s, enum channel ch)
{
	return stream_has(s->request, ch, s->conn->version);
}

/* false: nothing more now, or ever. */
static bool read_once(struct crisvc_stream *s, int i)
{
	/* of a terminal, err is what is said about it */
	enum channel ch = i && !(s->request->flags & CRISVC_STREAM_TTY) ? CH_STDERR : CH_STDOUT;
	uint8_t *p = s->server->chunk;
	bool packets = s->flags & CRISVC_STREAM_IO_PACKETS;
	size_t room = s->conn->protocol->room(s, ch);
	ssize_t n;

	if (!room)
		return false;
	n = read(s->out[i].fd, p, packets ? CHUNK + 1 : room < CHUNK ? room : CHUNK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0 && is_forward(s)) {
		connection_broke(s, errno);
		return false;
	}
	if (n <= 0) { /* EIO: the terminal was closed by all */
		out_end(s, i);
		return false;
	}
	if (packets) {
		ch = p[0] == 3 ? CH_STDERR : CH_STDOUT;
		p++;
		n--;
	}
	s->moved = true;
	if (n && wanted(s, ch))
		s->conn->protocol->send(s, ch, p, (size_t)n);
	return true;
}

void stream_pump(struct crisvc_stream *s)
{
	struct conn *c = s->conn;

	for (int i = 0; i < 2; i++)
		for (int turn = 0; turn < TURNS && s->conn && s->state == STREAM_RUNNING && !s->out_done[i]; turn++) {
			if (!read_once(s, i))
				break;
			conn_flush(c);
		}
	watch(s);
	if (s->conn)
		conn_flush(c);
}

/* ---- from the client to the process ---- */

static void close_in(struct crisvc_stream *s)
{
	if (s->in_closed)
		return;
	s->in_closed = true;
	buf_done(&s->to_process);
	if (!s->one_fd)
		source_close(s->server, &s->in);
	else if (s->out_done[0])
		source_close(s->server, &s->out[0]);
	else if (s->is_socket)
		shutdown(s->out[0].fd, SHUT_WR);
}

/* Bytes written, 0 not now; -1 nobody reads. */
static ssize_t write_once(struct crisvc_stream *s, const uint8_t *p, size_t n)
{
	int fd = s->one_fd ? s->out[0].fd : s->in.fd;
	ssize_t w;

	if (fd < 0)
		return -1;
	if ((s->flags & CRISVC_STREAM_IO_PACKETS) && n > PACKET_MAX)
		n = PACKET_MAX;
	w = s->is_socket ? send(fd, p, n, MSG_NOSIGNAL) : write(fd, p, n);
	if (w < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -1;
	s->moved = true;
	return w;
}

/* As much as is taken now; false: nobody reads any more. */
static bool write_some(struct crisvc_stream *s, const uint8_t *p, size_t n, size_t *ret)
{
	ssize_t w = 1;

	for (*ret = 0; *ret < n && w > 0; *ret += w > 0 ? (size_t)w : 0)
		w = write_once(s, p + *ret, n - *ret);
	return w >= 0;
}

static void in_broken(struct crisvc_stream *s)
{
	size_t n = s->to_process.len;

	close_in(s);
	if (s->conn && n)
		s->conn->protocol->consumed(s, CH_STDIN, n);
	if (s->conn)
		conn_resume(s->conn);
	maybe_complete(s);
}

static void in_drained(struct crisvc_stream *s)
{
	if (!s->in_ended || s->to_process.len || s->state != STREAM_RUNNING || s->in_closed)
		return;
	close_in(s);
	if ((s->flags & CRISVC_STREAM_IO_ENDS_WITH_STDIN) && s->conn)
		complete(s);
	else
		maybe_complete(s);
}

static void drain(struct crisvc_stream *s)
{
	size_t n;
	bool alive;

	if (!s->to_process.len) {
		in_drained(s);
		return;
	}
	alive = write_some(s, buf_bytes(&s->to_process), s->to_process.len, &n);
	buf_take(&s->to_process, n);
	if (s->conn && n)
		s->conn->protocol->consumed(s, CH_STDIN, n);
	if (!alive) {
		in_broken(s);
		return;
	}
	if (s->conn && s->to_process.len <= BOUND_IN / 2)
		conn_resume(s->conn);
	in_drained(s);
}

static size_t receive_stdin(struct crisvc_stream *s, const uint8_t *p, size_t n)
{
	size_t written = 0, kept;

	if (s->in_closed || s->in_ended) {
		s->conn->protocol->consumed(s, CH_STDIN, n);
		return n;
	}
	if (s->state == STREAM_RUNNING && !s->to_process.len && !write_some(s, p, n, &written)) {
		in_broken(s);
		return n;
	}
	if (written)
		s->conn->protocol->consumed(s, CH_STDIN, written);
	kept = BOUND_IN - s->to_process.len;
	if (kept > n - written)
		kept = n - written;
	if (!buf_append(&s->to_process, p + written, kept)) {
		conn_abort(s->conn);
		return n;
	}
	if (written + kept < n)
		s->conn->blocked = true;
	watch(s);
	return written + kept;
}

/* Keys come one by one, so a frame with more than one byte is none of them. */
static bool detached(struct crisvc_stream *s, const uint8_t *p, size_t n)
{
	static const uint8_t ctrl_p = 0x10, ctrl_q = 0x11;

	if (!(s->flags & CRISVC_STREAM_IO_DETACH_KEYS))
		return false;
	if (!s->ctrl_p && n == 1 && *p == ctrl_p) {
		s->ctrl_p = true;
		s->conn->protocol->consumed(s, CH_STDIN, 1);
		return true;
	}
	if (!s->ctrl_p)
		return false;
	s->ctrl_p = false;
	if (n == 1 && *p == ctrl_q) {
		complete(s);
		return true;
	}
	receive_stdin(s, &ctrl_p, 1);
	return false;
}

static void tell_size(struct crisvc_stream *s)
{
	if (s->state != STREAM_RUNNING || !s->width || !s->height)
		return;
	if (s->server->backend.resize)
		s->server->backend.resize(s->server->user, s, s->width, s->height);
	s->width = s->height = 0;
}

static void receive_resize(struct crisvc_stream *s, const uint8_t *p, size_t n)
{
	unsigned width, height;
	ssize_t used;

	if (n > BOUND_RESIZE - s->resize.len || !buf_append(&s->resize, p, n))
		buf_done(&s->resize);
	while (s->resize.len) {
		used = resize_parse((const char *)buf_bytes(&s->resize), s->resize.len, &width, &height);
		if (used == 0)
			break;
		if (used < 0) {
			buf_done(&s->resize);
			break;
		}
		buf_take(&s->resize, (size_t)used);
		if (!width || !height)
			continue;
		s->width = width;
		s->height = height;
		tell_size(s);
	}
}

size_t stream_receive(struct crisvc_stream *s, enum channel ch, const uint8_t *p, size_t n)
{
	if (ch == CH_STDIN && n) {
		if (s->state == STREAM_RUNNING && detached(s, p, n))
			return n;
		return s->conn ? receive_stdin(s, p, n) : n;
	}
	if (ch == CH_RESIZE)
		receive_resize(s, p, n);
	if (s->conn && n)
		s->conn->protocol->consumed(s, ch, n);
	return n;
}

void stream_receive_end(struct crisvc_stream *s, enum channel ch)
{
	if (ch != CH_STDIN)
		return;
	s->in_ended = true;
	in_drained(s);
}

/* ---- events of descriptors ---- */

static void on_event(struct crisvc_stream *s, uint32_t events, bool in)
{
	if (in || (s->one_fd && (events & EPOLLOUT)))
		drain(s);
	stream_pump(s);
}

static void on_out(struct source *x, uint32_t events)
{
	on_event(container_of(x, struct crisvc_stream, out[0]), events, false);
}

static void on_err(struct source *x, uint32_t events)
{
	on_event(container_of(x, struct crisvc_stream, out[1]), events, false);
}

static void on_in(struct source *x, uint32_t events)
{
	on_event(container_of(x, struct crisvc_stream, in), events, true);
}

/* ---- the backend's side ---- */

static void no_block(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void close_io(const struct crisvc_stream_io *io)
{
	close_fd(io->in);
	if (io->out != io->in)
		close_fd(io->out);
	close_fd(io->err);
}

PUBLIC void crisvc_stream_run(struct crisvc_stream *s, const struct crisvc_stream_io *io)
{
	struct stat st;

	server_kick(s->server);
	if (s->request->kind != CRISVC_STREAM_EXEC)
		s->owned = false;
	if (s->state != STREAM_STARTING) { /* the client left */
		close_io(io);
		if (!s->owned)
			stream_free(s);
		return;
	}
	no_block(io->in);
	no_block(io->out);
	no_block(io->err);
	s->one_fd = io->in >= 0 && io->in == io->out;
	s->in.fd = s->one_fd ? -1 : io->in;
	s->out[0].fd = io->out;
	s->out[1].fd = io->err;
	s->is_socket = io->in >= 0 && fstat(io->in, &st) == 0 && S_ISSOCK(st.st_mode);
	s->out_done[0] = io->out < 0;
	s->out_done[1] = io->err < 0;
	s->flags = io->flags;
	s->in_closed = io->in < 0;
	s->state = STREAM_RUNNING;
	tell_size(s);
	if (s->in_closed)
		in_broken(s);
	else
		drain(s);
	if (s->state == STREAM_RUNNING)
		stream_pump(s);
	maybe_complete(s);
}

/* How it ended is known. */
static void told(struct crisvc_stream *s)
{
	server_kick(s->server);
	s->owned = false;
	if (!s->conn) {
		stream_free(s);
		return;
	}
	if (s->state == STREAM_STARTING) {
		s->out_done[0] = s->out_done[1] = s->in_closed = true;
		s->state = STREAM_RUNNING;
	}
	maybe_complete(s);
}

PUBLIC void crisvc_stream_exit(struct crisvc_stream *s, int code)
{
	s->has_code = true;
	s->code = code;
	told(s);
}

PUBLIC void crisvc_stream_fail(struct crisvc_stream *s, const char *message)
{
	_cleanup_str_ struct str text = STR_INIT;
	size_t n = message ? strlen(message) : 0;

	str_append_utf8(&text, message ? message : "", n < BOUND_MESSAGE ? n : BOUND_MESSAGE);
	free(take(s->message));
	s->message = str_take(&text, NULL);
	s->failed = true;
	told(s);
}

PUBLIC int crisvc_stream_kind(const struct crisvc_stream *s)
{
	return s->request->kind;
}

PUBLIC int crisvc_stream_flags(const struct crisvc_stream *s)
{
	return s->request->flags;
}

PUBLIC void *crisvc_stream_data(const struct crisvc_stream *s)
{
	return s->request->data;
}

PUBLIC unsigned crisvc_stream_port(const struct crisvc_stream *s)
{
	return s->port;
}

PUBLIC void crisvc_stream_set_user(struct crisvc_stream *s, void *user)
{
	s->user = user;
}

PUBLIC void *crisvc_stream_user(const struct crisvc_stream *s)
{
	return s->user;
}
