/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPDY/3.1 as the clients of the kubelet speak it: they open all streams ("wires" here, as a stream is
 * what the backend sees), a wire is named by its header streamType, and a stream has several:
 *
 *	exec, attach	error, and as asked for stdin, stdout, stderr, resize; one stream
 *	port-forward	pairs of data and error with the same requestID; one stream for each pair
 *
 * Frames are parsed as they come: the payload of a data frame goes straight to the stream, so its size
 * does not matter; a control frame is collected first.
 *
 * Flow control: what a stream took is granted again, for the wire and the connection. Clients in Go
 * (spdystream) ignore that and grant nothing themselves, so the windows of a client count only from
 * the first frame on by which it shows that it knows them.
 */
#include "private.h"
#include "spdy_header.h"

#define WINDOW_DEFAULT (64 << 10)
#define WINDOW_STEP (32u << 10)
#define WINDOW_MAX 0x7fffffff
#define BUCKETS 64

enum {
	SYN_STREAM = 1, SYN_REPLY = 2, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, HEADERS = 8,
	WINDOW_UPDATE = 9
};
enum { FLAG_FIN = 1, FLAG_UNIDIRECTIONAL = 2 };
enum { STATUS_PROTOCOL_ERROR = 1, STATUS_REFUSED_STREAM = 3, STATUS_CANCEL = 5, STATUS_INTERNAL_ERROR = 6 };
#define SETTINGS_INITIAL_WINDOW_SIZE 7

struct wire {
	struct wire *next;
	uint32_t id;
	struct crisvc_stream *stream;
	enum channel ch; /* of what the client sends */
	bool client_ended, we_ended;
	int64_t window;	   /* what we may send, if the client counts */
	uint32_t consumed; /* not granted again yet */
	char request_id[64];
};

enum parse { PARSE_HEAD, PARSE_CONTROL, PARSE_DATA };

struct spdy {
	spdy_emit *emit;
	struct spdy_headers headers;
	struct wire *buckets[BUCKETS];
	size_t n_wires;
	uint32_t last_id;
	bool replied; /* our header stream has begun */
	bool client_counts;
	int64_t window;
	uint32_t initial_window, consumed;
	enum parse parse;
	uint8_t head[8];
	size_t have; /* bytes of head */
	size_t left; /* of the payload */
	struct buf control;
};

/* ---- wires ---- */

static struct wire **find(struct spdy *z, uint32_t id)
{
	struct wire **p = &z->buckets[id / 2 % BUCKETS];

	while (*p && (*p)->id != id)
		p = &(*p)->next;
	return p;
}

