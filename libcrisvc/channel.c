/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A socket and nghttp2's side of a client on it. Nobody reads the socket between calls; what the
 * server said meanwhile (GOAWAY, closing) is looked at when the next one begins.
 *
 * Whoever waits for one exchange moves the bytes of all. Those that nobody waits for are held back by
 * flow control: the window of a stream with messages that were not taken does not grow, that of the
 * connection does, so a stream that is not read delays no other call.
 *
 * An exchange is in the list from its submission until it is dropped or the connection is lost; the
 * stream of nghttp2 points to it and to nothing when it is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cbase/cleanup.h>
#include <cbase/err.h>
#include <cbase/io.h>

#include "channel.h"
#include "limit.h"
#include "nv.h"
#include "text.h"

#define READ_SIZE ((size_t)64 << 10)

/* ---- events of nghttp2 ---- */

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *user)
{
	struct exchange *x = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);

	if (x && !exchange_on_header(x, name, name_len, value, value_len))
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
		   void *user)
{
	struct exchange *x = nghttp2_session_get_stream_user_data(h2, id);

	if (nghttp2_session_consume_connection(h2, n))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (!x || x->code)
		return 0;
	/* while a message waits no more may come; one that is half here must */
	if (STAILQ_EMPTY(&x->replies))
		nghttp2_session_consume_stream(h2, id, n);
	else
		x->held += n;
	exchange_on_data(x, p, n);
	return 0;
}

static int on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
	struct channel *ch = user;

	if (frame->hd.type == NGHTTP2_GOAWAY)
		ch->goaway = true;
	return 0;
}

/* An own GOAWAY with an error: nghttp2 has seen nonsense. */
static int before_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
	struct channel *ch = user;

	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
		ch->nonsense = true;
	return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error_code, void *user)
{
	struct exchange *x = nghttp2_session_get_stream_user_data(h2, id);

	if (x) {
		x->done = true;
		x->h2_error = error_code;
	}
	return 0;
}

static ssize_t read_request(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t size,
			    uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct exchange *x = nghttp2_session_get_stream_user_data(h2, id);
	struct message *m = x ? x->request : NULL;
	size_t n;

	if (!m)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* dropped meanwhile */
	n = m->len - m->sent < size ? m->len - m->sent : size;
	memcpy(buf, m->data + m->sent, n);
	m->sent += n;
	if (m->sent == m->len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

/* ---- life ---- */

void channel_init(struct channel *ch, const char *path)
{
	*ch = (struct channel){ .addr.sun_family = AF_UNIX, .fd = -1 };
	memcpy(ch->addr.sun_path, path, strlen(path));
	LIST_INIT(&ch->exchanges);
}

void channel_disconnect(struct channel *ch)
{
	struct exchange *x;

	while ((x = LIST_FIRST(&ch->exchanges))) {
		LIST_REMOVE(x, link);
		x->id = 0;
		if (!x->done && !x->code) {
			x->code = CRISVC_E_DISCONNECTED;
			x->why = "the connection was lost";
		}
	}
	nghttp2_session_del(take(ch->h2));
	ch->fd = close_fd(ch->fd);
	free(take(ch->tail));
	ch->goaway = ch->nonsense = false;
}

void channel_done(struct channel *ch)
{
	channel_disconnect(ch);
	metadata_done(&ch->metadata);
}

static int new_h2(struct channel *ch)
{
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_STREAM },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, LIMIT_HEADER_BYTES },
	};
	nghttp2_session_callbacks *cb = NULL;
	nghttp2_option *option = NULL;
	int r = -ENOMEM;

	if (!nghttp2_session_callbacks_new(&cb) && !nghttp2_option_new(&option)) {
		nghttp2_option_set_no_auto_window_update(option, 1);
		nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
		nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
		nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
		nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
		nghttp2_session_callbacks_set_before_frame_send_callback(cb, before_frame_send);
		r = nghttp2_session_client_new2(&ch->h2, cb, ch, option) ? -ENOMEM : 0;
	}
	nghttp2_session_callbacks_del(cb);
	nghttp2_option_del(option);
	if (r)
		return r;
	if (nghttp2_submit_settings(ch->h2, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings)) ||
	    nghttp2_session_set_local_window_size(ch->h2, NGHTTP2_FLAG_NONE, 0, WINDOW_CONNECTION))
		return -ENOMEM;
	return 0;
}

