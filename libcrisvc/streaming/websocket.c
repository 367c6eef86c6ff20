/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket (RFC 6455; frames are taken apart by wslay) with what Kubernetes puts into it:
 *
 *	[vN.]channel.k8s.io		a message is a channel's number, one byte, and data. exec and attach:
 *					0 stdin, 1 stdout, 2 stderr, 3 error, 4 resize. Port-forward: 2i
 *					data and 2i+1 error of port i, beginning with the port (16 bits,
 *					little-endian). Version 5: 255 and a channel's number end it.
 *	[vN.]base64.channel.k8s.io	the same as text: a digit and base64
 *	SPDY/3.1+portforward.k8s.io	a tunnel: the payloads together are a SPDY connection
 *
 * Payloads go on in the pieces in which they come, whatever the size of frames and messages; only a
 * base64 message is collected, and has a limit.
 */
#include "private.h"

#include <wslay/wslay.h>
#include "sha1.h"

enum { OP_CONTINUATION = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum { CLOSE_NORMAL = 1000, CLOSE_PROTOCOL = 1002, CLOSE_TOO_BIG = 1009, CLOSE_INTERNAL = 1011 };
#define CONTROL_MAX 125
#define CLOSE_SIGNAL 255

struct websocket {
	wslay_frame_context_ptr wslay;
	const uint8_t *in; /* during feed() */
	size_t in_n;
	bool tunnel, base64, v5;

	struct wslay_frame_iocb frame;
	bool in_frame, in_message;
	uint64_t frame_left;
	const uint8_t *rest; /* of the payload: not taken yet */
	size_t rest_n;

	bool has_channel, closing; /* of the message; it is a close signal */
	uint8_t channel;
	struct buf text; /* a base64 message */
	char *decoded;
	uint8_t control[CONTROL_MAX];
	size_t control_n;
};

/* ---- handshake ---- */

int websocket_accept_key(const char *key, char out[29])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	_cleanup_str_ struct str text = STR_INIT;
	_cleanup_free_ char *bits = NULL;
	uint8_t digest[20];
	char joined[24 + sizeof(guid)];
	size_t n = 0;

	if (strlen(key) != 24 || base64_decode(key, 24, &bits, &n) || n != 16)
		return -EINVAL;
	memcpy(joined, key, 24);
	memcpy(joined + 24, guid, sizeof(guid));
	sha1(joined, strlen(joined), digest);
	str_append_base64(&text, digest, sizeof(digest));
	if (text.failed || text.len != 28)
		return -ENOMEM;
	memcpy(out, text.data, 29);
	return 0;
}

static const char tunnel_name[] = "SPDY/3.1+portforward.k8s.io";

/* "v4.base64.channel.k8s.io" -> 4, true; "" and "channel.k8s.io" -> 1; 0: not known */
static int parse_subprotocol(const char *name, bool *ret_base64)
{
	int version = 1;

	*ret_base64 = false;
	if (!*name)
		return 1;
	if (name[0] == 'v' && name[1] >= '2' && name[1] <= '5' && name[2] == '.') {
		version = name[1] - '0';
		name += 3;
	}
	if (str_starts(name, "base64.")) {
		*ret_base64 = true;
		name += 7;
	}
	return streq(name, "channel.k8s.io") ? version : 0;
}

const char *websocket_choose(const struct request *q, const char *offered, char buf[64])
{
	bool base64;

	buf[0] = '\0';
	if (!offered[strspn(offered, " \t,")])
		return buf;
	for (const char *p = offered; *p;) {
		size_t n;

		p += strspn(p, " \t,");
		n = strcspn(p, " \t,");
		if (n && n < 64) {
			memcpy(buf, p, n);
			buf[n] = '\0';
			if (parse_subprotocol(buf, &base64) ||
			    (q->kind == CRISVC_STREAM_PORT_FORWARD && streq(buf, tunnel_name)))
				return buf;
		}
		p += n;
	}
	return NULL;
}

/* ---- frames of ours ---- */

