/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 for one connection: nghttp2 does frames, HPACK and flow control; this file sets it up with
 * the limits, feeds and pulls it, and passes its events on to the streams (stream.c).
 *
 * Goodbye is in two steps, so that no call is lost that the client sent before it knew (RFC 9113,
 * section 6.8): a GOAWAY that names no stream together with a PING, and when that is acknowledged
 * the GOAWAY with the last stream.
 *
 *	OPEN -> NOTICED (session_drain) -> LEAVING (PING acknowledged, or timer)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "limit.h"
#include "stream.h"

static const uint8_t drain_ping[8] = { 'c', 'r', 'i', 's', 'v', 'c', 'g', 'o' };

/* ---- floods ---- */

/* Takes one out of a bucket that fills with time; whoever empties it has to go. */
static int count(struct session *s, struct bucket *b, unsigned burst, unsigned rate)
{
	int64_t fresh = (s->host->now - b->at) / (SECOND_NS / rate);

	if (fresh > 0) {
		b->left = fresh > burst - b->left ? burst : b->left + (unsigned)fresh;
		b->at = s->host->now;
	}
	if (b->left) {
		b->left--;
		return 0;
	}
	return nghttp2_session_terminate_session(s->h2, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* A frame that carries nothing. */
static int count_empty(struct session *s)
{
	return count(s, &s->empty, LIMIT_EMPTY_BURST, LIMIT_EMPTY_RATE);
}

/* ---- keepalive ---- */

static void on_keepalive(struct timer *t)
{
	struct session *s =
		(struct session *)(void *)((char *)t - offsetof(struct session, keepalive));
	struct host *h = s->host;
	int64_t when = s->heard + h->keepalive;

	if (h->now < when) {
		s->asked = false;
	} else if (s->asked) {
		s->broken = true;
		h->want_attention(s->user);
		return;
	} else {
		s->asked = true;
		when = h->now + LIMIT_KEEPALIVE_NS;
		if (nghttp2_submit_ping(s->h2, NGHTTP2_FLAG_NONE, NULL))
			s->broken = true;
		h->want_attention(s->user);
	}
	timers_set(&h->timers, t, when); /* was set before: cannot fail */
}

/* ---- goodbye ---- */

static void leave(struct session *s)
{
	if (s->state != SESSION_NOTICED)
		return;
	s->state = SESSION_LEAVING;
	timers_unset(&s->host->timers, &s->drain_timer);
	if (nghttp2_submit_goaway(s->h2, NGHTTP2_FLAG_NONE,
				  nghttp2_session_get_last_proc_stream_id(s->h2), NGHTTP2_NO_ERROR,
				  NULL, 0))
		s->broken = true;
	s->host->want_attention(s->user);
}

static void on_drain_timer(struct timer *t)
{
	leave((struct session *)(void *)((char *)t - offsetof(struct session, drain_timer)));
}

void session_drain(struct session *s)
{
	struct host *h = s->host;

	if (s->state != SESSION_OPEN)
		return;
	s->state = SESSION_NOTICED;
	if (nghttp2_submit_shutdown_notice(s->h2) ||
	    timers_set(&h->timers, &s->drain_timer, h->now + LIMIT_DRAIN_NS))
		s->broken = true;
	h->want_attention(s->user);
}

/* ---- events of nghttp2 ---- */

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
	struct stream *st = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);

	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		int r = stream_new(user, frame->hd.stream_id);

		if (r == -EAGAIN)
			r = nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
						      NGHTTP2_REFUSED_STREAM);
		return r ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
	}
	if (st) {
		head_done(&st->head);
		head_init(&st->head);
	}
	return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *user)
{
	struct stream *st = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);

	if (!st || frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	head_add(&st->head, name, name_len, value, value_len);
	if (!st->head.too_big)
		return 0;
	/* the rest of the block is decoded, because HPACK needs that, and dropped */
	nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
				  NGHTTP2_ENHANCE_YOUR_CALM);
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
		   void *user)
{
	struct stream *st = nghttp2_session_get_stream_user_data(h2, id);

	if (st)
		stream_on_data(st, p, n, flags & NGHTTP2_FLAG_END_STREAM);
	return 0;
}

static void on_stream_frame(struct stream *st, const nghttp2_frame *frame)
{
	bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (frame->hd.type == NGHTTP2_HEADERS) {
		if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
			stream_on_headers(st);
		else if (!end) /* only trailers may follow */
			stream_reset(st, NGHTTP2_PROTOCOL_ERROR);
	}
	if (end)
		stream_on_end(st);
}

static int on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
	struct session *s = user;
	struct stream *st;

	switch (frame->hd.type) {
	case NGHTTP2_PING:
		if (frame->hd.flags & NGHTTP2_FLAG_ACK &&
		    !memcmp(frame->ping.opaque_data, drain_ping, 8))
			leave(s);
		return count_empty(s);
	case NGHTTP2_SETTINGS:
	case NGHTTP2_PRIORITY:
		return count_empty(s);
	case NGHTTP2_DATA:
	case NGHTTP2_HEADERS:
		if (frame->hd.type == NGHTTP2_DATA && frame->hd.length == 0 &&
		    !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && count_empty(s))
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		st = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
		if (st)
			on_stream_frame(st, frame);
		return 0;
	default:
		return 0;
	}
}

