/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One gRPC call on the wire: request headers, one message, the end of the request; then the answer,
 * which is headers, messages and trailers, or trailers only when there is an error and no message.
 *
 * The states are in stream.h. An error found here is an answer like any other: it moves the stream
 * to ANSWERED, and what the client still sends is dropped.
 *
 * The stream owns the messages on their way out. nghttp2 asks for their bytes when flow control
 * lets it send some (read_output()), so at most a frame is held twice. What the client took is told
 * to the call, which may then send more (server streaming).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cbase/cleanup.h>
#include <cbase/str.h>

#include "limit.h"
#include "nv.h"
#include "stream.h"
#include "text.h"

static void on_timer(struct timer *t);

/* ---- life ---- */

int stream_new(struct session *s, int32_t id)
{
	struct stream *st;

	if (s->host->n_streams >= LIMIT_ALL_STREAMS)
		return -EAGAIN;
	st = calloc(1, sizeof(*st));
	if (!st)
		return -ENOMEM;
	st->session = s;
	st->id = id;
	st->timer.fn = on_timer;
	head_init(&st->head);
	framer_init(&st->framer, &s->host->requests, s->host->max_recv);
	STAILQ_INIT(&st->out);
	if (timers_set(&s->host->timers, &st->timer, s->host->now + LIMIT_RECEIVE_NS) ||
	    nghttp2_session_set_stream_user_data(s->h2, id, st)) {
		timers_unset(&s->host->timers, &st->timer);
		free(st);
		return -ENOMEM;
	}
	LIST_INSERT_HEAD(&s->streams, st, link);
	s->n_streams++;
	s->host->n_streams++;
	return 0;
}

static void output_taken(struct stream *st, size_t n)
{
	st->session->output -= n;
	budget_give(&st->session->host->output, n);
}

static void drop_output(struct stream *st)
{
	struct message *m;

	STAILQ_FOREACH(m, &st->out, link)
	output_taken(st, m->len - m->sent);
	message_list_free(&st->out);
}

static void detach_call(struct stream *st)
{
	struct crisvc_call *c = take(st->call);

	if (c)
		call_cancel(c);
}

void stream_free(struct stream *st)
{
	struct session *s = st->session;

	nghttp2_session_set_stream_user_data(s->h2, st->id, NULL);
	detach_call(st);
	timers_unset(&s->host->timers, &st->timer);
	framer_done(&st->framer);
	head_done(&st->head);
	drop_output(st);
	free(st->status_message);
	metadata_done(&st->trailers);
	LIST_REMOVE(st, link);
	s->n_streams--;
	s->host->n_streams--;
	free(st);
}

void stream_set_call(struct stream *st, struct crisvc_call *c)
{
	st->call = c;
}

void stream_reset(struct stream *st, uint32_t code)
{
	struct session *s = st->session;

	st->state = STREAM_ANSWERED;
	framer_done(&st->framer);
	timers_unset(&s->host->timers, &st->timer);
	if (nghttp2_submit_rst_stream(s->h2, NGHTTP2_FLAG_NONE, st->id, code))
		s->broken = true;
	detach_call(st);
	s->host->want_attention(s->user);
}

/* ---- answer ---- */

#define TRAILERS_MAX (3 + LIMIT_TRAILERS)
#define STATUS_DIGITS 16

/* grpc-status and its company; digits is where the number lives. */
static size_t make_trailers(struct stream *st, nghttp2_nv nv[TRAILERS_MAX],
			    char digits[STATUS_DIGITS])
{
	const char *name, *value;
	size_t n = 0;

	snprintf(digits, STATUS_DIGITS, "%d", st->status);
	nv[n++] = header("grpc-status", digits);
	if (st->status_message)
		nv[n++] = header("grpc-message", st->status_message);
	if (st->head.encoded)
		nv[n++] = header("grpc-accept-encoding", "identity");
	for (size_t i = 0; (name = metadata_at(&st->trailers, i, &value)); i++)
		nv[n++] = header(name, value);
	return n;
}

static int submit_trailers(struct stream *st)
{
	nghttp2_nv nv[TRAILERS_MAX];
	char digits[STATUS_DIGITS];
	size_t n = make_trailers(st, nv, digits);

	return nghttp2_submit_trailer(st->session->h2, st->id, nv, n);
}

/* nghttp2 wants bytes for a DATA frame. */
static ssize_t read_output(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t size,
			   uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct stream *st = source->ptr;
	struct message *m;
	size_t n = 0, part;

	while (n < size && (m = STAILQ_FIRST(&st->out))) {
		part = m->len - m->sent < size - n ? m->len - m->sent : size - n;
		memcpy(buf + n, m->data + m->sent, part);
		m->sent += part;
		n += part;
		if (m->sent == m->len) {
			STAILQ_REMOVE_HEAD(&st->out, link);
			free(m);
		}
	}
	output_taken(st, n);
	st->session->progress += n;
	if (st->call)
		call_written(st->call, n);
	if (STAILQ_EMPTY(&st->out) && st->finished) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		return submit_trailers(st) ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : (ssize_t)n;
	}
	return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
}

