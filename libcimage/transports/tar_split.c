/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar-split, see tar_split.h. Making it: headers, the extensions before them and padding are segments; each member is a
 * file entry, with a checksum if it has content. Only what says where content begins and ends is understood of a header: its
 * type, size and name. An archive with sparse members, whose content is not that of the file, is refused.
 */
#include <cbase/digest.h>
#include <cbase/json.h>
#include <zlib.h>
#include "tar_split.h"

#define BLOCK 512u
#define BUFFER (64u << 10)
#define SEGMENT_MAX (1u << 20)
#define TYPE_FILE 1
#define TYPE_SEGMENT 2

/* CRC-64/ISO as Go has it; starts with 0. */
struct crc64 {
	uint64_t table[256];
};

static void crc64_init(struct crc64 *c)
{
	int i, bit;

	for (i = 0; i < 256; i++)
		for (c->table[i] = (uint64_t)i, bit = 0; bit < 8; bit++)
			c->table[i] = c->table[i] >> 1 ^ (c->table[i] & 1 ? UINT64_C(0xd800000000000000) : 0);
}

static uint64_t crc64_update(const struct crc64 *c, uint64_t crc, const unsigned char *p, size_t n)
{
	for (crc = ~crc; n--; p++)
		crc = crc >> 8 ^ c->table[(crc ^ *p) & 0xff];
	return ~crc;
}

static void crc64_bytes(uint64_t crc, unsigned char out[8])
{
	int i;

	for (i = 0; i < 8; i++)
		out[i] = (unsigned char)(crc >> (56 - 8 * i));
}

/* ---- making ---- */

struct maker {
	int fd;
	struct digest_stream *digest;
	int64_t total;
	z_stream z;
	struct crc64 crc;
	struct str *out, segment;
	uint64_t position;
	char *name;		/* by an extension, of the next member; or NULL */
	int64_t size;		/* likewise; -1 */
	struct cimage_error *err;
};

static int get(struct maker *m, void *p, size_t n, size_t *ret_n)
{
	ssize_t k;

	for (*ret_n = 0; *ret_n < n; *ret_n += (size_t)k) {
		do
			k = read(m->fd, (char *)p + *ret_n, n - *ret_n);
		while (k < 0 && errno == EINTR);
		if (k < 0)
			return err_sys(m->err, "read the layer");
		if (!k)
			break;
	}
	digest_stream_update(m->digest, p, *ret_n);
	m->total += (int64_t)*ret_n;
	return 0;
}

static int bad(struct maker *m, const char *what)
{
	return err_set(m->err, CIMAGE_E_INVALID, "the layer is no tar archive: %s", what);
}

static int get_all(struct maker *m, void *p, size_t n)
{
	size_t got;
	int r = get(m, p, n, &got);

	return r ? r : got == n ? 0 : bad(m, "it ends too early");
}

static int deflate_all(struct maker *m, const char *p, size_t n, int flush)
{
	unsigned char buf[16384];
	int r;

	m->z.next_in = (unsigned char *)(uintptr_t)p;
	m->z.avail_in = (unsigned int)n;
	do {
		m->z.next_out = buf;
		m->z.avail_out = sizeof(buf);
		r = deflate(&m->z, flush);
		str_append_mem(m->out, buf, sizeof(buf) - m->z.avail_out);
	} while (!m->z.avail_out && r != Z_STREAM_END);
	if (str_failed(m->out))
		return err_oom(m->err);
	if (m->out->len > TAR_SPLIT_MAX)
		return err_set(m->err, CIMAGE_E_LIMIT, "the layer has more than %u bytes of headers",
			       TAR_SPLIT_MAX);
	return 0;
}

static int put_line(struct maker *m, struct str *line)
{
	str_appendf(line, ",\"position\":%llu}\n", (unsigned long long)m->position++);
	return str_failed(line) ? err_oom(m->err) : deflate_all(m, line->data, line->len, Z_NO_FLUSH);
}

static int put_segment(struct maker *m)
{
	_cleanup_str_ struct str line = STR_INIT;

	if (!m->segment.len)
		return 0;
	str_append(&line, "{\"type\":2,\"payload\":\"");
	str_append_base64(&line, m->segment.data, m->segment.len);
	str_append(&line, "\"");
	str_reset(&m->segment);
	return put_line(m, &line);
}

