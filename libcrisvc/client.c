/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blocking client: one unary call at a time over a unix socket. Everything happens inside
 * crisvc_client_call(), so between calls nobody reads the socket; what the server said meanwhile
 * (GOAWAY, closing) is looked at when the next call begins, and then the client connects anew.
 *
 * A call is repeated on a new connection only when the server has said that it did not process it
 * (REFUSED_STREAM, or a GOAWAY that leaves it out): most CRI calls change something, so a
 * connection that breaks later is an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cbase/cleanup.h>
#include <cbase/err.h>
#include <cbase/io.h>
#include <cbase/str.h>

#include "call.h"
#include "crisvc.h"
#include "framer.h"
#include "limit.h"
#include "nv.h"
#include "private.h"
#include "text.h"

#define READ_SIZE ((size_t)64 << 10)

/* One call, on the stack of crisvc_client_call(). */
struct exchange {
	int32_t id;
	int64_t deadline; /* 0: none */
	struct message *request;
	struct framer framer;
	size_t header_size;
	bool done;	    /* the stream is closed */
	uint32_t h2_error;  /* it was closed with */
	int http_status;    /* 0: none seen */
	bool grpc;	    /* content-type */
	int status;	    /* -1: none seen */
	struct str message; /* decoded */
	int code;	    /* CRISVC_E_* found while receiving, or -ENOMEM */
	const char *why;
};

struct crisvc_client {
	struct sockaddr_un addr;
	int fd;
	nghttp2_session *h2;
	struct exchange *current;
	unsigned char *tail; /* bytes the socket did not take */
	size_t tail_len, tail_sent;
	bool goaway;   /* the server wants no more calls */
	bool nonsense; /* the server does not speak HTTP/2 */
};

/* ---- events of nghttp2 ---- */

static struct exchange *exchange_of(struct crisvc_client *c, int32_t id)
{
	return c->current && c->current->id == id ? c->current : NULL;
}

static void broken(struct exchange *x, int code, const char *why)
{
	if (x->code)
		return;
	x->code = code;
	x->why = why;
}

static bool named(const uint8_t *name, size_t n, const char *s)
{
	return n == strlen(s) && memcmp(name, s, n) == 0;
}

static int number(const uint8_t *p, size_t n)
{
	int v = 0;

	if (n == 0 || n > 3)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *user)
{
	struct exchange *x = exchange_of(user, frame->hd.stream_id);

	if (!x)
		return 0;
	x->header_size += name_len + value_len + 32;
	if (x->header_size > LIMIT_HEADER_BYTES) {
		broken(x, CRISVC_E_LIMIT, "the headers of the answer are too large");
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	if (named(name, name_len, ":status")) {
		x->http_status = number(value, value_len);
	} else if (named(name, name_len, "content-type")) {
		x->grpc = text_is_grpc((const char *)value, value_len);
	} else if (named(name, name_len, "grpc-status")) {
		x->status = number(value, value_len);
	} else if (named(name, name_len, "grpc-message")) {
		str_reset(&x->message);
		text_decode_message(&x->message, (const char *)value, value_len);
	}
	return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
		   void *user)
{
	struct exchange *x = exchange_of(user, id);
	size_t taken = 0;
	int r;

	if (!x || x->code || n == 0)
		return 0;
	if (framer_complete(&x->framer)) {
		broken(x, CRISVC_E_PROTOCOL, "the answer has more than one message");
		return 0;
	}
	r = framer_push(&x->framer, p, n, &taken);
	if (r == FRAMER_E_TOO_LARGE)
		broken(x, CRISVC_E_LIMIT, "the answer is larger than the limit for messages");
	else if (r == -ENOMEM)
		broken(x, -ENOMEM, "allocate memory");
	else if (r)
		broken(x, CRISVC_E_PROTOCOL, "the answer has a malformed message");
	else if (taken < n)
		broken(x, CRISVC_E_PROTOCOL, "the answer has more than one message");
	return 0;
}

static int on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
	struct crisvc_client *c = user;

	if (frame->hd.type == NGHTTP2_GOAWAY)
		c->goaway = true;
	return 0;
}

/* An own GOAWAY with an error: nghttp2 has seen nonsense. */
static int before_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
	struct crisvc_client *c = user;

	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
		c->nonsense = true;
	return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error_code, void *user)
{
	struct exchange *x = exchange_of(user, id);

	if (x) {
		x->done = true;
		x->h2_error = error_code;
	}
	return 0;
}