static int disconnected(struct crisvc_error *err, int errnum, const char *what)
{
	if (errnum)
		err_sysr(err, -errnum, "%s", what);
	else
		err_set(err, CRISVC_E_DISCONNECTED, "%s", what);
	if (err)
		err->code = CRISVC_E_DISCONNECTED;
	return CRISVC_E_DISCONNECTED;
}

int channel_open(struct channel *ch, int fd_, struct crisvc_error *err)
{
	_cleanup_close_ int fd = fd_;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return err_sys(err, "set a socket option");
	if (new_h2(ch)) {
		nghttp2_session_del(take(ch->h2));
		return err_oom(err);
	}
	ch->fd = take_fd(fd);
	return 0;
}

/* A unix socket whose backlog is full makes connect() wait; SO_SNDTIMEO bounds that. */
static int connect_channel(struct channel *ch, int64_t deadline, struct crisvc_error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval tv = { 0 };
	int64_t left;

	if (fd < 0)
		return err_sys(err, "make a socket");
	if (deadline) {
		left = deadline - mono_ns();
		if (left <= 0)
			return exchange_expired(err);
		tv = (struct timeval){ left / SECOND_NS, left % SECOND_NS / 1000 + 1 };
		if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)))
			return err_sys(err, "set a socket option");
	}
	while (connect(fd, (struct sockaddr *)&ch->addr, sizeof(ch->addr))) {
		if (errno == EAGAIN)
			return exchange_expired(err);
		if (errno != EINTR) {
			char what[sizeof(ch->addr.sun_path) + 16];

			snprintf(what, sizeof(what), "connect %s", ch->addr.sun_path);
			return disconnected(err, errno, what);
		}
	}
	return channel_open(ch, take_fd(fd), err);
}

/* ---- bytes ---- */

static int flush_tail(struct channel *ch)
{
	ssize_t sent;

	while (ch->tail && ch->tail_sent < ch->tail_len) {
		sent = send(ch->fd, ch->tail + ch->tail_sent, ch->tail_len - ch->tail_sent,
			    MSG_NOSIGNAL);
		if (sent < 0)
			return -errno;
		ch->tail_sent += (size_t)sent;
	}
	free(take(ch->tail));
	return 0;
}

/* Gives the socket what it takes. 0, or negative errno. */
static int flush(struct channel *ch)
{
	const uint8_t *p;
	ssize_t n, sent;
	int r;

	for (;;) {
		r = flush_tail(ch);
		if (r)
			return r == -EAGAIN ? 0 : r;
		n = nghttp2_session_mem_send(ch->h2, &p);
		if (n <= 0)
			return n < 0 ? -EPROTO : 0;
		sent = send(ch->fd, p, (size_t)n, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN)
			return -errno;
		if (sent < 0)
			sent = 0;
		if (sent == n)
			continue;
		ch->tail_len = (size_t)(n - sent);
		ch->tail_sent = 0;
		ch->tail = malloc(ch->tail_len);
		if (!ch->tail)
			return -ENOMEM;
		memcpy(ch->tail, p + sent, ch->tail_len);
	}
}

/* Is there something that who waits for x wants to know? */
static bool has_news(const struct exchange *x)
{
	return x->done || x->code || (!x->unary && !STAILQ_EMPTY(&x->replies));
}

/* Takes what the socket has, until there is news of x (if given). 0; -ECONNRESET at its end. */
static int receive(struct channel *ch, const struct exchange *x)
{
	_cleanup_free_ unsigned char *buf = malloc(READ_SIZE);
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	for (;;) {
		n = recv(ch->fd, buf, READ_SIZE, MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0)
			return -ECONNRESET;
		if (nghttp2_session_mem_recv(ch->h2, buf, (size_t)n) < 0)
			return -EPROTO;
		if (x && has_news(x))
			return 0;
	}
}

/* ---- calls ---- */

/* Is the connection of the last call still good? If not, connect. */
static int make_connection(struct channel *ch, int64_t deadline, struct crisvc_error *err)
{
	if (ch->h2 && (receive(ch, NULL) || ch->goaway || !nghttp2_session_want_read(ch->h2) ||
		       !nghttp2_session_check_request_allowed(ch->h2)))
		channel_disconnect(ch);
	return ch->h2 ? 0 : connect_channel(ch, deadline, err);
}