static int submit_headers(struct stream *st)
{
	nghttp2_nv nv[] = { header(":status", "200"), header("content-type", "application/grpc") };
	nghttp2_data_provider body = { .source.ptr = st, .read_callback = read_output };

	return nghttp2_submit_response(st->session->h2, st->id, nv, ARRAY_SIZE(nv), &body);
}

static int submit_trailers_only(struct stream *st, const char *http_status)
{
	nghttp2_nv nv[2 + TRAILERS_MAX] = { header(":status", http_status),
					    header("content-type", "application/grpc") };
	char digits[STATUS_DIGITS];
	size_t n = 2 + make_trailers(st, nv + 2, digits);

	return nghttp2_submit_response(st->session->h2, st->id, nv, n, NULL);
}

/* Brings what is in the stream to nghttp2. */
static void submit(struct stream *st, const char *http_status)
{
	struct session *s = st->session;
	int r;

	if (st->responded)
		r = nghttp2_session_resume_data(s->h2, st->id);
	else if (STAILQ_EMPTY(&st->out) && st->finished && st->status != CRISVC_OK)
		r = submit_trailers_only(st, http_status);
	else
		r = submit_headers(st);
	st->responded = true;
	/* INVALID_ARGUMENT: nothing was deferred, the messages are being read anyway */
	if (r && r != NGHTTP2_ERR_INVALID_ARGUMENT)
		s->broken = true;
	s->host->want_attention(s->user);
}

static void finish(struct stream *st, int status, const char *message)
{
	_cleanup_str_ struct str text = STR_INIT;

	st->finished = true;
	st->state = STREAM_ANSWERED;
	st->status = status;
	if (message && *message) {
		text_encode_message(&text, message, LIMIT_STATUS_MESSAGE);
		st->status_message = str_take(&text, NULL);
	}
	framer_done(&st->framer);
	timers_unset(&st->session->host->timers, &st->timer);
}

/* The library's own errors. Once something was answered, nothing else can be. */
static void PRINTF_LIKE(4, 5)
	fail(struct stream *st, const char *http_status, int status, const char *fmt, ...)
{
	_cleanup_str_ struct str text = STR_INIT;
	va_list ap;

	if (st->state == STREAM_ANSWERED)
		return;
	va_start(ap, fmt);
	str_vappendf(&text, fmt, ap);
	va_end(ap);
	finish(st, status, str_failed(&text) ? NULL : text.data);
	submit(st, http_status);
	detach_call(st);
}

/* Is there room for a message of n bytes? Then it is charged. */
static bool charge_output(struct stream *st, size_t n)
{
	struct session *s = st->session;

	if (n > LIMIT_CONNECTION_OUTPUT - s->output || !budget_take(&s->host->output, n))
		return false;
	s->output += n;
	return true;
}

void stream_deliver(struct stream *st, struct message_list *out, const struct ending *end)
{
	struct message *m;

	if (st->state != STREAM_CALL)
		return;
	while ((m = STAILQ_FIRST(out))) {
		if (!charge_output(st, m->len)) {
			fail(st, "200", CRISVC_RESOURCE_EXHAUSTED,
			     "the client does not read its answers");
			return;
		}
		STAILQ_REMOVE_HEAD(out, link);
		STAILQ_INSERT_TAIL(&st->out, m, link);
	}
	if (end) {
		st->trailers = metadata_take(end->trailers);
		finish(st, end->status, end->message);
	}
	submit(st, "200");
}

/*
 * The client may stop sending (RFC 9113, section 8.1). It is told so when it does not stop by itself:
 * most errors here are of requests whose last frame is on its way, and some clients forget an answer
 * over the reset behind it.
 */
void stream_on_answered(struct stream *st)
{
	struct session *s = st->session;
	struct host *h = s->host;

	st->over = true;
	if ((st->late || timers_set(&h->timers, &st->timer, h->now + LIMIT_RECEIVE_NS)) &&
	    nghttp2_submit_rst_stream(s->h2, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR))
		s->broken = true;
}

/* ---- request ---- */

static void on_timer(struct timer *t)
{
	struct stream *st = (struct stream *)(void *)((char *)t - offsetof(struct stream, timer));

	st->late = true;
	if (st->over)
		stream_reset(st, NGHTTP2_NO_ERROR);
	else if (st->state == STREAM_HEADERS)
		stream_reset(st, NGHTTP2_CANCEL);
	else if (st->deadline && st->session->host->now >= st->deadline)
		fail(st, "200", CRISVC_DEADLINE_EXCEEDED, "context deadline exceeded");
	else
		fail(st, "200", CRISVC_DEADLINE_EXCEEDED, "the request did not arrive in time");
}