static ssize_t read_request(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t size,
			    uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct message *m = source->ptr;
	size_t n = m->len - m->sent < size ? m->len - m->sent : size;

	memcpy(buf, m->data + m->sent, n);
	m->sent += n;
	if (m->sent == m->len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

/* ---- connection ---- */

static void disconnect(struct crisvc_client *c)
{
	nghttp2_session_del(take(c->h2));
	c->fd = close_fd(c->fd);
	free(take(c->tail));
	c->goaway = c->nonsense = false;
}

static int new_session(struct crisvc_client *c)
{
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_STREAM },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, LIMIT_HEADER_BYTES },
	};
	nghttp2_session_callbacks *cb;
	int r;

	if (nghttp2_session_callbacks_new(&cb))
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_before_frame_send_callback(cb, before_frame_send);
	r = nghttp2_session_client_new(&c->h2, cb, c);
	nghttp2_session_callbacks_del(cb);
	if (r)
		return -ENOMEM;
	if (nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings)) ||
	    nghttp2_session_set_local_window_size(c->h2, NGHTTP2_FLAG_NONE, 0, WINDOW_CONNECTION))
		return -ENOMEM;
	return 0;
}

static int deadline_error(struct crisvc_error *err)
{
	err_set(err, CRISVC_E_DEADLINE, "the deadline passed");
	if (err)
		err->grpc_status = CRISVC_DEADLINE_EXCEEDED;
	return CRISVC_E_DEADLINE;
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

/* A unix socket whose backlog is full makes connect() wait; SO_SNDTIMEO bounds that. */
static int connect_socket(struct crisvc_client *c, int64_t deadline, struct crisvc_error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval tv = { 0 };
	int64_t left;
	int flags;

	if (fd < 0)
		return err_sys(err, "make a socket");
	if (deadline) {
		left = deadline - mono_ns();
		if (left <= 0)
			return deadline_error(err);
		tv = (struct timeval){ left / SECOND_NS, left % SECOND_NS / 1000 + 1 };
		if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)))
			return err_sys(err, "set a socket option");
	}
	while (connect(fd, (struct sockaddr *)&c->addr, sizeof(c->addr))) {
		if (errno == EAGAIN)
			return deadline_error(err);
		if (errno != EINTR) {
			char what[sizeof(c->addr.sun_path) + 16];

			snprintf(what, sizeof(what), "connect %s", c->addr.sun_path);
			return disconnected(err, errno, what);
		}
	}
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return err_sys(err, "set a socket option");
	if (new_session(c)) {
		nghttp2_session_del(take(c->h2));
		return err_oom(err);
	}
	c->fd = take_fd(fd);
	return 0;
}

/* Gives the socket what it takes. 0, or negative errno. */
static int flush(struct crisvc_client *c)
{
	const uint8_t *p;
	ssize_t n, sent;

	for (;;) {
		while (c->tail && c->tail_sent < c->tail_len) {
			sent = send(c->fd, c->tail + c->tail_sent, c->tail_len - c->tail_sent,
				    MSG_NOSIGNAL);
			if (sent < 0)
				return errno == EAGAIN ? 0 : -errno;
			c->tail_sent += (size_t)sent;
		}
		free(take(c->tail));
		n = nghttp2_session_mem_send(c->h2, &p);
		if (n <= 0)
			return n < 0 ? -EPROTO : 0;
		sent = send(c->fd, p, (size_t)n, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN)
			return -errno;
		if (sent < 0)
			sent = 0;
		if (sent == n)
			continue;
		c->tail_len = (size_t)(n - sent);
		c->tail_sent = 0;
		c->tail = malloc(c->tail_len);
		if (!c->tail)
			return -ENOMEM;
		memcpy(c->tail, p + sent, c->tail_len);
	}
}

/* Takes what the socket has. 0; -ECONNRESET at its end; negative errno. */
static int receive(struct crisvc_client *c)
{
	_cleanup_free_ unsigned char *buf = malloc(READ_SIZE);
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	for (;;) {
		n = recv(c->fd, buf, READ_SIZE, MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0)
			return -ECONNRESET;
		if (nghttp2_session_mem_recv(c->h2, buf, (size_t)n) < 0)
			return -EPROTO;
		if (c->current && c->current->done)
			return 0;
	}
}

/* Is the connection of the last call still good? If not, connect. */
static int make_connection(struct crisvc_client *c, int64_t deadline, struct crisvc_error *err)
{
	if (c->h2 && (receive(c) || c->goaway || !nghttp2_session_want_read(c->h2) ||
		      !nghttp2_session_check_request_allowed(c->h2)))
		disconnect(c);
	return c->h2 ? 0 : connect_socket(c, deadline, err);
}

/* ---- call ---- */