static void drop(struct spdy *z, struct wire *w)
{
	struct wire **p = find(z, w->id);

	*p = w->next;
	z->n_wires--;
	free(w);
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- frames of ours ---- */

static void send_control(struct conn *c, unsigned type, uint32_t a, const uint8_t *p, size_t n)
{
	uint8_t head[12] = { 0x80, 3, 0, (uint8_t)type };

	put32(head + 4, (uint32_t)(4 + n));
	put32(head + 8, a);
	c->spdy->emit(c, head, sizeof(head), p, n);
}

static void send_control2(struct conn *c, unsigned type, uint32_t a, uint32_t b)
{
	uint8_t p[4];

	put32(p, b);
	send_control(c, type, a, p, sizeof(p));
}

static void send_data(struct conn *c, struct wire *w, const void *p, size_t n, unsigned flags)
{
	uint8_t head[8];

	put32(head, w->id);
	put32(head + 4, (uint32_t)n);
	head[4] = (uint8_t)flags;
	c->spdy->emit(c, head, sizeof(head), p, n);
	w->window -= (int64_t)n;
	c->spdy->window -= (int64_t)n;
}

static void send_reply(struct conn *c, uint32_t id)
{
	uint8_t block[SPDY_EMPTY_BLOCK_MAX];
	size_t n = spdy_headers_empty(!c->spdy->replied, block);

	c->spdy->replied = true;
	send_control(c, SYN_REPLY, id, block, n);
}

static void grant(struct conn *c, uint32_t id, uint32_t *consumed, size_t n)
{
	*consumed += (uint32_t)n;
	if (*consumed < WINDOW_STEP)
		return;
	send_control2(c, WINDOW_UPDATE, id, *consumed);
	*consumed = 0;
}

/* ---- what streams call ---- */

size_t spdy_room(struct crisvc_stream *s, enum channel ch)
{
	struct spdy *z = s->conn->spdy;
	struct wire *w = s->wires[ch];
	size_t room = conn_room(s->conn);
	int64_t window;

	if (!w || w->we_ended || !z->client_counts)
		return room;
	window = w->window < z->window ? w->window : z->window;
	if (window <= 0)
		return 0;
	return (uint64_t)window < room ? (size_t)window : room;
}

void spdy_send(struct crisvc_stream *s, enum channel ch, const void *p, size_t n)
{
	struct wire *w = s->wires[ch];

	if (w && !w->we_ended)
		send_data(s->conn, w, p, n, 0);
}

void spdy_finish(struct crisvc_stream *s, enum channel ch)
{
	struct wire *w = s->wires[ch];

	if (!w || w->we_ended)
		return;
	w->we_ended = true;
	send_data(s->conn, w, NULL, 0, FLAG_FIN);
}

void spdy_consumed(struct crisvc_stream *s, enum channel ch, size_t n)
{
	struct wire *w = s->wires[ch];

	if (w && !w->client_ended)
		grant(s->conn, w->id, &w->consumed, n);
	grant(s->conn, 0, &s->conn->spdy->consumed, n);
}

void spdy_reset(struct crisvc_stream *s)
{
	struct wire *w = s->wires[CH_STDOUT];

	if (!w)
		return;
	w->we_ended = w->client_ended = true;
	send_control2(s->conn, RST_STREAM, w->id, STATUS_INTERNAL_ERROR);
}

void spdy_detach(struct crisvc_stream *s)
{
	struct conn *c = s->conn;

	for (int ch = 0; ch < CH_COUNT; ch++) {
		struct wire *w = s->wires[ch];

		if (!w)
			continue;
		for (int other = ch; other < CH_COUNT; other++)
			if (s->wires[other] == w)
				s->wires[other] = NULL;
		if (c->state == CONN_OPEN && !(w->client_ended && w->we_ended))
			send_control2(c, RST_STREAM, w->id, STATUS_CANCEL);
		drop(c->spdy, w);
	}
}

/* ---- wires of the client ---- */

static int channel_of(const char *type)
{
	static const char *const names[] = { "stdin", "stdout", "stderr", "error", "resize" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(type, names[i]))
			return (int)i;
	return -1;
}

static bool complete(const struct crisvc_stream *s)
{
	for (int ch = 0; ch < CH_COUNT; ch++)
		if (!s->wires[ch] && stream_has(s->request, ch, s->conn->version))
			return false;
	return true;
}

/* Where a wire of an exec or attach belongs. NULL: nowhere. */
static struct crisvc_stream *place_command(struct conn *c, const struct spdy_fields *f, int *ret_ch)
{
	struct crisvc_stream *s = c->streams;
	int ch = channel_of(f->stream_type);

	if (!s || ch < 0 || s->wires[ch] || !stream_has(s->request, ch, c->version))
		return NULL;
	*ret_ch = ch;
	return s;
}

/* Clients before Kubernetes 1.2 sent no requestID, and data right behind error. */
static void name_pair(struct spdy_fields *f, uint32_t id, bool error)
{
	if (!*f->request_id)
		snprintf(f->request_id, sizeof(f->request_id), "%u", error ? id : id - 2);
}

static struct crisvc_stream *place_forward(struct conn *c, struct spdy_fields *f, uint32_t id, int *ret_ch)
{
	bool error = streq(f->stream_type, "error");
	int ch = error ? CH_ERROR : CH_STDIN;
	struct crisvc_stream *s;
	long long port;

	if ((!error && !streq(f->stream_type, "data")) || str_to_i64(f->port, &port) || port < 1 || port > UINT16_MAX)
		return NULL;
	name_pair(f, id, error);
	*ret_ch = ch;
	for (s = c->streams; s; s = s->next_of_conn) {
		struct wire *other = s->wires[error ? CH_STDIN : CH_ERROR];

		if (s->state == STREAM_WAITING && other && streq(other->request_id, f->request_id))
			return s->port == (unsigned)port && !s->wires[ch] ? s : NULL;
	}
	s = stream_new(c, (unsigned)port);
	if (s)
		stream_wait(s);
	return s && s->conn ? s : NULL;
}

static void add_wire(struct conn *c, struct wire *w, unsigned flags)
{
	struct spdy *z = c->spdy;
	struct crisvc_stream *s = w->stream;
	struct wire **p = find(z, w->id);

	w->next = *p;
	*p = w;
	z->n_wires++;
	w->window = z->initial_window;
	w->we_ended = flags & FLAG_UNIDIRECTIONAL;
	w->client_ended = flags & FLAG_FIN;
	s->wires[w->ch] = w;
	if (w->ch == CH_STDIN && s->request->kind == CRISVC_STREAM_PORT_FORWARD)
		s->wires[CH_STDOUT] = w;
	send_reply(c, w->id);
	if (w->client_ended)
		stream_receive_end(s, w->ch);
	if (s->conn && s->state == STREAM_WAITING && complete(s)) {
		if (s->request->kind != CRISVC_STREAM_PORT_FORWARD)
			conn_deadline(c, 0);
		stream_start(s);
	}
}

static int on_syn_stream(struct conn *c, const uint8_t *p, size_t n, unsigned flags)
{
	struct spdy *z = c->spdy;
	struct spdy_fields f;
	struct crisvc_stream *s;
	struct wire *w;
	uint32_t id;
	int ch = 0, r;

	if (n < 10)
		return -EPROTO;
	id = get32(p) & 0x7fffffff;
	if (!(id & 1) || id <= z->last_id)
		return -EPROTO;
	z->last_id = id;
	r = spdy_headers_parse(&z->headers, p + 10, n - 10, &f);
	if (r)
		return r;
	if (z->n_wires >= BOUND_SPDY_STREAMS)
		s = NULL;
	else if (c->request->kind == CRISVC_STREAM_PORT_FORWARD)
		s = place_forward(c, &f, id, &ch);
	else
		s = place_command(c, &f, &ch);
	if (!s) {
		send_control2(c, RST_STREAM, id, STATUS_REFUSED_STREAM);
		return 0;
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct wire){ .id = id, .stream = s, .ch = (enum channel)ch };
	memcpy(w->request_id, f.request_id, sizeof(w->request_id));
	add_wire(c, w, flags);
	return 0;
}

static void client_ends(struct wire *w)
{
	if (w->client_ended)
		return;
	w->client_ended = true;
	stream_receive_end(w->stream, w->ch);
}

static int on_rst_stream(struct conn *c, const uint8_t *p, size_t n)
{
	struct wire *w;

	if (n < 8)
		return -EPROTO;
	w = *find(c->spdy, get32(p) & 0x7fffffff);
	if (!w)
		return 0;
	w->we_ended = true;
	if (w->stream->request->kind != CRISVC_STREAM_PORT_FORWARD) {
		client_ends(w);
		return 0;
	}
	/* clients wait for the error wire to end */
	w->client_ended = true;
	spdy_finish(w->stream, CH_ERROR);
	stream_abandon(w->stream);
	return 0;
}

/* ---- the connection's frames ---- */

static void pump_streams(struct conn *c)
{
	struct crisvc_stream *s, *next;

	for (s = c->streams; s && c->state == CONN_OPEN; s = next) {
		next = s->next_of_conn;
		stream_pump(s);
	}
}

static int change_initial_window(struct conn *c, uint32_t value)
{
	struct spdy *z = c->spdy;
	int64_t delta = (int64_t)value - z->initial_window;

	if (value > WINDOW_MAX)
		return -EPROTO;
	z->client_counts = true;
	z->initial_window = value;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct wire *w = z->buckets[i]; w; w = w->next)
			w->window += delta;
	pump_streams(c);
	return 0;
}

