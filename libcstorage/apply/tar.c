/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar reader: POSIX ustar and pax, GNU long names, star and v7 headers.
 *
 * The same walk that says what to extract says which bytes are headers and which are content, so the
 * tar-split cannot disagree with the tree. libarchive reads the same headers and must see the same
 * members (agree.c). Where archives are
 * ambiguous it decides as Go's archive/tar, which every other program of this format reads them with:
 * the last PAX header counts, a GNU long name wins over a PAX path, links and directories have no
 * content whatever their size says.
 *
 * Refused: sparse files in any of their encodings (their tar-split cannot be exact), multi-volume and
 * vendor members, negative or overlong numbers, names with NUL.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cbase/err.h>
#include "agree.h"
#include "tar.h"

#define XATTR_PREFIX "SCHILY.xattr."
#define SPARSE_PREFIX "GNU.sparse."
#define SIZE_MAX_BYTES (UINT64_C(1) << 42)

/* clang-format off */
/* Offsets and lengths of header fields. */
enum {
	F_NAME = 0, L_NAME = 100, F_MODE = 100, F_UID = 108, F_GID = 116, L_ID = 8, F_SIZE = 124, F_MTIME = 136,
	L_NUMBER = 12, F_CHECKSUM = 148, F_TYPE = 156, F_LINK = 157, F_MAGIC = 257, F_MAJOR = 329, F_MINOR = 337,
	F_PREFIX = 345, L_PREFIX = 155, L_PREFIX_STAR = 131, F_STAR = 508,
	F_GNU_ATIME = 345, F_GNU_CTIME = 357,
};
/* clang-format on */

enum format { FORMAT_V7, FORMAT_USTAR, FORMAT_STAR, FORMAT_GNU };

/* What extension headers say about the member that follows. */
struct extensions {
	char *pax; /* [owned] records of the last 'x' */
	size_t pax_len;
	char *name, *link; /* [owned] from 'L' and 'K' */
};

static void extensions_done(struct extensions *x)
{
	free(x->pax);
	free(x->name);
	free(x->link);
}

void tar_init(struct tar *t, struct stream *stream, struct tarsplit *split)
{
	*t = (struct tar){ .stream = stream, .split = split };
}

void tar_done(struct tar *t)
{
	free(t->pax);
	t->pax = NULL;
}

static int invalid(struct cstore_error *err, const char *why)
{
	return err_set(err, CSTORE_E_INVALID, "%s", why);
}

/* Where it is, and of which name as far as that is known: the name may be what is wrong. */
static int locate(const struct tar *t, uint64_t start, int r, struct cstore_error *err)
{
	unsigned long long at = start;

	if (r <= 0)
		return r;
	return *t->member.name ? err_ctx(err, r, "layer tar: %.300s, at byte %llu", t->member.name, at)
			       : err_ctx(err, r, "layer tar: at byte %llu", at);
}

static int raw(struct tar *t, const void *p, size_t n, struct cstore_error *err)
{
	int r = t->split ? tarsplit_raw(t->split, p, n) : 0;

	if (t->agree)
		agree_raw(t->agree, p, n);
	t->offset += n;

	return r ? err_sysr(err, r, "write tar-split") : 0;
}

/* Passes n bytes to the tar-split. */
static int skip(struct tar *t, uint64_t n, struct cstore_error *err)
{
	const uint8_t *p;
	size_t have;
	int r;

	while (n) {
		r = stream_peek(t->stream, &p, &have, err);
		if (r)
			return r;
		if (!have)
			return invalid(err, "it is cut off");
		have = n < have ? (size_t)n : have;
		r = raw(t, p, have, err);
		if (r)
			return r;
		stream_consume(t->stream, have);
		n -= have;
	}
	return 0;
}

static uint64_t padding_of(uint64_t size)
{
	return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}

/* ---- fields ---- */