/* Before the request is complete the timer also ends its arrival. */
static void start_deadline(struct stream *st)
{
	struct host *h = st->session->host;
	int64_t end = h->now + LIMIT_RECEIVE_NS;

	if (st->head.timeout >= 0) {
		if (__builtin_add_overflow(h->now, st->head.timeout, &st->deadline))
			st->deadline = 0;
		else if (st->deadline < end)
			end = st->deadline;
	}
	timers_set(&h->timers, &st->timer, end); /* was set before: cannot fail */
}

void stream_on_headers(struct stream *st)
{
	struct head *h = &st->head;

	if (st->state != STREAM_HEADERS)
		return;
	head_end(h);
	if (h->malformed) {
		stream_reset(st, NGHTTP2_PROTOCOL_ERROR);
		return;
	}
	st->state = STREAM_BODY;
	start_deadline(st);
	st->method = st->session->host->find_method(st->session->host, h->path);
	if (!h->post)
		fail(st, "405", CRISVC_INTERNAL, "gRPC requests use POST");
	else if (!h->grpc)
		fail(st, "415", CRISVC_INTERNAL, "the content-type of the request is not gRPC's");
	else if (h->bad_timeout)
		fail(st, "400", CRISVC_INTERNAL, "malformed grpc-timeout");
	else if (!st->method)
		fail(st, "200", CRISVC_UNIMPLEMENTED, "unknown method %s", h->path);
}

static void framer_failed(struct stream *st, int r)
{
	struct host *h = st->session->host;

	switch (r) {
	case FRAMER_E_COMPRESSED:
		if (st->head.encoded)
			fail(st, "200", CRISVC_UNIMPLEMENTED,
			     "compressed messages are not supported");
		else
			fail(st, "200", CRISVC_INTERNAL,
			     "compressed message without grpc-encoding");
		break;
	case FRAMER_E_TOO_LARGE:
		fail(st, "200", CRISVC_RESOURCE_EXHAUSTED,
		     "received message larger than max (%u vs. %zu)", st->framer.need, h->max_recv);
		break;
	case FRAMER_E_BUDGET:
		fail(st, "200", CRISVC_RESOURCE_EXHAUSTED, "too many bytes of requests at once");
		break;
	case -ENOMEM:
		fail(st, "200", CRISVC_RESOURCE_EXHAUSTED, "out of memory");
		break;
	default:
		fail(st, "200", CRISVC_INTERNAL, "malformed message prefix");
	}
}

static void too_many_messages(struct stream *st)
{
	fail(st, "200", CRISVC_UNIMPLEMENTED, "more than one message in the request of %s",
	     st->head.path);
}

void stream_on_data(struct stream *st, const uint8_t *p, size_t n, bool last)
{
	size_t taken;
	int r;

	if (st->over && !last)
		stream_reset(st, NGHTTP2_NO_ERROR);
	if (st->state != STREAM_BODY || n == 0)
		return;
	if (framer_complete(&st->framer)) {
		too_many_messages(st);
		return;
	}
	r = framer_push(&st->framer, p, n, &taken);
	if (r)
		framer_failed(st, r);
	else if (taken < n)
		too_many_messages(st);
}

/* The request is whole: make it a call. */
static void start_call(struct stream *st)
{
	struct host *h = st->session->host;
	struct crisvc_call *c;

	if (st->deadline && st->deadline <= h->now) {
		on_timer(&st->timer);
		return;
	}
	c = call_new(&h->box);
	if (!c) {
		fail(st, "200", CRISVC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	c->method = st->method;
	c->stream = st;
	c->deadline = st->deadline;
	c->metadata = metadata_take(&st->head.metadata);
	c->request = framer_take(&st->framer, &c->request_len, &c->request_charged);
	if (mailbox_add(&h->box, c)) {
		call_drop(c);
		fail(st, "200", CRISVC_RESOURCE_EXHAUSTED, "too many calls in progress");
		return;
	}
	st->call = c;
	st->state = STREAM_CALL;
	if (st->deadline)
		timers_set(&h->timers, &st->timer, st->deadline);
	else
		timers_unset(&h->timers, &st->timer);
}

void stream_on_end(struct stream *st)
{
	if (st->state != STREAM_BODY)
		return;
	if (framer_complete(&st->framer))
		start_call(st);
	else if (framer_empty(&st->framer))
		fail(st, "200", CRISVC_UNIMPLEMENTED, "no message in the request of %s",
		     st->head.path);
	else
		fail(st, "200", CRISVC_INTERNAL, "the request ends within its message");
}