static void send_frame(struct conn *c, unsigned op, const void *a, size_t a_n, const void *p, size_t n)
{
	size_t len = a_n + n, k = 2;
	uint8_t head[10] = { (uint8_t)(0x80 | op) };

	if (len < 126) {
		head[1] = (uint8_t)len;
	} else if (len <= UINT16_MAX) {
		head[1] = 126;
		k = 4;
	} else {
		head[1] = 127;
		k = 10;
	}
	for (size_t i = 2; i < k; i++)
		head[i] = (uint8_t)((uint64_t)len >> 8 * (k - 1 - i));
	conn_write(c, head, k);
	conn_write(c, a, a_n);
	conn_write(c, p, n);
}

static void send_close(struct conn *c, unsigned code)
{
	uint8_t p[2] = { (uint8_t)(code >> 8), (uint8_t)code };

	send_frame(c, OP_CLOSE, p, sizeof(p), NULL, 0);
}

static void send_channel(struct conn *c, unsigned channel, const void *p, size_t n)
{
	_cleanup_str_ struct str text = STR_INIT;
	uint8_t head = (uint8_t)(c->websocket->base64 ? '0' + channel : channel);

	if (!c->websocket->base64) {
		send_frame(c, OP_BINARY, &head, 1, p, n);
		return;
	}
	if (n)
		str_append_base64(&text, p, n);
	if (text.failed)
		conn_abort(c);
	else
		send_frame(c, OP_TEXT, &head, 1, text.data, text.len);
}

/* ---- what streams call ---- */

static size_t ws_room(struct crisvc_stream *s, enum channel ch)
{
	return conn_room(s->conn);
}

static void ws_send(struct crisvc_stream *s, enum channel ch, const void *p, size_t n)
{
	unsigned channel = ch;

	if (s->request->kind == CRISVC_STREAM_PORT_FORWARD)
		channel = 2 * s->index + (ch == CH_ERROR);
	send_channel(s->conn, channel, p, n);
}

/* WebSocket has no words for these: the end of the connection is all that can be said. */
static void ws_finish(struct crisvc_stream *s, enum channel ch)
{
}

static void ws_consumed(struct crisvc_stream *s, enum channel ch, size_t n)
{
}

static void ws_stream(struct crisvc_stream *s)
{
}

/* ---- messages of the client ---- */

static struct crisvc_stream *find_stream(struct conn *c, unsigned channel, enum channel *ret)
{
	bool forward = c->request->kind == CRISVC_STREAM_PORT_FORWARD;
	struct crisvc_stream *s;

	*ret = forward ? CH_STDIN : (enum channel)channel;
	if (forward ? channel & 1 : channel != CH_STDIN && channel != CH_RESIZE)
		return NULL;
	for (s = c->streams; s && forward && s->index != channel / 2; s = s->next_of_conn)
		;
	return s;
}

/* Data of the message's channel; returns how much was taken. */
static size_t deliver(struct conn *c, const uint8_t *p, size_t n)
{
	enum channel ch;
	struct crisvc_stream *s = find_stream(c, c->websocket->channel, &ch);

	return s && n ? stream_receive(s, ch, p, n) : n;
}

static int end_channel(struct conn *c, unsigned channel)
{
	enum channel ch;
	struct crisvc_stream *s = find_stream(c, channel, &ch);

	if (s)
		stream_receive_end(s, ch);
	return 0;
}

/* Of a message with a channel: some of its payload. Negative: -errno. */
static ssize_t feed_channel(struct conn *c, const uint8_t *p, size_t n)
{
	struct websocket *w = c->websocket;
	size_t used = 0;

	if (!w->has_channel) {
		w->has_channel = true;
		w->channel = p[used++];
		w->closing = w->channel == CLOSE_SIGNAL && w->v5;
		if (w->base64 && !w->closing)
			w->channel = (uint8_t)(w->channel - '0');
	}
	if (used == n)
		return (ssize_t)used;
	if (w->closing || w->base64) {
		if (w->text.len + n - used > (w->closing ? 1 : BOUND_WS_TEXT))
			return w->closing ? -EPROTO : -EMSGSIZE;
		return buf_append(&w->text, p + used, n - used) ? (ssize_t)n : -ENOMEM;
	}
	return (ssize_t)(used + deliver(c, p + used, n - used));
}

