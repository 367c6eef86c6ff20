/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdarg.h>
#include <string.h>

#include "peer.h"

/* ---- writing ---- */

void put_u32(struct str *out, uint32_t v)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		str_append_char(out, (char)(v >> shift));
}

void put_frame(struct str *out, unsigned type, unsigned flags, uint32_t id, const void *p, size_t n)
{
	str_append_char(out, (char)(n >> 16));
	str_append_char(out, (char)(n >> 8));
	str_append_char(out, (char)n);
	str_append_char(out, (char)type);
	str_append_char(out, (char)flags);
	put_u32(out, id);
	str_append_mem(out, p, n);
}

/* RFC 7541, section 5.1, with a prefix of 7 bits. */
static void put_length(struct str *out, size_t n)
{
	if (n < 127) {
		str_append_char(out, (char)n);
		return;
	}
	str_append_char(out, 127);
	for (n -= 127; n >= 128; n >>= 7)
		str_append_char(out, (char)(n | 128));
	str_append_char(out, (char)n);
}

void put_field_n(struct str *block, const char *name, size_t name_len, const char *value,
		 size_t value_len)
{
	str_append_char(block, 0);
	put_length(block, name_len);
	str_append_mem(block, name, name_len);
	put_length(block, value_len);
	str_append_mem(block, value, value_len);
}

void put_field(struct str *block, const char *name, const char *value)
{
	put_field_n(block, name, strlen(name), value, strlen(value));
}

void put_request(struct str *out, uint32_t id, unsigned flags, const char *path, ...)
{
	_cleanup_str_ struct str block = STR_INIT;
	const char *name;
	va_list ap;

	put_field(&block, ":method", "POST");
	put_field(&block, ":scheme", "http");
	put_field(&block, ":path", path);
	put_field(&block, ":authority", "localhost");
	put_field(&block, "content-type", "application/grpc");
	put_field(&block, "te", "trailers");
	va_start(ap, path);
	while ((name = va_arg(ap, const char *)))
		put_field(&block, name, va_arg(ap, const char *));
	va_end(ap);
	put_frame(out, F_HEADERS, flags | END_HEADERS, id, block.data, block.len);
}

void put_message(struct str *out, uint32_t id, unsigned flags, const void *p, size_t n)
{
	_cleanup_str_ struct str body = STR_INIT;

	str_append_char(&body, 0);
	put_u32(&body, (uint32_t)n);
	str_append_mem(&body, p, n);
	put_frame(out, F_DATA, flags, id, body.data, body.len);
}

void put_reset(struct str *out, uint32_t id, uint32_t code)
{
	_cleanup_str_ struct str p = STR_INIT;

	put_u32(&p, code);
	put_frame(out, F_RST_STREAM, 0, id, p.data, p.len);
}

/* ---- reading ---- */

uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void reader_init(struct reader *r)
{
	*r = (struct reader){ 0 };
	ck_assert_int_eq(nghttp2_hd_inflate_new(&r->inflater), 0);
}

void reader_done(struct reader *r)
{
	nghttp2_hd_inflate_del(r->inflater);
	str_done(&r->bytes);
	str_done(&r->headers);
}

static void decode(struct reader *r, const struct frame *f)
{
	const uint8_t *p = f->p;
	size_t n = f->n;
	ssize_t used;

	str_reset(&r->headers);
	for (;;) {
		nghttp2_nv nv;
		int flags = 0;

		used = nghttp2_hd_inflate_hd2(r->inflater, &nv, &flags, p, n, 1);
		ck_assert_int_ge(used, 0);
		p += used;
		n -= (size_t)used;
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			str_appendf(&r->headers, "%.*s: %.*s\n", (int)nv.namelen,
				    (const char *)nv.name, (int)nv.valuelen,
				    (const char *)nv.value);
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			break;
	}
	ck_assert_int_eq(nghttp2_hd_inflate_end_headers(r->inflater), 0);
}

bool reader_next(struct reader *r, struct frame *f)
{
	const uint8_t *p = (const uint8_t *)r->bytes.data + r->pos;
	size_t left = r->bytes.len - r->pos;

	if (left < 9)
		return false;
	f->n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
	f->type = p[3];
	f->flags = p[4];
	f->id = get_u32(p + 5);
	f->p = p + 9;
	if (left < 9 + f->n)
		return false;
	r->pos += 9 + f->n;
	if (f->type == F_HEADERS) {
		ck_assert(f->flags & END_HEADERS);
		decode(r, f);
	}
	return true;
}

bool reader_next_important(struct reader *r, struct frame *f)
{
	while (reader_next(r, f))
		if (f->type != F_SETTINGS && f->type != F_WINDOW_UPDATE &&
		    !(f->type == F_PING && f->flags & ACK))
			return true;
	return false;
}
