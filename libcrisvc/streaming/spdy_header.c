/* SPDX-License-Identifier: Apache-2.0 */
/* See spdy_header.h; SPDY/3 2.6.10. */
#include "spdy_header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "bounds.h"

#define DICTIONARY_ADLER 0xe3c6a7c2u

int spdy_headers_init(struct spdy_headers *h)
{
	*h = (struct spdy_headers){ 0 };
	return inflateInit(&h->z) == Z_OK ? 0 : -ENOMEM;
}

void spdy_headers_done(struct spdy_headers *h)
{
	inflateEnd(&h->z);
	free(h->text);
}

static int more_room(struct spdy_headers *h)
{
	size_t size = h->size ? 2 * h->size : 1024;
	uint8_t *text;

	if (size > BOUND_SPDY_HEADERS)
		return -EMSGSIZE;
	text = realloc(h->text, size);
	if (!text)
		return -ENOMEM;
	h->text = text;
	h->size = size;
	return 0;
}

/* The whole block to h->text; every one ends with a sync flush, so all of it comes out at once. */
static int inflate_block(struct spdy_headers *h, const uint8_t *p, size_t n, size_t *ret)
{
	size_t len = 0;
	int r;

	h->z.next_in = (Bytef *)(uintptr_t)p;
	h->z.avail_in = (uInt)n;
	for (;;) {
		if (len == h->size) {
			r = more_room(h);
			if (r)
				return r;
		}
		h->z.next_out = h->text + len;
		h->z.avail_out = (uInt)(h->size - len);
		r = inflate(&h->z, Z_SYNC_FLUSH);
		len = h->size - h->z.avail_out;
		if (r == Z_NEED_DICT)
			r = inflateSetDictionary(&h->z, spdy_dictionary, SPDY_DICTIONARY_SIZE);
		if (r == Z_MEM_ERROR)
			return -ENOMEM;
		if (r == Z_BUF_ERROR || (r == Z_OK && !h->z.avail_in && h->z.avail_out))
			break;
		if (r != Z_OK)
			return -EPROTO;
	}
	*ret = len;
	return 0;
}

struct cursor {
	const uint8_t *p;
	size_t n;
};

static bool next_number(struct cursor *c, uint32_t *ret)
{
	if (c->n < 4)
		return false;
	*ret = (uint32_t)c->p[0] << 24 | (uint32_t)c->p[1] << 16 | (uint32_t)c->p[2] << 8 | c->p[3];
	c->p += 4;
	c->n -= 4;
	return true;
}

static bool next_bytes(struct cursor *c, struct cursor *ret)
{
	uint32_t n;

	if (!next_number(c, &n) || n > c->n)
		return false;
	*ret = (struct cursor){ c->p, n };
	c->p += n;
	c->n -= n;
	return true;
}

static bool is_name(const struct cursor *c, const char *name)
{
	return c->n == strlen(name) && !strncasecmp((const char *)c->p, name, c->n);
}

static bool keep(char *to, size_t size, const struct cursor *value)
{
	if (value->n >= size || memchr(value->p, '\0', value->n))
		return false;
	memcpy(to, value->p, value->n);
	to[value->n] = '\0';
	return true;
}

static bool parse_entry(struct cursor *c, struct spdy_fields *f)
{
	struct cursor name, value;

	if (!next_bytes(c, &name) || !name.n || !next_bytes(c, &value))
		return false;
	if (is_name(&name, "streamtype"))
		return keep(f->stream_type, sizeof(f->stream_type), &value);
	if (is_name(&name, "port"))
		return keep(f->port, sizeof(f->port), &value);
	if (is_name(&name, "requestid"))
		return keep(f->request_id, sizeof(f->request_id), &value);
	return true;
}

int spdy_headers_parse(struct spdy_headers *h, const uint8_t *p, size_t n, struct spdy_fields *ret)
{
	struct cursor c = { 0 };
	uint32_t entries;
	int r = inflate_block(h, p, n, &c.n);

	*ret = (struct spdy_fields){ 0 };
	if (r)
		return r;
	c.p = h->text;
	if (!next_number(&c, &entries))
		return -EPROTO;
	if (entries > BOUND_SPDY_ENTRIES)
		return -EMSGSIZE;
	for (; entries; entries--)
		if (!parse_entry(&c, ret))
			return -EPROTO;
	return c.n ? -EPROTO : 0;
}

size_t spdy_headers_empty(bool first, uint8_t out[SPDY_EMPTY_BLOCK_MAX])
{
	static const uint8_t head[] = { 0x78, 0xbb, DICTIONARY_ADLER >> 24, DICTIONARY_ADLER >> 16 & 255,
					DICTIONARY_ADLER >> 8 & 255, DICTIONARY_ADLER & 255 };
	/* a stored block with the number 0, and an empty one: what a sync flush writes */
	static const uint8_t block[] = { 0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	size_t n = 0;

	if (first) {
		memcpy(out, head, sizeof(head));
		n = sizeof(head);
	}
	memcpy(out + n, block, sizeof(block));
	return n + sizeof(block);
}
