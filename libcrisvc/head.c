/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request headers, checked by the rules of RFC 9113 section 8.2 and 8.3 and "gRPC over HTTP2".
 *
 * nghttp2 could do the first part, but it also refuses an :authority with slashes in it. Older Go
 * clients send the path of the socket there, and CRI-O serves them. So the check is here, and
 * strict about everything except :authority, which nothing looks at.
 */
#include <errno.h>
#include <string.h>

#include <cbase/cleanup.h>

#include "head.h"
#include "limit.h"
#include "text.h"

/* RFC 7541 section 4.1 */
#define ENTRY_OVERHEAD 32

struct value {
	const char *p;
	size_t n;
};

static bool is(struct value v, const char *s)
{
	return v.n == strlen(s) && memcmp(v.p, s, v.n) == 0;
}

static void on_method(struct head *h, struct value v)
{
	h->post = is(v, "POST");
}

static void on_path(struct head *h, struct value v)
{
	if (v.n == 0 || v.p[0] != '/') {
		h->malformed = true; /* CVE-2026-33186: never guess a leading slash */
		return;
	}
	if (v.n >= sizeof(h->path))
		return;
	memcpy(h->path, v.p, v.n);
	h->path[v.n] = '\0';
}

static void on_nothing(struct head *h, struct value v)
{
}

static void on_content_type(struct head *h, struct value v)
{
	h->grpc = text_is_grpc(v.p, v.n);
}

static void on_timeout(struct head *h, struct value v)
{
	h->bad_timeout = text_parse_timeout(v.p, v.n, &h->timeout) != 0;
}

static void on_encoding(struct head *h, struct value v)
{
	h->encoded = !is(v, "identity");
}

static void on_te(struct head *h, struct value v)
{
	h->malformed |= !is(v, "trailers");
}

static void on_forbidden(struct head *h, struct value v)
{
	h->malformed = true;
}

enum {
	SEEN_METHOD = 1,
	SEEN_SCHEME = 2,
	SEEN_PATH = 4,
	SEEN_AUTHORITY = 8,
	SEEN_CONTENT_TYPE = 16,
	SEEN_TIMEOUT = 32,
	SEEN_ENCODING = 64
};

#define NAME(s) s, sizeof(s) - 1

static const struct known {
	const char *name;
	size_t len;
	unsigned once;
	void (*fn)(struct head *h, struct value v);
} known[] = {
	{ NAME(":method"), SEEN_METHOD, on_method },
	{ NAME(":scheme"), SEEN_SCHEME, on_nothing },
	{ NAME(":path"), SEEN_PATH, on_path },
	{ NAME(":authority"), SEEN_AUTHORITY, on_nothing },
	{ NAME("content-type"), SEEN_CONTENT_TYPE, on_content_type },
	{ NAME("grpc-timeout"), SEEN_TIMEOUT, on_timeout },
	{ NAME("grpc-encoding"), SEEN_ENCODING, on_encoding },
	{ NAME("te"), 0, on_te },
	/* headers of HTTP/1 connections */
	{ NAME("connection"), 0, on_forbidden },
	{ NAME("keep-alive"), 0, on_forbidden },
	{ NAME("proxy-connection"), 0, on_forbidden },
	{ NAME("transfer-encoding"), 0, on_forbidden },
	{ NAME("upgrade"), 0, on_forbidden },
};

static bool name_ok(struct value name)
{
	if (name.n == 0)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = name.p[i];

		if (c <= 0x20 || c >= 0x7f || (c >= 'A' && c <= 'Z') || (c == ':' && i > 0))
			return false;
	}
	return true;
}

static bool value_ok(struct value v)
{
	return !memchr(v.p, '\0', v.n) && !memchr(v.p, '\r', v.n) && !memchr(v.p, '\n', v.n);
}

void head_init(struct head *h)
{
	*h = (struct head){ .timeout = -1 };
}

void head_done(struct head *h)
{
	metadata_done(&h->metadata);
}

void head_add(struct head *h, const uint8_t *name, size_t name_len, const uint8_t *value,
	      size_t value_len)
{
	struct value n = { (const char *)name, name_len }, v = { (const char *)value, value_len };
	bool pseudo;

	h->size += name_len + value_len + ENTRY_OVERHEAD;
	if (h->size > LIMIT_HEADER_BYTES)
		h->too_big = true;
	if (h->too_big || h->malformed)
		return;
	if (!name_ok(n) || !value_ok(v)) {
		h->malformed = true;
		return;
	}
	pseudo = n.p[0] == ':';
	if (pseudo && h->regular)
		h->malformed = true;
	h->regular |= !pseudo;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (n.n != known[i].len || memcmp(n.p, known[i].name, n.n) != 0)
			continue;
		if (h->seen & known[i].once)
			h->malformed = true;
		h->seen |= known[i].once;
		known[i].fn(h, v);
		return;
	}
	if (pseudo)
		h->malformed = true; /* an unknown one */
	else if (n.n < strlen("grpc-") || memcmp(n.p, "grpc-", strlen("grpc-")) != 0)
		metadata_add(&h->metadata, n.p, n.n, v.p, v.n);
}

void head_end(struct head *h)
{
	unsigned need = SEEN_METHOD | SEEN_SCHEME | SEEN_PATH;

	if ((h->seen & need) != need || str_failed(&h->metadata.text))
		h->malformed = true;
}