static int submit(struct crisvc_client *c, struct exchange *x, const char *path,
		  struct crisvc_error *err)
{
	nghttp2_data_provider body = { .source.ptr = x->request, .read_callback = read_request };
	char timeout[TEXT_TIMEOUT_MAX];
	size_t n;

	text_format_timeout(x->deadline ? x->deadline - mono_ns() : 0, timeout);
	nghttp2_nv nv[] = {
		header(":method", "POST"),
		header(":scheme", "http"),
		header(":path", path),
		header(":authority", "localhost"),
		header("content-type", "application/grpc"),
		header("te", "trailers"),
		header("user-agent", "libcrisvc/0.1"),
		header("grpc-timeout", timeout),
	};

	n = ARRAY_SIZE(nv) - (x->deadline ? 0 : 1);
	x->id = nghttp2_submit_request(c->h2, NULL, nv, n, &body, NULL);
	if (x->id < 0)
		return err_set(err, CRISVC_E_PROTOCOL, "%s: %s", path, nghttp2_strerror(x->id));
	c->current = x;
	return 0;
}

/* 0 when the socket is worth looking at. */
static int wait_for_peer(struct crisvc_client *c, const struct exchange *x,
			 struct crisvc_error *err)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN | (c->tail ? POLLOUT : 0) };
	struct timespec ts, *timeout = NULL;
	int64_t left;
	int n;

	if (x->deadline) {
		left = x->deadline - mono_ns();
		if (left <= 0)
			return deadline_error(err);
		ts = (struct timespec){ left / SECOND_NS, left % SECOND_NS };
		timeout = &ts;
	}
	n = ppoll(&p, 1, timeout, NULL);
	if (n < 0 && errno != EINTR)
		return err_sys(err, "poll");
	return 0;
}

/* Until the stream is closed. */
static int run(struct crisvc_client *c, struct exchange *x, struct crisvc_error *err)
{
	int r, sent;

	for (;;) {
		sent = flush(c);
		if (x->done || x->code)
			return 0;
		if (!sent && !c->nonsense) {
			r = wait_for_peer(c, x, err);
			if (r)
				return r;
		}
		/*
		 * even when sending failed: the server may have answered and closed before it read
		 * everything
		 */
		r = receive(c);
		if (x->done || x->code)
			continue;
		if (r)
			flush(c); /* what nghttp2 thinks of it, before the end is told */
		if (r == -ENOMEM || sent == -ENOMEM)
			return err_oom(err);
		if (r == -EPROTO || sent == -EPROTO || c->nonsense)
			return err_set(err, CRISVC_E_PROTOCOL, "the server does not speak HTTP/2");
		if (r || sent)
			return disconnected(err, 0, "the server closed the connection");
	}
}

/* What a gRPC client makes of the codes of HTTP ("HTTP to gRPC Status Code Mapping"). */
static int status_of_http(int http)
{
	switch (http) {
	case 400:
		return CRISVC_INTERNAL;
	case 401:
		return CRISVC_UNAUTHENTICATED;
	case 403:
		return CRISVC_PERMISSION_DENIED;
	case 404:
		return CRISVC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return CRISVC_UNAVAILABLE;
	default:
		return CRISVC_UNKNOWN;
	}
}

/* ... and of the codes of RST_STREAM ("gRPC over HTTP2", section Errors). */
static int status_of_reset(uint32_t code)
{
	switch (code) {
	case NGHTTP2_REFUSED_STREAM:
		return CRISVC_UNAVAILABLE;
	case NGHTTP2_CANCEL:
		return CRISVC_CANCELLED;
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return CRISVC_RESOURCE_EXHAUSTED;
	case NGHTTP2_INADEQUATE_SECURITY:
		return CRISVC_PERMISSION_DENIED;
	default:
		return CRISVC_INTERNAL;
	}
}

static int status_error(const struct exchange *x, int status, const char *message,
			struct crisvc_error *err)
{
	/* the server's clock of our deadline: the same event, seen there first */
	if (status == CRISVC_DEADLINE_EXCEEDED && x->deadline && mono_ns() >= x->deadline)
		return deadline_error(err);
	err_set(err, CRISVC_E_STATUS, "%s", message);
	if (err)
		err->grpc_status = status;
	return CRISVC_E_STATUS;
}