/* Octal with spaces and NULs around it, or base 256. Empty is 0. */
static bool parse_number(const uint8_t *p, size_t n, int64_t *ret)
{
	uint64_t v = 0;

	if (p[0] & 0x80) {
		bool negative = p[0] & 0x40;
		uint8_t fill = negative ? 0xff : 0;

		for (size_t i = 0; i < n; i++) {
			uint8_t c = (i ? p[i] : p[i] & 0x7f) ^ (i ? fill : fill & 0x7f);

			if (v >> 55)
				return false;
			v = v << 8 | c;
		}
		*ret = negative ? -(int64_t)v - 1 : (int64_t)v;
		return true;
	}
	while (n && (*p == ' ' || !*p))
		p++, n--;
	while (n && (p[n - 1] == ' ' || !p[n - 1]))
		n--;
	for (; n && *p; p++, n--) { /* a NUL ends it */
		if (*p < '0' || *p > '7' || v >> 59)
			return false;
		v = v << 3 | (uint64_t)(*p - '0');
	}
	*ret = (int64_t)v;
	return true;
}

static bool checksum_ok(const uint8_t *h)
{
	int64_t unsigned_sum = 0, signed_sum = 0, want;

	for (size_t i = 0; i < TAR_BLOCK; i++) {
		uint8_t c = i >= F_CHECKSUM && i < F_CHECKSUM + 8 ? ' ' : h[i];

		unsigned_sum += c;
		signed_sum += (int8_t)c;
	}
	return parse_number(h + F_CHECKSUM, 8, &want) &&
	       (want == unsigned_sum || want == signed_sum);
}

static enum format format_of(const uint8_t *h)
{
	if (memcmp(h + F_MAGIC, "ustar ", 6) == 0 && memcmp(h + F_MAGIC + 6, " ", 2) == 0)
		return FORMAT_GNU;
	if (memcmp(h + F_MAGIC, "ustar", 6) != 0)
		return FORMAT_V7;
	return memcmp(h + F_STAR, "tar", 4) == 0 ? FORMAT_STAR : FORMAT_USTAR;
}

static void copy_field(char *out, const uint8_t *field, size_t n)
{
	n = strnlen((const char *)field, n);
	memcpy(out, field, n);
	out[n] = '\0';
}

/*
 * Go before 1.8 wrote a prefix into GNU headers, over fields that GNU uses for times; only a prefix
 * does not read as a number.
 */
static bool gnu_has_prefix(const uint8_t *h)
{
	int64_t v;

	if (!h[F_PREFIX])
		return false;
	if (parse_number(h + F_GNU_ATIME, L_NUMBER, &v) &&
	    parse_number(h + F_GNU_CTIME, L_NUMBER, &v))
		return false;
	for (size_t i = 0; i < L_PREFIX && h[F_PREFIX + i]; i++)
		if (h[F_PREFIX + i] >= 0x80)
			return false;
	return true;
}

static void parse_name(const uint8_t *h, enum format f, char *out)
{
	char prefix[L_PREFIX + 1] = "";
	size_t n = 0;

	if (f == FORMAT_USTAR || (f == FORMAT_GNU && gnu_has_prefix(h)))
		copy_field(prefix, h + F_PREFIX, L_PREFIX);
	else if (f == FORMAT_STAR)
		copy_field(prefix, h + F_PREFIX, L_PREFIX_STAR);
	if (*prefix) {
		n = strlen(prefix);
		memcpy(out, prefix, n);
		out[n++] = '/';
	}
	copy_field(out + n, h + F_NAME, L_NAME);
}

