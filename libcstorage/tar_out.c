/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers of tar members. A value that ustar cannot hold goes into a PAX extension header, and what is left of
 * it into the field; a long name that is no UTF-8, which PAX does not allow, into a GNU long name.
 */
#include <string.h>
#include <sys/sysmacros.h>
#include "tar_out.h"

#define BLOCK 512
#define OCTAL_7 07777777ull	  /* of a field of eight bytes */
#define OCTAL_11 077777777777ull /* of one of twelve */

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100],
		magic[8], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

static void put_octal(char *field, size_t size, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%0*llo", (int)size - 1, (unsigned long long)v);
	memcpy(field, text, size - 1);
}

static void put_text(char *field, size_t size, const char *text)
{
	size_t n = strlen(text);

	memcpy(field, text, n < size ? n : size);
}

static void finish_header(struct header *h)
{
	const unsigned char *p = (const unsigned char *)h;
	unsigned sum = 0;

	memcpy(h->magic, "ustar\0" "00", 8);
	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < BLOCK; i++)
		sum += p[i];
	put_octal(h->checksum, 7, sum);
	h->checksum[6] = '\0';
}

static void pad(struct str *out, size_t n)
{
	static const char zeros[BLOCK];

	if (n % BLOCK)
		str_append_mem(out, zeros, BLOCK - n % BLOCK);
}

/* An extension: its content belongs to the next header. */
static void put_extension(struct str *out, char type, const char *name, const char *p, size_t n)
{
	struct header h = { .type = type };

	put_text(h.name, sizeof(h.name), name);
	put_octal(h.mode, sizeof(h.mode), 0644);
	put_octal(h.uid, sizeof(h.uid), 0);
	put_octal(h.gid, sizeof(h.gid), 0);
	put_octal(h.size, sizeof(h.size), n);
	put_octal(h.mtime, sizeof(h.mtime), 0);
	finish_header(&h);
	str_append_mem(out, (const char *)&h, BLOCK);
	str_append_mem(out, p, n);
	pad(out, n);
}

/* "LEN KEY=VALUE\n", where LEN counts itself. */
static void put_record(struct str *records, const char *key, const void *value, size_t len)
{
	size_t rest = strlen(key) + len + 3, total = rest + 1;
	char digits[24];

	while ((size_t)snprintf(digits, sizeof(digits), "%zu", total) + rest != total)
		total = rest + strlen(digits);
	str_appendf(records, "%s %s=", digits, key);
	str_append_mem(records, value, len);
	str_append_char(records, '\n');
}

static void put_number(struct str *records, const char *key, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	put_record(records, key, text, strlen(text));
}

static bool ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/* Into a field, or where there is room. key: of PAX. */
static void place_text(struct str *out, struct str *records, char *field, size_t size,
		       const char *text, const char *key, char gnu_type)
{
	size_t n = strlen(text);

	if (n > size || !ascii(text)) {
		if (utf8_valid(text, n))
			put_record(records, key, text, n);
		else if (n > size)
			put_extension(out, gnu_type, "././@LongLink", text, n + 1);
	}
	put_text(field, size, text);
}

static void place_time(struct str *records, struct header *h, const struct timespec *t)
{
	bool fits = t->tv_sec >= 0 && (uint64_t)t->tv_sec <= OCTAL_11;
	char text[48];

	put_octal(h->mtime, sizeof(h->mtime), fits ? (uint64_t)t->tv_sec : 0);
	if (fits && !t->tv_nsec)
		return;
	/* before 1970 the fraction counts backwards */
	if (t->tv_sec < 0 && t->tv_nsec)
		snprintf(text, sizeof(text), "-%lld.%09ld", -(long long)t->tv_sec - 1,
			 1000000000L - t->tv_nsec);
	else
		snprintf(text, sizeof(text), "%lld.%09ld", (long long)t->tv_sec, t->tv_nsec);
	put_record(records, "mtime", text, strlen(text));
}

static void place_number(struct str *records, char *field, size_t size, uint64_t v, uint64_t max,
			 const char *key)
{
	put_octal(field, size, v <= max ? v : 0);
	if (v > max)
		put_number(records, key, v);
}

static void place_xattrs(struct str *records, const struct tar_entry *e)
{
	for (size_t i = 0; i < e->xattr_count; i++) {
		_cleanup_free_ char *key = strf("SCHILY.xattr.%s", e->xattrs[i].name);

		if (key)
			put_record(records, key, e->xattrs[i].value, e->xattrs[i].len);
		else
			records->failed = true;
	}
}

int tar_out_header(struct str *out, const struct tar_entry *e)
{
	_cleanup_free_ char *name = strf("%s%s", e->name, e->type == '5' ? "/" : "");
	_cleanup_str_ struct str records = STR_INIT;
	struct header h = { .type = e->type };

	if (!name)
		return -ENOMEM;
	place_text(out, &records, h.name, sizeof(h.name), name, "path", 'L');
	if (e->link)
		place_text(out, &records, h.link, sizeof(h.link), e->link, "linkpath", 'K');
	put_octal(h.mode, sizeof(h.mode), e->mode & 07777);
	place_number(&records, h.uid, sizeof(h.uid), e->uid, OCTAL_7, "uid");
	place_number(&records, h.gid, sizeof(h.gid), e->gid, OCTAL_7, "gid");
	place_number(&records, h.size, sizeof(h.size), e->size, OCTAL_11, "size");
	place_time(&records, &h, &e->mtime);
	if (e->type == '3' || e->type == '4') {
		put_octal(h.major, sizeof(h.major), major(e->device));
		put_octal(h.minor, sizeof(h.minor), minor(e->device));
	}
	place_xattrs(&records, e);
	if (records.len)
		put_extension(out, 'x', "PaxHeaders.0/entry", records.data, records.len);
	finish_header(&h);
	str_append_mem(out, (const char *)&h, BLOCK);
	return str_failed(out) || str_failed(&records) ? -ENOMEM : 0;
}