static int put_raw(struct maker *m, const void *p, size_t n)
{
	str_append_mem(&m->segment, p, n);
	if (str_failed(&m->segment))
		return err_oom(m->err);
	return m->segment.len >= SEGMENT_MAX ? put_segment(m) : 0;
}

static int put_file(struct maker *m, const char *name, int64_t size, uint64_t crc)
{
	_cleanup_str_ struct str line = STR_INIT;
	unsigned char sum[8];
	int r = put_segment(m);

	if (r)
		return r;
	str_append(&line, "{\"type\":1,");
	if (utf8_valid(name, strlen(name))) {
		str_append(&line, "\"name\":");
		json_quote(&line, name, strlen(name), 0);
	} else {
		str_append(&line, "\"name_raw\":\"");
		str_append_base64(&line, name, strlen(name));
		str_append(&line, "\"");
	}
	if (size) {
		crc64_bytes(crc, sum);
		str_appendf(&line, ",\"size\":%lld,\"payload\":\"", (long long)size);
		str_append_base64(&line, sum, sizeof(sum));
		str_append(&line, "\"");
	} else {
		str_append(&line, ",\"payload\":null");
	}
	return put_line(m, &line);
}

/* Octal digits, or, with the first bit set, a number of base 256. -1: neither. */
static int64_t number(const unsigned char *p, size_t n)
{
	int64_t v = 0;
	size_t i = 0;

	if (*p & 0x80) {
		if (*p & 0x40)
			return -1;
		for (v = *p & 0x3f, i = 1; i < n; i++)
			if (v >> 54)
				return -1;
			else
				v = v << 8 | p[i];
		return v;
	}
	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
		v = v << 3 | (p[i] - '0');
	return i < n && p[i] && p[i] != ' ' ? -1 : v;
}

static bool checksum_fits(const unsigned char *h)
{
	int64_t wanted = number(h + 148, 8);
	unsigned int sum = 0;
	int alternative = 0;
	size_t i;

	for (i = 0; i < BLOCK; i++) {
		unsigned char c = i >= 148 && i < 156 ? ' ' : h[i];

		sum += c;
		alternative += (signed char)c;
	}
	return wanted == sum || wanted == alternative;
}

static int set_name(struct maker *m, const char *p, size_t n)
{
	free(m->name);
	m->name = strndup(p, n);
	return m->name ? 0 : err_oom(m->err);
}

/* "LENGTH KEY=VALUE\n", one after the other. */
static int read_pax(struct maker *m, const char *p, size_t n)
{
	while (n) {
		char *end;
		unsigned long len = strtoul(p, &end, 10);
		const char *key = end + 1, *value;
		long long size;
		int r = 0;

		if (*end != ' ' || len > n || len < (size_t)(key - p) + 2 || p[len - 1] != '\n' ||
		    !(value = memchr(key, '=', len - (size_t)(key - p))))
			return bad(m, "a damaged PAX header");
		value++;
		if (str_starts(key, "GNU.sparse."))
			return err_set(m->err, CIMAGE_E_UNSUPPORTED, "the layer has sparse members");
		if (str_starts(key, "path="))
			r = set_name(m, value, len - 1 - (size_t)(value - p));
		if (str_starts(key, "size=")) {
			_cleanup_free_ char *text = strndup(value, len - 1 - (size_t)(value - p));

			if (!text || str_to_i64(text, &size) || size < 0)
				return bad(m, "a bad size");
			m->size = size;
		}
		if (r)
			return r;
		p += len;
		n -= len;
	}
	return 0;
}

static int read_extension(struct maker *m, char type, int64_t size)
{
	size_t padded = ((size_t)size + BLOCK - 1) & ~(size_t)(BLOCK - 1);
	_cleanup_free_ char *text = NULL;
	int r;

	if (size > (int64_t)TAR_EXTENSION_MAX)
		return err_set(m->err, CIMAGE_E_LIMIT, "the layer has a header of %lld bytes", (long long)size);
	text = calloc(1, padded + 1);
	if (!text)
		return err_oom(m->err);
	r = get_all(m, text, padded);
	if (!r)
		r = put_raw(m, text, padded);
	if (!r && type == 'L')
		r = set_name(m, text, strnlen(text, (size_t)size));
	if (!r && type == 'x')
		r = read_pax(m, text, (size_t)size);
	return r;
}