static bool parse_id(const uint8_t *p, uint32_t *ret)
{
	int64_t v;

	/* the last one means "leave it" to chown() */
	if (!parse_number(p, L_ID, &v) || v < 0 || v >= UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool parse_device(const uint8_t *h, enum format f, struct tar_member *m)
{
	int64_t major = 0, minor = 0;

	m->major = m->minor = 0;
	if (f == FORMAT_V7)
		return true;
	if (!parse_number(h + F_MAJOR, 8, &major) || !parse_number(h + F_MINOR, 8, &minor))
		return false;
	if (m->type != TAR_CHAR && m->type != TAR_BLOCKDEV)
		return true;
	m->major = (uint32_t)major;
	m->minor = (uint32_t)minor;
	return major >= 0 && major < 1 << 12 && minor >= 0 && minor < 1 << 20; /* what Linux has */
}

/* The times of a member are taken as they come; what a file system cannot hold becomes the epoch, as in Go. */
static void set_time(struct timespec *ts, int64_t sec, long nsec)
{
	bool sane = sec >= 0 && sec < INT64_C(1) << 34;

	ts->tv_sec = sane ? (time_t)sec : 0;
	ts->tv_nsec = sane ? nsec : 0;
}

static int parse_header(const uint8_t *h, struct tar_member *m, struct cstore_error *err)
{
	enum format f = format_of(h);
	int64_t mode, size, mtime;

	*m->name = *m->link = '\0';
	parse_name(h, f, m->name);
	copy_field(m->link, h + F_LINK, L_NAME);
	m->type = h[F_TYPE] ? (enum tar_type)h[F_TYPE] : TAR_FILE;
	if (m->type == (enum tar_type)'7')
		m->type = TAR_FILE;
	m->xattr_count = 0;
	m->atime = (struct timespec){ 0 };
	if (!parse_number(h + F_MODE, L_ID, &mode) || !parse_number(h + F_SIZE, L_NUMBER, &size) ||
	    !parse_number(h + F_MTIME, L_NUMBER, &mtime) || size < 0)
		return invalid(err, "a header has an impossible number");
	if (!parse_id(h + F_UID, &m->uid) || !parse_id(h + F_GID, &m->gid))
		return invalid(err, "a header has an impossible user or group");
	if (!parse_device(h, f, m))
		return invalid(err, "a header has an impossible device number");
	m->mode = (unsigned)mode & 07777;
	m->size = (uint64_t)size;
	set_time(&m->mtime, mtime, 0);
	return 0;
}

/* ---- PAX ---- */

struct pax_record {
	char *key; /* NUL-terminated in place */
	char *value;
	size_t len; /* a NUL follows */
};

/* "LENGTH KEY=VALUE\n", cut out of *p in place. */
static bool pax_cut(char **p, size_t *left, struct pax_record *ret)
{
	size_t total = 0, digits = 0;
	char *equals;

	while (digits < *left && (*p)[digits] >= '0' && (*p)[digits] <= '9' && digits < 8)
		total = 10 * total + (size_t)((*p)[digits++] - '0');
	if (!digits || digits >= *left || (*p)[digits] != ' ' || total > *left ||
	    total < digits + 3 || (*p)[total - 1] != '\n')
		return false;
	ret->key = *p + digits + 1;
	equals = memchr(ret->key, '=', total - digits - 2);
	if (!equals || equals == ret->key || memchr(ret->key, 0, (size_t)(equals - ret->key)))
		return false;
	*equals = '\0';
	ret->value = equals + 1;
	ret->len = (size_t)(*p + total - 1 - ret->value);
	ret->value[ret->len] = '\0';
	*p += total;
	*left -= total;
	return true;
}

static bool pax_integer(const struct pax_record *rec, int64_t *ret)
{
	long long v;

	if (strlen(rec->value) != rec->len || str_to_i64(rec->value, &v))
		return false;
	*ret = v;
	return true;
}

static bool pax_id(const struct pax_record *rec, uint32_t *ret)
{
	int64_t v;

	if (!pax_integer(rec, &v) || v < 0 || v >= UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* "-?DIGITS[.DIGITS]" */
static bool pax_time(const struct pax_record *rec, struct timespec *ret)
{
	char whole[24];
	size_t n = strcspn(rec->value, ".");
	long nsec = 0, unit = 100000000;
	long long sec;

	if (strlen(rec->value) != rec->len || n >= sizeof(whole))
		return false;
	memcpy(whole, rec->value, n);
	whole[n] = '\0';
	if (str_to_i64(whole, &sec))
		return false;
	for (const char *p = rec->value + n + (rec->value[n] == '.'); *p; p++, unit /= 10) {
		if (*p < '0' || *p > '9')
			return false;
		nsec += unit * (*p - '0');
	}
	set_time(ret, sec, nsec);
	return true;
}

static bool pax_text(const struct pax_record *rec, char *out)
{
	if (rec->len > TAR_NAME_MAX || strlen(rec->value) != rec->len)
		return false;
	memcpy(out, rec->value, rec->len + 1);
	return true;
}

static bool pax_xattr(const struct pax_record *rec, struct tar_member *m)
{
	if (m->xattr_count == TAR_XATTRS_MAX || rec->len > TAR_XATTR_MAX)
		return false;
	m->xattrs[m->xattr_count++] =
		(struct tar_xattr){ rec->key + strlen(XATTR_PREFIX), rec->value, rec->len };
	return true;
}

/* An empty value takes an earlier one back; the header's own field stays. Unknown keys are fine. */
static bool pax_apply(const struct pax_record *rec, struct tar_member *m)
{
	int64_t size;

	if (str_starts(rec->key, SPARSE_PREFIX))
		return false;
	if (str_starts(rec->key, XATTR_PREFIX))
		return pax_xattr(rec, m);
	if (!rec->len)
		return true;
	if (streq(rec->key, "path"))
		return pax_text(rec, m->name);
	if (streq(rec->key, "linkpath"))
		return pax_text(rec, m->link);
	if (streq(rec->key, "uid"))
		return pax_id(rec, &m->uid);
	if (streq(rec->key, "gid"))
		return pax_id(rec, &m->gid);
	if (streq(rec->key, "mtime"))
		return pax_time(rec, &m->mtime);
	if (streq(rec->key, "atime"))
		return pax_time(rec, &m->atime);
	if (streq(rec->key, "size")) {
		if (!pax_integer(rec, &size) || size < 0)
			return false;
		m->size = (uint64_t)size;
	}
	return true;
}

static int apply_pax(struct tar *t, struct extensions *x, struct cstore_error *err)
{
	struct pax_record rec;
	size_t left = x->pax_len;
	char *p = x->pax;

	free(t->pax);
	t->pax = x->pax;
	x->pax = NULL;
	while (left) {
		if (!pax_cut(&p, &left, &rec))
			return invalid(err, "a PAX header is malformed");
		if (!pax_apply(&rec, &t->member))
			return err_set(err, CSTORE_E_INVALID,
				       "PAX record %.64s cannot be used", rec.key);
	}
	return 0;
}

/* ---- members ---- */

static int read_block(struct tar *t, uint8_t *block, bool *ret_end, struct cstore_error *err)
{
	size_t n;
	int r = stream_read(t->stream, block, TAR_BLOCK, &n, err);

	if (r)
		return r;
	*ret_end = n == 0;
	if (n && n < TAR_BLOCK)
		return invalid(err, "it is cut off");
	return raw(t, block, n, err);
}

static bool all_zero(const uint8_t *block)
{
	return !block[0] && memcmp(block, block + 1, TAR_BLOCK - 1) == 0;
}

/* A header, or the end: no more bytes, or one block of zeros and the end of the bytes, or two of them. */
static int read_header(struct tar *t, uint8_t *block, bool *ret_end, struct cstore_error *err)
{
	int r = read_block(t, block, ret_end, err);

	if (r || *ret_end)
		return r;
	if (!all_zero(block))
		return checksum_ok(block) ? 0 : invalid(err, "a header has a wrong checksum");
	r = read_block(t, block, ret_end, err);
	if (r || *ret_end)
		return r;
	if (!all_zero(block))
		return invalid(err, "something follows a block of zeros");
	*ret_end = true;
	return 0;
}

/* The data of an extension header, with a NUL behind it. */
static int read_extension(struct tar *t, uint64_t size, char **ret, struct cstore_error *err)
{
	char *text;
	size_t n;
	int r;

	if (size > TAR_EXTENSION_MAX)
		return err_set(err, CSTORE_E_LIMIT,
			       "an extension header has more than %u bytes",
			       TAR_EXTENSION_MAX);
	text = malloc(size + 1);
	if (!text)
		return err_oom(err);
	r = stream_read(t->stream, text, size, &n, err);
	if (!r && n < size)
		r = invalid(err, "it is cut off");
	if (!r)
		r = raw(t, text, n, err);
	if (!r)
		r = skip(t, padding_of(size), err);
	if (r) {
		free(text);
		return r;
	}
	text[size] = '\0';
	free(*ret);
	*ret = text;
	return 0;
}

/* *ret_member: it was no extension. */
static int take_extension(struct tar *t, struct extensions *x, bool *ret_member,
			  struct cstore_error *err)
{
	char *ignored = NULL;
	int r;

	*ret_member = false;
	switch ((int)t->member.type) {
	case 'x':
		x->pax_len = t->member.size;
		return read_extension(t, t->member.size, &x->pax, err);
	case 'L':
		return read_extension(t, t->member.size, &x->name, err);
	case 'K':
		return read_extension(t, t->member.size, &x->link, err);
	case 'g': /* global headers change nothing in a layer */
		r = read_extension(t, t->member.size, &ignored, err);
		free(ignored);
		return r;
	default:
		*ret_member = true;
		return 0;
	}
}

static int use_long_name(const char *text, char *out, struct cstore_error *err)
{
	if (!text)
		return 0;
	if (strlen(text) > TAR_NAME_MAX)
		return err_set(err, CSTORE_E_LIMIT, "a name has more than %d bytes",
			       TAR_NAME_MAX);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

/* Everything about the member is known: what kind is it, and does it have content? */
static int settle(struct tar *t, bool old_style, struct cstore_error *err)
{
	struct tar_member *m = &t->member;
	size_t n = strlen(m->name);

	if (!n)
		return invalid(err, "a member has no name");
	if (m->size > SIZE_MAX_BYTES)
		return err_set(err, CSTORE_E_LIMIT, "it is too large");
	if (m->type == TAR_FILE && old_style && m->name[n - 1] == '/')
		m->type = TAR_DIR;
	switch (m->type) {
	case TAR_FILE:
		break;
	case TAR_HARDLINK:
	case TAR_SYMLINK:
	case TAR_CHAR:
	case TAR_BLOCKDEV:
	case TAR_DIR:
	case TAR_FIFO:
		m->size = 0;
		break;
	default:
		return err_set(err, CSTORE_E_INVALID,
			       "it is of a kind (%#x) that layers cannot have", (unsigned)m->type);
	}
	t->padding = padding_of(m->size);
	return 0;
}

static int next(struct tar *t, struct extensions *x, bool *ret_end, struct cstore_error *err)
{
	uint8_t block[TAR_BLOCK];
	bool member = false;
	int r;

	for (int i = 0; !member; i++) {
		if (i > TAR_EXTENSIONS_MAX)
			return invalid(err, "a member has too many extension headers");
		r = read_header(t, block, ret_end, err);
		if (r || *ret_end)
			return r;
		r = parse_header(block, &t->member, err);
		if (!r)
			r = take_extension(t, x, &member, err);
		if (r)
			return r;
	}
	r = x->pax ? apply_pax(t, x, err) : 0;
	if (!r)
		r = use_long_name(x->name, t->member.name, err);
	if (!r)
		r = use_long_name(x->link, t->member.link, err);
	return r ? r : settle(t, !block[F_TYPE], err);
}

int tar_next(struct tar *t, bool *ret_end, struct cstore_error *err)
{
	struct extensions x = { NULL };
	uint64_t start;
	int r;

	r = skip(t, t->padding, err);
	if (r)
		return locate(t, t->offset, r, err);
	t->padding = 0;
	start = t->offset;
	*t->member.name = '\0';
	r = next(t, &x, ret_end, err);
	extensions_done(&x);
	if (r || *ret_end)
		return locate(t, start, r, err);
	t->offset += t->member.size;
	if (t->agree) {
		agree_member(t->agree, &t->member, start);
		agree_content(t->agree, t->member.size);
	}
	return 0;
}

int tar_finish(struct tar *t, struct cstore_error *err)
{
	uint64_t total = 0;
	const uint8_t *p;
	size_t have;
	int r;

	for (;;) {
		r = stream_peek(t->stream, &p, &have, err);
		if (r || !have)
			return r;
		total += have;
		if (total > TAR_TRAILER_MAX)
			return err_set(err, CSTORE_E_LIMIT,
				       "layer tar: more than %u bytes follow its end",
				       TAR_TRAILER_MAX);
		r = raw(t, p, have, err);
		if (r)
			return r;
		stream_consume(t->stream, have);
	}
}