#define HEADERS_MAX (8 + LIMIT_TRAILERS)

int channel_submit(struct channel *ch, struct exchange *x, const char *path,
		   struct crisvc_error *err)
{
	nghttp2_data_provider body = { .read_callback = read_request };
	char timeout[TEXT_TIMEOUT_MAX];
	nghttp2_nv nv[HEADERS_MAX] = {
		header(":method", "POST"),
		header(":scheme", "http"),
		header(":path", path),
		header(":authority", "localhost"),
		header("content-type", "application/grpc"),
		header("te", "trailers"),
		header("user-agent", "libcrisvc/0.1"),
	};
	const char *name, *value;
	size_t n = 7;
	int r = make_connection(ch, x->deadline, err);

	if (r)
		return r;
	if (x->deadline) {
		text_format_timeout(x->deadline - mono_ns(), timeout);
		nv[n++] = header("grpc-timeout", timeout);
	}
	for (size_t i = 0; (name = metadata_at(&ch->metadata, i, &value)); i++)
		nv[n++] = header(name, value);
	x->id = nghttp2_submit_request(ch->h2, NULL, nv, n, &body, x);
	if (x->id < 0) {
		r = x->id;
		x->id = 0;
		return err_set(err, CRISVC_E_PROTOCOL, "%s: %s", path, nghttp2_strerror(r));
	}
	LIST_INSERT_HEAD(&ch->exchanges, x, link);
	return 0;
}

/* 0 when the socket is worth looking at. */
static int wait_for_peer(struct channel *ch, const struct exchange *x, int64_t until,
			 struct crisvc_error *err)
{
	struct pollfd p = { .fd = ch->fd, .events = POLLIN | (ch->tail ? POLLOUT : 0) };
	int64_t end = x->deadline && (!until || x->deadline < until) ? x->deadline : until, left;
	int64_t now = mono_ns();
	struct timespec ts;
	int n;

	if (x->deadline && now >= x->deadline)
		return exchange_expired(err);
	left = end > now ? end - now : 0;
	ts = (struct timespec){ left / SECOND_NS, left % SECOND_NS };
	n = ppoll(&p, 1, end ? &ts : NULL, NULL);
	if (n < 0 && errno != EINTR)
		return err_sys(err, "poll");
	if (n)
		return 0;
	if (x->deadline && mono_ns() >= x->deadline)
		return exchange_expired(err);
	return err_set(err, CRISVC_E_AGAIN, "nothing came yet");
}

int channel_run(struct channel *ch, struct exchange *x, int64_t until, struct crisvc_error *err)
{
	int r, sent;

	while (ch->h2) {
		sent = flush(ch);
		if (has_news(x))
			return 0;
		if (!sent && !ch->nonsense) {
			r = wait_for_peer(ch, x, until, err);
			if (r)
				return r;
		}
		/*
		 * even when sending failed: the server may have answered and closed before it read
		 * everything
		 */
		r = receive(ch, x);
		if (has_news(x))
			continue;
		if (r)
			flush(ch); /* what nghttp2 thinks of it, before the end is told */
		if (r == -ENOMEM || sent == -ENOMEM)
			return err_oom(err);
		if (r == -EPROTO || sent == -EPROTO || ch->nonsense)
			return err_set(err, CRISVC_E_PROTOCOL, "the server does not speak HTTP/2");
		if (r || sent)
			return disconnected(err, 0, "the server closed the connection");
	}
	return has_news(x) ? 0 : disconnected(err, 0, "the connection was lost");
}

void channel_resume(struct channel *ch, struct exchange *x)
{
	if (x->id && x->held && !x->done)
		nghttp2_session_consume_stream(ch->h2, x->id, x->held);
	x->held = 0;
}

void channel_drop(struct channel *ch, struct exchange *x)
{
	if (!x->id)
		return;
	LIST_REMOVE(x, link);
	nghttp2_session_set_stream_user_data(ch->h2, x->id, NULL);
	if (!x->done) {
		nghttp2_submit_rst_stream(ch->h2, NGHTTP2_FLAG_NONE, x->id, NGHTTP2_CANCEL);
		if (flush(ch))
			channel_disconnect(ch);
	}
	x->id = 0;
}
