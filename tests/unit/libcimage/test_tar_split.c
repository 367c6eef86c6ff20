/* SPDX-License-Identifier: Apache-2.0 */
#include <cbase/digest.h>
#include "../../../libcimage/transports/tar_split.h"
#include <sys/mman.h>
#include "unit.h"

static char tar[64 << 10];
static size_t tar_len;

static void put_header(const char *name, char type, size_t size)
{
	unsigned char *h = (unsigned char *)tar + tar_len;
	unsigned int sum = 0;

	memset(h, 0, 512);
	strncpy((char *)h, name, 100);
	for (int i = 10; i >= 0; i--, size >>= 3)
		h[124 + i] = (unsigned char)('0' + (size & 7));
	memset(h + 148, ' ', 8);
	h[156] = (unsigned char)type;
	memcpy(h + 257, "ustar", 6);
	for (size_t i = 0; i < 512; i++)
		sum += h[i];
	for (int i = 5; i >= 0; i--, sum >>= 3)
		h[148 + i] = (unsigned char)('0' + (sum & 7));
	tar_len += 512;
}

static void put_data(const char *text, size_t n)
{
	memset(tar + tar_len, 0, (n + 511) / 512 * 512);
	memcpy(tar + tar_len, text, n);
	tar_len += (n + 511) / 512 * 512;
}

static void put_file(const char *name, const char *text)
{
	put_header(name, '0', strlen(text));
	put_data(text, strlen(text));
}

static int make(struct str *split, char *digest, int64_t *size)
{
	struct cimage_error err = { 0 };
	int fd = memfd_create("tar", MFD_CLOEXEC), r;

	ck_assert_int_eq(write_all(fd, tar, tar_len), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	r = tar_split_make(fd, split, digest, size, &err);
	ck_assert_msg(!r == !err.message[0], "%d: %s", r, err.message);
	close(fd);
	return r;
}

/* ---- files to put it together from ---- */

struct text_stream {
	struct cimage_stream base;
	const char *p;
};

static int text_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n, struct cimage_error *err)
{
	struct text_stream *t = (struct text_stream *)s;

	*ret_n = strlen(t->p) < 3 ? strlen(t->p) : 3; /* in pieces */
	memcpy(p, t->p, *ret_n);
	t->p += *ret_n;
	return 0;
}

static void text_close(struct cimage_stream *s)
{
	free(s);
}

static const char *const *files; /* name, content ... */

static int open_file(void *user, const char *name, struct cimage_stream **ret, struct cimage_error *err)
{
	for (const char *const *f = files; *f; f += 2) {
		struct text_stream *t;

		if (!streq(*f, name))
			continue;
		t = malloc(sizeof(*t));
		*t = (struct text_stream){ { text_read, text_close }, f[1] };
		*ret = &t->base;
		return 0;
	}
	return err_set(err, CIMAGE_E_NOT_FOUND, "%s", name);
}

static void done(void *user)
{
	++*(int *)user;
}

/* Reads all of it; *ret_len bytes in out. */
static int join(const struct str *split, char *out, size_t *ret_len)
{
	char *copy = malloc(split->len + 1);
	struct cimage_stream *s;
	int closed = 0, r;
	size_t n = 1;

	memcpy(copy, split->data, split->len);
	ck_assert_int_eq(tar_split_join(copy, split->len, open_file, &closed, done, &s, NULL), 0);
	for (*ret_len = 0, r = 0; !r && n; *ret_len += n)
		r = s->read(s, out + *ret_len, 100, &n, NULL);
	s->close(s);
	ck_assert_int_eq(closed, 1);
	return r;
}