static ssize_t feed_payload(struct conn *c, const uint8_t *p, size_t n)
{
	struct websocket *w = c->websocket;

	if (w->frame.opcode < 8)
		return w->tunnel ? spdy_feed(c, p, n) : feed_channel(c, p, n);
	if (n > sizeof(w->control) - w->control_n)
		return -EPROTO;
	memcpy(w->control + w->control_n, p, n);
	w->control_n += n;
	return (ssize_t)n;
}

static int end_base64(struct conn *c)
{
	struct websocket *w = c->websocket;
	int r;

	if (!w->text.len)
		return 0;
	r = base64_decode((const char *)buf_bytes(&w->text), w->text.len, &w->decoded, &w->rest_n);
	buf_done(&w->text);
	if (r)
		return r == -ENOMEM ? r : -EPROTO;
	w->rest = (const uint8_t *)w->decoded;
	if (!w->rest_n)
		free(take(w->decoded));
	return 0;
}

static int end_message(struct conn *c)
{
	struct websocket *w = c->websocket;
	int r = 0;

	w->in_message = false;
	if (w->closing) {
		if (w->text.len != 1)
			r = -EPROTO;
		else
			r = end_channel(c, *buf_bytes(&w->text) - (w->base64 && *buf_bytes(&w->text) >= '0' ? '0' : 0u));
		buf_done(&w->text);
	} else if (w->base64 && w->has_channel) {
		r = end_base64(c);
	}
	w->has_channel = w->closing = false;
	return r;
}

static int end_frame(struct conn *c)
{
	struct websocket *w = c->websocket;

	w->in_frame = false;
	switch (w->frame.opcode) {
	case OP_CLOSE:
		conn_finish(c, 0);
		return 0;
	case OP_PING:
		send_frame(c, OP_PONG, w->control, w->control_n, NULL, 0);
		return 0;
	case OP_PONG:
		return 0;
	}
	return w->frame.fin ? end_message(c) : 0;
}

static int begin_frame(struct websocket *w)
{
	const struct wslay_frame_iocb *f = &w->frame;

	if (!f->mask || f->rsv)
		return -EPROTO;
	w->in_frame = true;
	w->frame_left = f->payload_length;
	if (f->opcode >= OP_CLOSE) {
		w->control_n = 0;
		return f->opcode > OP_PONG || !f->fin || f->payload_length > CONTROL_MAX ? -EPROTO : 0;
	}
	if (f->opcode > OP_BINARY || (f->opcode == OP_CONTINUATION) != w->in_message)
		return -EPROTO;
	w->in_message = true;
	return 0;
}

/* ---- the protocol ---- */

static ssize_t on_wslay_reads(uint8_t *p, size_t n, int flags, void *user)
{
	struct websocket *w = ((struct conn *)user)->websocket;

	if (!w->in_n)
		return -1;
	if (n > w->in_n)
		n = w->in_n;
	memcpy(p, w->in, n);
	w->in += n;
	w->in_n -= n;
	return (ssize_t)n;
}

/* > 0: something happened; 0: more bytes are needed; -errno */
static int next_piece(struct websocket *w)
{
	ssize_t n = wslay_frame_recv(w->wslay, &w->frame);
	int r;

	if (n == WSLAY_ERR_WANT_READ)
		return 0;
	if (n < 0)
		return n == WSLAY_ERR_NOMEM ? -ENOMEM : -EPROTO;
	if (!w->in_frame) {
		r = begin_frame(w);
		if (r)
			return r;
	}
	w->rest = w->frame.data;
	w->rest_n = w->frame.data_length;
	w->frame_left -= w->rest_n;
	return 1;
}

static int take_rest(struct conn *c)
{
	struct websocket *w = c->websocket;
	ssize_t n = w->decoded ? (ssize_t)deliver(c, w->rest, w->rest_n) : feed_payload(c, w->rest, w->rest_n);

	if (n < 0)
		return (int)n;
	w->rest += n;
	w->rest_n -= (size_t)n;
	if (!w->rest_n)
		free(take(w->decoded));
	return 0;
}

static ssize_t ws_feed(struct conn *c, const uint8_t *p, size_t n)
{
	struct websocket *w = c->websocket;
	int r = 0;

	w->in = p;
	w->in_n = n;
	while (r >= 0 && c->state == CONN_OPEN && !c->blocked) {
		if (w->rest_n) {
			r = take_rest(c);
		} else if (w->in_frame && !w->frame_left) {
			r = end_frame(c);
		} else {
			r = next_piece(w);
			if (!r)
				break;
		}
	}
	return r < 0 ? r : (ssize_t)(n - w->in_n);
}

