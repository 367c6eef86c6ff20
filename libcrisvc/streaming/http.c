/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request that opens a connection: GET or POST of /exec/TOKEN, /attach/TOKEN or
 * /portforward/TOKEN with an Upgrade to SPDY/3.1 or WebSocket. It uses up the token, whatever comes
 * of it. Anything else is answered with an error and the end.
 */
#include "private.h"

#include <ctype.h>
#include <stdarg.h>
#include <strings.h>

struct head {
	const char *method, *target;
	/* NULL: not there. Lists that come in several lines are joined. */
	char *upgrade, *connection, *spdy_versions, *ws_key, *ws_version, *ws_protocols, *length;
	char *encoding;
};

static void head_done(struct head *h)
{
	char *all[] = { h->upgrade, h->connection, h->spdy_versions, h->ws_key, h->ws_version,
			h->ws_protocols, h->length, h->encoding };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		free(all[i]);
}

static char **head_field(struct head *h, const char *name)
{
	const struct {
		const char *name;
		char **value;
	} known[] = {
		{ "upgrade", &h->upgrade },
		{ "connection", &h->connection },
		{ "x-stream-protocol-version", &h->spdy_versions },
		{ "sec-websocket-key", &h->ws_key },
		{ "sec-websocket-version", &h->ws_version },
		{ "sec-websocket-protocol", &h->ws_protocols },
		{ "content-length", &h->length },
		{ "transfer-encoding", &h->encoding },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcasecmp(name, known[i].name))
			return known[i].value;
	return NULL;
}

/* Cuts the next line off, without its end; false: there is none, or it has a control byte. */
static bool next_line(char **p, char **ret)
{
	char *end = strchr(*p, '\n');

	if (!end)
		return false;
	*ret = *p;
	*p = end + 1;
	if (end > *ret && end[-1] == '\r')
		end--;
	*end = '\0';
	for (const char *c = *ret; *c; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			return false;
	return true;
}

static int parse_field(struct head *h, char *line)
{
	char *colon = strchr(line, ':'), *value, *end, **field, *joined;

	if (!colon || colon == line || strcspn(line, " \t") < (size_t)(colon - line))
		return -EINVAL;
	*colon = '\0';
	field = head_field(h, line);
	if (!field)
		return 0;
	value = colon + 1 + strspn(colon + 1, " \t");
	for (end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t');)
		*--end = '\0';
	joined = *field ? strf("%s,%s", *field, value) : strdup(value);
	if (!joined)
		return -ENOMEM;
	free(*field);
	*field = joined;
	return 0;
}

/* text is the whole head; changed. */
static int head_parse(struct head *h, char *text)
{
	char *line, *target, *version;
	int r = 0;

	if (!next_line(&text, &line))
		return -EINVAL;
	target = strchr(line, ' ');
	version = target ? strchr(target + 1, ' ') : NULL;
	if (!version || (strcmp(version, " HTTP/1.1") != 0 && strcmp(version, " HTTP/1.0") != 0))
		return -EINVAL;
	*target = *version = '\0';
	h->method = line;
	h->target = target + 1;
	while (!r && *text) {
		if (!next_line(&text, &line))
			return -EINVAL;
		if (!*line)
			return 0;
		r = parse_field(h, line);
	}
	return r ? r : -EINVAL;
}

/* Is it one of the words of a list separated by commas? */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; p && *p;) {
		size_t len;

		p += strspn(p, " \t,");
		len = strcspn(p, " \t,");
		if (len == n && !strncasecmp(p, word, n))
			return true;
		p += len;
	}
	return false;
}

/* ---- answers ---- */

static void refuse(struct conn *c, int status, const char *reason, const char *more,
		   const char *fmt, ...) PRINTF_LIKE(5, 6);

static void refuse(struct conn *c, int status, const char *reason, const char *more,
		   const char *fmt, ...)
{
	_cleanup_str_ struct str body = STR_INIT, s = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_vappendf(&body, fmt, ap);
	va_end(ap);
	str_append_char(&body, '\n');
	str_appendf(&s, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
		    "Content-Length: %zu\r\nConnection: close\r\n%s\r\n", status, reason, body.len, more);
	if (body.data)
		str_append_mem(&s, body.data, body.len);
	if (s.failed || body.failed) {
		conn_abort(c);
		return;
	}
	conn_write(c, s.data, s.len);
	conn_finish(c, 0);
}

static void write_text(struct conn *c, struct str *s)
{
	if (s->failed)
		conn_abort(c);
	else
		conn_write(c, s->data, s->len);
}

static const char spdy_accepted[] = "v4.channel.k8s.io, v3.channel.k8s.io, v2.channel.k8s.io, channel.k8s.io";

/* remotecommand version, 0 for none */
static int spdy_version(const char *name, size_t n)
{
	static const char *const names[] = { "channel.k8s.io", "v2.channel.k8s.io", "v3.channel.k8s.io",
					     "v4.channel.k8s.io" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == n && !memcmp(names[i], name, n))
			return (int)i + 1;
	return 0;
}

/* The first of the client's that is known; its length, 0 for none. */
static size_t choose_spdy(const struct request *q, const char *offered, const char **ret, int *ret_version)
{
	static const char forward[] = "portforward.k8s.io";

	for (const char *p = offered; *p;) {
		size_t n;

		p += strspn(p, " \t,");
		n = strcspn(p, " \t,");
		if (q->kind == CRISVC_STREAM_PORT_FORWARD)
			*ret_version = n == strlen(forward) && !memcmp(p, forward, n);
		else
			*ret_version = spdy_version(p, n);
		if (*ret_version) {
			*ret = p;
			return n;
		}
		p += n;
	}
	return 0;
}