static int on_settings(struct conn *c, const uint8_t *p, size_t n)
{
	int r = 0;

	if (n < 4 || get32(p) != (n - 4) / 8 || (n - 4) % 8)
		return -EPROTO;
	for (p += 4, n -= 4; n && !r; p += 8, n -= 8)
		if ((get32(p) & 0xffffff) == SETTINGS_INITIAL_WINDOW_SIZE)
			r = change_initial_window(c, get32(p + 4));
	return r;
}

static int on_window_update(struct conn *c, const uint8_t *p, size_t n)
{
	struct spdy *z = c->spdy;
	uint32_t id, delta;
	struct wire *w;
	int64_t *window;

	if (n < 8)
		return -EPROTO;
	id = get32(p) & 0x7fffffff;
	delta = get32(p + 4) & WINDOW_MAX;
	z->client_counts = true;
	w = id ? *find(z, id) : NULL;
	if (id && !w)
		return 0;
	window = w ? &w->window : &z->window;
	if (!delta || *window + delta > WINDOW_MAX)
		return -EPROTO;
	*window += delta;
	if (w)
		stream_pump(w->stream);
	else
		pump_streams(c);
	return 0;
}

static int on_ping(struct conn *c, const uint8_t *p, size_t n)
{
	if (n < 4)
		return -EPROTO;
	if (get32(p) & 1) /* even ones would be answers */
		send_control(c, PING, get32(p), NULL, 0);
	return 0;
}