START_TEST(an_archive_is_put_together_again)
{
	static const char *const content[] = { "a", "hello", "x/" HEX64 HEX64, "long name", "pax", "by pax", NULL };
	static const char pax[] = "12 path=pax\n9 size=6\n";
	struct str split = STR_INIT;
	char digest[DIGEST_STR_MAX], expected[DIGEST_STR_MAX], *out = malloc(sizeof(tar));
	int64_t size;
	size_t n;

	tar_len = 0;
	put_header("dir/", '5', 0);
	put_file("a", "hello");
	put_header("empty", '0', 0);
	put_header("link", '2', 77); /* its size means nothing */
	put_header("././@LongLink", 'L', strlen(content[2]));
	put_data(content[2], strlen(content[2]));
	put_header("cut", '0', 9);
	put_data("long name", 9);
	put_header("ext", 'x', strlen(pax));
	put_data(pax, strlen(pax));
	put_header("other", '0', 1);
	put_data("by pax", 6);
	memset(tar + tar_len, 0, 1024);
	tar_len += 1024;
	strcpy(tar + tar_len, "what is behind the end");
	tar_len += 22;
	files = content;
	ck_assert_int_eq(make(&split, digest, &size), 0);
	digest_sha256(tar, tar_len, expected);
	ck_assert_str_eq(digest, expected);
	ck_assert_int_eq(size, (int64_t)tar_len);
	ck_assert_int_eq(join(&split, out, &n), 0);
	ck_assert_uint_eq(n, tar_len);
	ck_assert_mem_eq(out, tar, n);
	str_done(&split);
	free(out);
}
END_TEST

START_TEST(other_content_is_noticed)
{
	static const char *const good[] = { "a", "hello", NULL }, *const wrong[] = { "a", "hellO", NULL }, *const less[] = { "a", "hell", NULL },
			   *const none[] = { NULL };
	struct str split = STR_INIT;
	char digest[DIGEST_STR_MAX], out[4096];
	int64_t size;
	size_t n;

	tar_len = 0;
	put_file("a", "hello");
	put_data("", 0);
	ck_assert_int_eq(make(&split, digest, &size), 0);
	files = good;
	ck_assert_int_eq(join(&split, out, &n), 0);
	files = wrong;
	ck_assert_int_eq(join(&split, out, &n), CIMAGE_E_INVALID);
	files = less;
	ck_assert_int_eq(join(&split, out, &n), CIMAGE_E_INVALID);
	files = none;
	ck_assert_int_eq(join(&split, out, &n), CIMAGE_E_NOT_FOUND);
	files = good;
	split.len -= 5; /* cut */
	ck_assert_int_eq(join(&split, out, &n), CIMAGE_E_INVALID);
	str_done(&split);
}
END_TEST

START_TEST(what_is_no_archive_is_refused)
{
	struct str split = STR_INIT;
	char digest[DIGEST_STR_MAX];
	int64_t size;

	tar_len = 0;
	put_file("a", "hello");
	tar[10] ^= 1; /* the checksum does not fit */
	ck_assert_int_eq(make(&split, digest, &size), CIMAGE_E_INVALID);
	tar_len = 0;
	put_header("a", '0', 5000); /* the content is missing */
	ck_assert_int_eq(make(&split, digest, &size), CIMAGE_E_INVALID);
	tar_len = 0;
	put_header("a", '0', 0);
	tar_len -= 100;
	ck_assert_int_eq(make(&split, digest, &size), CIMAGE_E_INVALID);
	tar_len = 0;
	put_header("x", 'L', (size_t)TAR_EXTENSION_MAX + 1);
	ck_assert_int_eq(make(&split, digest, &size), CIMAGE_E_LIMIT);
	tar_len = 0;
	put_header("x", 'S', 0);
	ck_assert_int_eq(make(&split, digest, &size), CIMAGE_E_UNSUPPORTED);
	for (int i = 0; i < 5; i++) {
		static const char *const pax[] = { "99 path=x\n", "x path=y\n", "9 path=x ", "11 size=-1\n", "18446744073709551615 a=b\n" };

		tar_len = 0;
		put_header("ext", 'x', strlen(pax[i]));
		put_data(pax[i], strlen(pax[i]));
		put_header("a", '0', 0);
		ck_assert_int_eq(make(&split, digest, &size), CIMAGE_E_INVALID);
	}
	str_done(&split);
}
END_TEST

RUN_TESTS("tar_split", an_archive_is_put_together_again, other_content_is_noticed, what_is_no_archive_is_refused)