/* wslay has bytes of its own that may be whole frames, when we stopped in the middle. */
static bool ws_pending(struct conn *c)
{
	return c->websocket->rest_n;
}

static void ws_goodbye(struct conn *c, int r)
{
	if (r == -EPROTO)
		send_close(c, CLOSE_PROTOCOL);
	else if (r == -EMSGSIZE)
		send_close(c, CLOSE_TOO_BIG);
	else
		send_close(c, r && r != -ETIME && r != -ETIMEDOUT ? CLOSE_INTERNAL : CLOSE_NORMAL);
}

static void ws_free(struct conn *c)
{
	struct websocket *w = take(c->websocket);

	wslay_frame_context_free(w->wslay);
	buf_done(&w->text);
	free(w->decoded);
	free(w);
}

static const struct protocol channel_protocol = {
	.feed = ws_feed,
	.pending = ws_pending,
	.goodbye = ws_goodbye,
	.free = ws_free,
	.room = ws_room,
	.send = ws_send,
	.finish = ws_finish,
	.consumed = ws_consumed,
	.reset = ws_stream,
	.detach = ws_stream,
};

/* ---- the tunnel ---- */

static void emit_tunnel(struct conn *c, const void *head, size_t head_n, const void *p, size_t n)
{
	send_frame(c, OP_BINARY, head, head_n, p, n);
}

static void tunnel_goodbye(struct conn *c, int r)
{
	spdy_goodbye(c, r);
	ws_goodbye(c, r);
}

static void tunnel_free(struct conn *c)
{
	spdy_free(c);
	ws_free(c);
}

static const struct protocol tunnel_protocol = {
	SPDY_STREAM_CALLS,
	.feed = ws_feed,
	.pending = ws_pending,
	.goodbye = tunnel_goodbye,
	.free = tunnel_free,
};

/* ---- the beginning ---- */

static int begin_command(struct conn *c)
{
	int flags = c->request->flags;
	struct crisvc_stream *s = stream_new(c, 0);

	if (!s)
		return -ENOMEM;
	/* tells the client that all is well, as nothing else may be said for long */
	send_channel(c, flags & CRISVC_STREAM_STDOUT ? CH_STDOUT : flags & CRISVC_STREAM_STDERR ? CH_STDERR : CH_ERROR,
		     NULL, 0);
	stream_start(s);
	return 0;
}

static int begin_forward(struct conn *c)
{
	c->ends_with_streams = true;
	for (unsigned i = 0; i < c->request->n_ports && c->state == CONN_OPEN; i++) {
		uint16_t port = c->request->ports[i];
		uint8_t text[2] = { (uint8_t)port, (uint8_t)(port >> 8) };
		struct crisvc_stream *s = stream_new(c, port);

		if (!s)
			return -ENOMEM;
		s->index = i;
		send_channel(c, 2 * i, text, sizeof(text));
		send_channel(c, 2 * i + 1, text, sizeof(text));
	}
	for (struct crisvc_stream *s = c->streams, *next; s && c->state == CONN_OPEN; s = next) {
		next = s->next_of_conn;
		stream_start(s);
	}
	return 0;
}

int websocket_begin(struct conn *c, const char *subprotocol)
{
	static const struct wslay_frame_callbacks callbacks = { .recv_callback = on_wslay_reads };
	struct websocket *w = calloc(1, sizeof(*w));

	if (!w || wslay_frame_context_init(&w->wslay, &callbacks, c)) {
		free(w);
		return -ENOMEM;
	}
	c->websocket = w;
	w->tunnel = streq(subprotocol, tunnel_name);
	c->version = w->tunnel ? 1 : parse_subprotocol(subprotocol, &w->base64);
	w->v5 = c->version >= 5;
	c->protocol = &channel_protocol;
	conn_deadline(c, 0);
	if (w->tunnel) {
		if (spdy_new(c, emit_tunnel))
			return -ENOMEM;
		c->protocol = &tunnel_protocol;
		return 0;
	}
	return c->request->kind == CRISVC_STREAM_PORT_FORWARD ? begin_forward(c) : begin_command(c);
}