static int on_headers(struct conn *c, const uint8_t *p, size_t n)
{
	struct spdy_fields f;

	/* only to keep the compression going */
	return n < 4 ? -EPROTO : spdy_headers_parse(&c->spdy->headers, p + 4, n - 4, &f);
}

static int on_control(struct conn *c, const uint8_t *head, const uint8_t *p, size_t n)
{
	switch (head[2] << 8 | head[3]) {
	case SYN_STREAM:
		return on_syn_stream(c, p, n, head[4]);
	case SYN_REPLY: /* to nothing: we open no wires */
		return -EPROTO;
	case RST_STREAM:
		return on_rst_stream(c, p, n);
	case SETTINGS:
		return on_settings(c, p, n);
	case PING:
		return on_ping(c, p, n);
	case GOAWAY:
		conn_finish(c, 0);
		return 0;
	case HEADERS:
		return on_headers(c, p, n);
	case WINDOW_UPDATE:
		return on_window_update(c, p, n);
	}
	return 0; /* unknown ones are ignored, 2.2.1 */
}

/* ---- parsing ---- */

static int begin_frame(struct spdy *z)
{
	bool control = z->head[0] & 0x80;

	z->left = get32(z->head + 4) & 0xffffff;
	if (!control) {
		z->parse = PARSE_DATA;
		return 0;
	}
	if ((z->head[0] & 0x7f) != 0 || z->head[1] != 3)
		return -EPROTO;
	if (z->left > BOUND_SPDY_CONTROL)
		return -EMSGSIZE;
	z->parse = PARSE_CONTROL;
	return 0;
}

static size_t feed_head(struct spdy *z, const uint8_t *p, size_t n, int *ret)
{
	size_t k = sizeof(z->head) - z->have;

	k = k < n ? k : n;
	memcpy(z->head + z->have, p, k);
	z->have += k;
	if (z->have == sizeof(z->head))
		*ret = begin_frame(z);
	return k;
}