static void upgrade_spdy(struct conn *c, const struct head *h)
{
	_cleanup_str_ struct str s = STR_INIT;
	const char *chosen;
	size_t n;
	int r;

	if (!h->spdy_versions || !*h->spdy_versions) {
		refuse(c, 400, "Bad Request", "", "unable to upgrade: X-Stream-Protocol-Version header is required");
		return;
	}
	n = choose_spdy(c->request, h->spdy_versions, &chosen, &c->version);
	if (!n) {
		const char *known = c->request->kind == CRISVC_STREAM_PORT_FORWARD ?
			"X-Accepted-Stream-Protocol-Versions: portforward.k8s.io\r\n" :
			"X-Accepted-Stream-Protocol-Versions: v4.channel.k8s.io, v3.channel.k8s.io, "
			"v2.channel.k8s.io, channel.k8s.io\r\n";

		refuse(c, 403, "Forbidden", known, "unable to upgrade: unable to negotiate protocol: client supports %s, "
		       "server accepts %s", h->spdy_versions,
		       c->request->kind == CRISVC_STREAM_PORT_FORWARD ? "portforward.k8s.io" : spdy_accepted);
		return;
	}
	str_appendf(&s, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
		    "X-Stream-Protocol-Version: %.*s\r\n\r\n", (int)n, chosen);
	write_text(c, &s);
	r = c->state == CONN_OPEN ? spdy_begin(c) : 0;
	if (r)
		conn_abort(c);
}

static void upgrade_websocket(struct conn *c, const struct head *h)
{
	_cleanup_str_ struct str s = STR_INIT;
	const char *chosen;
	char name[64], accept[29];

	if (strcmp(h->method, "GET") != 0 || !h->ws_key || websocket_accept_key(h->ws_key, accept)) {
		refuse(c, 400, "Bad Request", "", "not a WebSocket handshake");
		return;
	}
	if (!h->ws_version || strcmp(h->ws_version, "13") != 0) {
		refuse(c, 426, "Upgrade Required", "Sec-WebSocket-Version: 13\r\n", "WebSocket version 13 is required");
		return;
	}
	chosen = websocket_choose(c->request, h->ws_protocols ? h->ws_protocols : "", name);
	if (!chosen) {
		refuse(c, 403, "Forbidden", "", "requested protocol(s) are not supported: %s", h->ws_protocols);
		return;
	}
	str_appendf(&s, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		    "Sec-WebSocket-Accept: %s\r\n", accept);
	if (*chosen)
		str_appendf(&s, "Sec-WebSocket-Protocol: %s\r\n", chosen);
	str_append(&s, "\r\n");
	write_text(c, &s);
	if (c->state == CONN_OPEN && websocket_begin(c, chosen))
		conn_abort(c);
}

/* ---- the request ---- */

static struct request *find_request(struct conn *c, const char *target)
{
	static const char *const prefixes[] = { "/exec/", "/attach/", "/portforward/" };
	size_t len = strcspn(target, "?");
	struct request *q;

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t n = strlen(prefixes[i]);

		if (len <= n || strncmp(target, prefixes[i], n) != 0)
			continue;
		q = tokens_use(&c->server->tokens, target + n, len - n, mono_ns());
		return !q || q->kind == (int)i + CRISVC_STREAM_EXEC ? q : request_unref(q);
	}
	return NULL;
}

static void answer(struct conn *c, const struct head *h)
{
	if (strcmp(h->method, "GET") != 0 && strcmp(h->method, "POST") != 0) {
		refuse(c, 405, "Method Not Allowed", "Allow: GET, POST\r\n", "method not allowed");
		return;
	}
	if (h->encoding || (h->length && strcmp(h->length, "0") != 0)) {
		refuse(c, 400, "Bad Request", "", "a request with a body");
		return;
	}
	c->request = find_request(c, h->target);
	if (!c->request)
		refuse(c, 404, "Not Found", "", "404 page not found");
	else if (!has_word(h->connection, "upgrade"))
		refuse(c, 400, "Bad Request", "", "Upgrade request required");
	else if (has_word(h->upgrade, "websocket"))
		upgrade_websocket(c, h);
	else if (has_word(h->upgrade, "SPDY/3.1"))
		upgrade_spdy(c, h);
	else
		refuse(c, 400, "Bad Request", "", "Upgrade to SPDY/3.1 or websocket required");
}

/* Length of the head with the empty line, 0 while it is not whole. */
static size_t head_length(const uint8_t *p, size_t n)
{
	for (const uint8_t *nl = memchr(p, '\n', n); nl; nl = memchr(nl + 1, '\n', n - (size_t)(nl + 1 - p))) {
		size_t left = n - (size_t)(nl + 1 - p);

		if (left && nl[1] == '\n')
			return (size_t)(nl + 2 - p);
		if (left > 1 && nl[1] == '\r' && nl[2] == '\n')
			return (size_t)(nl + 3 - p);
	}
	return 0;
}

static ssize_t http_feed(struct conn *c, const uint8_t *p, size_t n)
{
	size_t len = head_length(p, n > BOUND_HEAD ? BOUND_HEAD : n);
	_cleanup_free_ char *text = NULL;
	struct head h = { 0 };
	int r;

	if (!len) {
		if (n < BOUND_HEAD)
			return 0;
		refuse(c, 431, "Request Header Fields Too Large", "", "request head too large");
		return (ssize_t)n;
	}
	text = strndup((const char *)p, len);
	if (!text)
		return -ENOMEM;
	r = strlen(text) == len ? head_parse(&h, text) : -EINVAL;
	if (r)
		refuse(c, 400, "Bad Request", "", "malformed request");
	else
		answer(c, &h);
	head_done(&h);
	return (ssize_t)len;
}

const struct protocol http_protocol = { .feed = http_feed };