static int read_content(struct maker *m, int64_t size, uint64_t *ret_crc)
{
	_cleanup_free_ unsigned char *buf = malloc(BUFFER);
	int64_t left;
	int r = buf ? 0 : err_oom(m->err);

	for (left = size, *ret_crc = 0; !r && left;) {
		size_t n = left < (int64_t)BUFFER ? (size_t)left : BUFFER;

		r = get_all(m, buf, n);
		*ret_crc = crc64_update(&m->crc, *ret_crc, buf, n);
		left -= (int64_t)n;
	}
	return r;
}

static int read_member(struct maker *m, const unsigned char *h)
{
	char type = (char)h[156], name[257], pad[BLOCK];
	int64_t size = number(h + 124, 12);
	uint64_t crc;
	int r;

	if (size < 0 || !checksum_fits(h))
		return bad(m, "a damaged header");
	if (type == 'x' || type == 'g' || type == 'L' || type == 'K')
		return read_extension(m, type, size);
	if (type == 'S')
		return err_set(m->err, CIMAGE_E_UNSUPPORTED, "the layer has sparse members");
	if (m->size >= 0)
		size = m->size;
	if (type >= '1' && type <= '6')
		size = 0; /* links, devices and directories have none, whatever they say */
	if (!m->name) {
		bool prefix = !memcmp(h + 257, "ustar\0", 6) && h[345];

		snprintf(name, sizeof(name), "%.*s%s%.*s", prefix ? 155 : 0, (const char *)h + 345,
			 prefix ? "/" : "", 100, (const char *)h);
	}
	/* the segment in front of the content has to be out before it, and put_file() comes after */
	r = put_segment(m);
	if (!r)
		r = read_content(m, size, &crc);
	if (!r)
		r = put_file(m, m->name ? m->name : name, size, crc);
	free(take(m->name));
	m->size = -1;
	if (!r && size % BLOCK) {
		r = get_all(m, pad, BLOCK - (size_t)(size % BLOCK));
		if (!r)
			r = put_raw(m, pad, BLOCK - (size_t)(size % BLOCK));
	}
	return r;
}

static int make(struct maker *m)
{
	static const unsigned char zeros[BLOCK];
	unsigned char block[BLOCK];
	bool ended = false;
	size_t n;
	int r;

	for (;;) {
		r = get(m, block, BLOCK, &n);
		if (r || !n)
			return r ? r : put_segment(m);
		if (n < BLOCK && !ended)
			return bad(m, "it ends too early");
		ended = ended || !memcmp(block, zeros, n);
		r = put_raw(m, block, n);
		if (!r && !ended)
			r = read_member(m, block);
		if (r)
			return r;
	}
}

int tar_split_make(int fd, struct str *ret, char *ret_digest, int64_t *ret_size,
		   struct cimage_error *err)
{
	_cleanup_(digest_stream_freep) struct digest_stream *digest = NULL;
	struct maker m = { .fd = fd, .out = ret, .segment = STR_INIT, .size = -1, .err = err };
	int r;