/* The stream is closed: what does that mean? */
static int conclude(const struct exchange *x, struct crisvc_error *err)
{
	char text[64];

	if (x->status > 0)
		return status_error(
			x, x->status,
			str_failed(&x->message) || !x->message.data ? "" : x->message.data, err);
	if (x->status < 0 && x->h2_error != NGHTTP2_NO_ERROR) {
		snprintf(text, sizeof(text), "the server reset the call (HTTP/2 error %u)",
			 x->h2_error);
		return status_error(x, status_of_reset(x->h2_error), text, err);
	}
	if (x->status < 0 && x->http_status != 200) {
		snprintf(text, sizeof(text), "the server answered with HTTP status %d",
			 x->http_status);
		return status_error(x, status_of_http(x->http_status), text, err);
	}
	if (x->status < 0 || !x->grpc)
		return err_set(err, CRISVC_E_PROTOCOL, "the answer is not gRPC");
	if (!framer_complete(&x->framer))
		return err_set(err, CRISVC_E_PROTOCOL, "the answer has no message");
	return 0;
}

/* The server has said that it did nothing for this call. */
static bool not_processed(const struct crisvc_client *c, const struct exchange *x)
{
	return x->done && x->status < 0 && !x->http_status && x->h2_error == NGHTTP2_REFUSED_STREAM;
}

static int try_call(struct crisvc_client *c, struct exchange *x, const char *path,
		    struct crisvc_error *err)
{
	int r = make_connection(c, x->deadline, err);

	if (r)
		return r;
	r = submit(c, x, path, err);
	if (!r)
		r = run(c, x, err);
	if (!r && x->code)
		r = x->code < 0 ? err_oom(err) : err_set(err, x->code, "%s: %s", path, x->why);
	c->current = NULL;
	if (x->id > 0 && !x->done) {
		/* The request is freed now: nghttp2 must not want more of it. */
		nghttp2_submit_rst_stream(c->h2, NGHTTP2_FLAG_NONE, x->id, NGHTTP2_CANCEL);
		if (x->request->sent < x->request->len || flush(c))
			disconnect(c);
	}
	return r;
}

static void exchange_done(struct exchange *x)
{
	framer_done(&x->framer);
	str_done(&x->message);
	free(x->request);
}

PUBLIC int crisvc_client_call(struct crisvc_client *c, const char *path, const void *request,
			      size_t len, int timeout_ms, void **ret_reply, size_t *ret_len,
			      struct crisvc_error *err)
{
	struct budget budget = { .max = SIZE_MAX }; /* one message, with its own limit */
	/* behind the budget, to which its end gives back */
	_cleanup_(exchange_done) struct exchange x = { .status = -1, .message = STR_INIT };
	size_t charged;
	int r;

	framer_init(&x.framer, &budget, CRISVC_MESSAGE_MAX_DEFAULT);
	if (!c || !path || path[0] != '/' || (!request && len) || !ret_reply || !ret_len)
		return err_sysr(err, -EINVAL, "call %s", path ? path : "(null)");
	if (err)
		err->grpc_status = 0;
	if (timeout_ms >= 0)
		x.deadline = mono_ns() + timeout_ms * (SECOND_NS / 1000);
	if (len > CRISVC_MESSAGE_MAX_DEFAULT)
		return err_set(err, CRISVC_E_LIMIT,
			       "the request is larger than the limit for messages");
	x.request = message_new(request, len);
	if (!x.request)
		return err_oom(err);
	r = try_call(c, &x, path, err);
	if (!r && not_processed(c, &x)) {
		disconnect(c);
		x.done = false;
		x.request->sent = 0;
		r = try_call(c, &x, path, err);
	}
	if (!r)
		r = conclude(&x, err);
	if (r == CRISVC_E_DISCONNECTED || r == CRISVC_E_PROTOCOL || r < 0)
		disconnect(c);
	if (r)
		return r;
	*ret_reply = framer_take(&x.framer, ret_len, &charged);
	if (!*ret_reply)
		*ret_reply = calloc(1, 1);
	return *ret_reply ? 0 : err_oom(err);
}

/* ---- life ---- */

PUBLIC int crisvc_client_new(const char *path, struct crisvc_client **ret, struct crisvc_error *err)
{
	struct crisvc_client *c;

	if (!path || !ret)
		return err_sysr(err, -EINVAL, "make a client");
	if (str_starts(path, "unix://"))
		path += strlen("unix://");
	if (path[0] != '/')
		return err_sysr(err, -EINVAL, "\"%s\" is not the absolute path of a socket", path);
	if (strlen(path) >= sizeof(c->addr.sun_path))
		return err_sysr(err, -ENAMETOOLONG, "socket %s", path);
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_oom(err);
	c->addr.sun_family = AF_UNIX;
	strcpy(c->addr.sun_path, path);
	c->fd = -1;
	*ret = c;
	return 0;
}

PUBLIC struct crisvc_client *crisvc_client_free(struct crisvc_client *c)
{
	if (c)
		disconnect(c);
	free(c);
	return NULL;
}