static int on_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
	struct session *s = user;
	uint32_t code = frame->hd.type == NGHTTP2_RST_STREAM ? frame->rst_stream.error_code : 0;
	struct stream *st;

	if (code != NGHTTP2_NO_ERROR && code != NGHTTP2_REFUSED_STREAM)
		return count(s, &s->resets, LIMIT_RESET_BURST, LIMIT_RESET_RATE);
	/* only now, because nghttp2 would send the PING first */
	if (frame->hd.type == NGHTTP2_GOAWAY && s->state == SESSION_NOTICED &&
	    nghttp2_submit_ping(h2, NGHTTP2_FLAG_NONE, drain_ping))
		s->broken = true;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->hd.flags & NGHTTP2_FLAG_END_STREAM &&
	    nghttp2_session_get_stream_remote_close(h2, frame->hd.stream_id) == 0) {
		st = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
		if (st)
			stream_on_answered(st);
	}
	return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error_code, void *user)
{
	struct stream *st = nghttp2_session_get_stream_user_data(h2, id);

	if (st)
		stream_free(st);
	return 0;
}

/* ---- life ---- */

static nghttp2_session_callbacks *new_callbacks(void)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb))
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	return cb;
}

static nghttp2_option *new_options(void)
{
	nghttp2_option *o;

	if (nghttp2_option_new(&o))
		return NULL;
	nghttp2_option_set_no_http_messaging(o, 1); /* head.c does it */
	nghttp2_option_set_no_closed_streams(o, 1); /* RFC 7540 priorities: nobody uses them */
	nghttp2_option_set_max_settings(o, LIMIT_SETTINGS);
	nghttp2_option_set_max_outbound_ack(o, LIMIT_OUTBOUND_ACKS);
	nghttp2_option_set_max_continuations(o, LIMIT_CONTINUATIONS);
	nghttp2_option_set_stream_reset_rate_limit(o, LIMIT_RESET_BURST, LIMIT_RESET_RATE);
	return o;
}

static int submit_settings(struct session *s)
{
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, LIMIT_STREAMS },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_STREAM },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, LIMIT_HEADER_BYTES },
	};

	if (nghttp2_submit_settings(s->h2, NGHTTP2_FLAG_NONE, settings,
				    sizeof(settings) / sizeof(settings[0])))
		return -ENOMEM;
	if (nghttp2_session_set_local_window_size(s->h2, NGHTTP2_FLAG_NONE, 0, WINDOW_CONNECTION))
		return -ENOMEM;
	return 0;
}

int session_new(struct host *host, void *user, struct session **ret)
{
	struct session *s = calloc(1, sizeof(*s));
	nghttp2_session_callbacks *cb = new_callbacks();
	nghttp2_option *options = new_options();
	int r = -ENOMEM;

	if (s && cb && options) {
		s->host = host;
		s->user = user;
		s->empty = (struct bucket){ LIMIT_EMPTY_BURST, host->now };
		s->resets = (struct bucket){ LIMIT_RESET_BURST, host->now };
		s->drain_timer.fn = on_drain_timer;
		s->keepalive.fn = on_keepalive;
		s->heard = host->now;
		LIST_INIT(&s->streams);
		if (!nghttp2_session_server_new2(&s->h2, cb, s, options))
			r = submit_settings(s);
		if (!r && host->keepalive)
			r = timers_set(&host->timers, &s->keepalive, host->now + host->keepalive);
	}
	if (cb)
		nghttp2_session_callbacks_del(cb);
	if (options)
		nghttp2_option_del(options);
	if (r)
		session_free(s);
	else
		*ret = s;
	return r;
}

struct session *session_free(struct session *s)
{
	struct stream *st;

	if (!s)
		return NULL;
	while ((st = LIST_FIRST(&s->streams)))
		stream_free(st);
	timers_unset(&s->host->timers, &s->drain_timer);
	timers_unset(&s->host->timers, &s->keepalive);
	nghttp2_session_del(s->h2);
	free(s);
	return NULL;
}

/* ---- bytes ---- */

int session_feed(struct session *s, const uint8_t *p, size_t n)
{
	ssize_t r = nghttp2_session_mem_recv(s->h2, p, n);

	s->heard = s->host->now;
	return r < 0 || s->broken ? -EPROTO : 0;
}

int session_pull(struct session *s, uint8_t *buf, size_t size, size_t *ret_n)
{
	size_t n = 0, part;
	ssize_t r;

	while (n < size) {
		if (!s->chunk_len) {
			r = nghttp2_session_mem_send(s->h2, &s->chunk);
			if (r < 0 || s->broken)
				return -EPROTO;
			if (r == 0)
				break;
			s->chunk_len = (size_t)r;
		}
		part = s->chunk_len < size - n ? s->chunk_len : size - n;
		memcpy(buf + n, s->chunk, part);
		s->chunk += part;
		s->chunk_len -= part;
		n += part;
	}
	*ret_n = n;
	return 0;
}

bool session_done(const struct session *s)
{
	return s->broken || (!s->chunk_len && !nghttp2_session_want_read(s->h2) &&
			     !nghttp2_session_want_write(s->h2));
}

bool session_choked(const struct session *s)
{
	return nghttp2_session_get_outbound_queue_size(s->h2) > LIMIT_OUTBOUND_FRAMES;
}

size_t session_streams(const struct session *s)
{
	return s->n_streams;
}

bool session_has_output(const struct session *s)
{
	return s->output > 0;
}

uint64_t session_progress(const struct session *s)
{
	return s->progress;
}