static void next_frame(struct spdy *z)
{
	z->parse = PARSE_HEAD;
	z->have = 0;
}

static size_t feed_control(struct conn *c, const uint8_t *p, size_t n, int *ret)
{
	struct spdy *z = c->spdy;
	size_t k = z->left < n ? z->left : n;
	struct buf whole;

	if (!buf_append(&z->control, p, k)) {
		*ret = -ENOMEM;
		return k;
	}
	z->left -= k;
	if (z->left)
		return k;
	whole = z->control;
	z->control = (struct buf){ 0 };
	next_frame(z);
	*ret = on_control(c, z->head, whole.len ? buf_bytes(&whole) : z->head, whole.len);
	buf_done(&whole);
	return k;
}

static size_t feed_data(struct conn *c, const uint8_t *p, size_t n)
{
	struct spdy *z = c->spdy;
	struct wire **w = find(z, get32(z->head));
	size_t k = z->left < n ? z->left : n;

	if (*w && !(*w)->client_ended)
		k = k ? stream_receive((*w)->stream, (*w)->ch, p, k) : 0;
	else
		grant(c, 0, &z->consumed, k);
	if (c->state == CONN_DEAD)
		return k;
	z->left -= k;
	if (z->left)
		return k;
	next_frame(z);
	w = find(z, get32(z->head));
	if (*w && (z->head[4] & FLAG_FIN))
		client_ends(*w);
	return k;
}

ssize_t spdy_feed(struct conn *c, const uint8_t *p, size_t n)
{
	struct spdy *z = c->spdy;
	size_t used = 0;
	int r = 0;

	/* a frame without payload is done with when its head is */
	while (!r && c->state == CONN_OPEN && (used < n || (z->parse != PARSE_HEAD && !z->left))) {
		if (c->blocked)
			break;
		if (z->parse == PARSE_HEAD)
			used += feed_head(z, p + used, n - used, &r);
		else if (z->parse == PARSE_CONTROL)
			used += feed_control(c, p + used, n - used, &r);
		else
			used += feed_data(c, p + used, n - used);
	}
	return r ? r : (ssize_t)used;
}

/* ---- the session ---- */

void spdy_goodbye(struct conn *c, int r)
{
	bool broken = r == -EPROTO || r == -EMSGSIZE;

	send_control2(c, GOAWAY, c->spdy->last_id, broken ? STATUS_PROTOCOL_ERROR : r == -ENOMEM ? 2 : 0);
}

void spdy_free(struct conn *c)
{
	struct spdy *z = take(c->spdy);

	spdy_headers_done(&z->headers);
	buf_done(&z->control);
	free(z);
}

static const struct protocol spdy_protocol = {
	SPDY_STREAM_CALLS,
	.feed = spdy_feed,
	.goodbye = spdy_goodbye,
	.free = spdy_free,
};

int spdy_new(struct conn *c, spdy_emit *emit)
{
	struct spdy *z = calloc(1, sizeof(*z));

	if (!z || spdy_headers_init(&z->headers)) {
		free(z);
		return -ENOMEM;
	}
	z->emit = emit;
	z->window = z->initial_window = WINDOW_DEFAULT;
	c->spdy = z;
	return 0;
}

static void emit_plain(struct conn *c, const void *head, size_t head_n, const void *p, size_t n)
{
	conn_write(c, head, head_n);
	conn_write(c, p, n);
}

int spdy_begin(struct conn *c)
{
	if (spdy_new(c, emit_plain))
		return -ENOMEM;
	c->protocol = &spdy_protocol;
	if (c->request->kind == CRISVC_STREAM_PORT_FORWARD) {
		conn_deadline(c, 0);
		return 0;
	}
	if (!stream_new(c, 0))
		return -ENOMEM;
	conn_deadline(c, BOUND_STREAMS_NS);
	return 0;
}