	if (digest_stream_new("sha256", &digest) ||
	    deflateInit2(&m.z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return err_oom(err);
	crc64_init(&m.crc);
	m.digest = digest;
	r = make(&m);
	if (!r)
		r = deflate_all(&m, "", 0, Z_FINISH);
	deflateEnd(&m.z);
	str_done(&m.segment);
	free(m.name);
	digest_stream_final(digest, ret_digest);
	*ret_size = m.total;
	return r;
}

/* ---- joining ---- */

struct joined {
	struct cimage_stream base;
	char *split;
	z_stream z;
	struct str line;
	char *raw;			/* of a segment, between at and len */
	size_t at, len;
	struct cimage_stream *file;	/* whose content is next; or NULL */
	int64_t left;
	struct crc64 table;
	uint64_t crc;
	unsigned char wanted[8];
	tar_split_open_fn *open;
	void *user;
	void (*done)(void *user);
};

static void joined_close(struct cimage_stream *s)
{
	struct joined *j = (struct joined *)s;

	if (j->file)
		j->file->close(j->file);
	inflateEnd(&j->z);
	str_done(&j->line);
	free(j->raw);
	free(j->split);
	j->done(j->user);
	free(j);
}

static int damaged(struct cimage_error *err)
{
	return err_set(err, CIMAGE_E_INVALID, "the layer's tar-split is damaged");
}

/* The next line, without its end; NULL data: there is none. */
static int next_line(struct joined *j, struct cimage_error *err)
{
	char c;
	int r = Z_OK;

	str_reset(&j->line);
	while (r == Z_OK) {
		j->z.next_out = (unsigned char *)&c;
		j->z.avail_out = 1;
		r = inflate(&j->z, Z_NO_FLUSH);
		if (j->z.avail_out)
			break;
		if (c == '\n')
			return 0;
		if (j->line.len >= TAR_SPLIT_LINE_MAX)
			return damaged(err);
		str_append_mem(&j->line, &c, 1);
		if (str_failed(&j->line))
			return err_oom(err);
	}
	return r == Z_STREAM_END && !j->line.len ? 0 : damaged(err);
}

static int read_segment(struct joined *j, const struct json *entry, struct cimage_error *err)
{
	const char *payload = json_get_string(entry, "payload");

	free(take(j->raw));
	j->at = 0;
	return payload && !base64_decode(payload, strlen(payload), &j->raw, &j->len) ? 0 : damaged(err);
}

static int read_file_entry(struct joined *j, const struct json *entry, struct cimage_error *err)
{
	const char *name = json_get_string(entry, "name"), *raw = json_get_string(entry, "name_raw");
	const char *payload = json_get_string(entry, "payload");
	_cleanup_free_ char *decoded = NULL, *sum = NULL;
	int64_t size = json_get_int(entry, "size", 0);
	size_t n;

	if (!size)
		return 0;
	if (!name && (!raw || base64_decode(raw, strlen(raw), &decoded, &n)))
		return damaged(err);
	if (size < 0 || !payload || base64_decode(payload, strlen(payload), &sum, &n) ||
	    n != sizeof(j->wanted))
		return damaged(err);
	memcpy(j->wanted, sum, sizeof(j->wanted));
	j->left = size;
	j->crc = 0;
	return j->open(j->user, name ? name : decoded, &j->file, err);
}

static int read_entry(struct joined *j, bool *ended, struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	int r = next_line(j, err);

	*ended = !r && !j->line.len;
	if (r || *ended)
		return r;
	if (json_parse(j->line.data, j->line.len, 0, &doc, NULL))
		return damaged(err);
	switch (json_get_int(json_root(doc), "type", 0)) {
	case TYPE_SEGMENT:
		return read_segment(j, json_root(doc), err);
	case TYPE_FILE:
		return read_file_entry(j, json_root(doc), err);
	default:
		return damaged(err);
	}
}

static int read_member_content(struct joined *j, void *p, size_t n, size_t *ret_n, struct cimage_error *err)
{
	unsigned char sum[8];
	int r = j->file->read(j->file, p, (int64_t)n < j->left ? n : (size_t)j->left, ret_n, err);

	if (r)
		return r;
	j->crc = crc64_update(&j->table, j->crc, p, *ret_n);
	j->left -= (int64_t)*ret_n;
	if (j->left && *ret_n)
		return 0;
	j->file->close(take(j->file));
	crc64_bytes(j->crc, sum);
	return j->left || memcmp(sum, j->wanted, sizeof(sum)) ? damaged(err) : 0;
}

static int joined_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		       struct cimage_error *err)
{
	struct joined *j = (struct joined *)s;
	bool ended = false;
	int r = 0;

	*ret_n = 0;
	while (!r && !ended && !*ret_n) {
		if (j->file) {
			r = read_member_content(j, p, n, ret_n, err);
		} else if (j->at < j->len) {
			*ret_n = j->len - j->at < n ? j->len - j->at : n;
			memcpy(p, j->raw + j->at, *ret_n);
			j->at += *ret_n;
		} else {
			j->len = j->at = 0;
			r = read_entry(j, &ended, err);
		}
	}
	return r;
}

int tar_split_join(char *split, size_t n, tar_split_open_fn *open, void *user,
		   void (*done)(void *user), struct cimage_stream **ret, struct cimage_error *err)
{
	struct joined *j = calloc(1, sizeof(*j));

	if (!j || inflateInit2(&j->z, 15 + 16) != Z_OK) {
		free(j);
		free(split);
		done(user);
		return err_oom(err);
	}
	j->base = (struct cimage_stream){ joined_read, joined_close };
	crc64_init(&j->table);
	j->split = split;
	j->z.next_in = (unsigned char *)split;
	j->z.avail_in = (unsigned int)n;
	j->open = open;
	j->user = user;
	j->done = done;
	*ret = &j->base;
	return 0;
}
