/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_module.h"
#include "unit.h"

extern const struct codec_module cimage_codec_module;

/* Bytes in pieces of some size; counts what is open. */
struct source {
	struct cimage_stream base;
	const char *p;
	size_t left, piece;
	int fail;
};

static int open_streams;

static int source_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n, struct cimage_error *err)
{
	struct source *t = (struct source *)s;

	*ret_n = t->left < t->piece ? t->left : t->piece;
	*ret_n = *ret_n < n ? *ret_n : n;
	if (!*ret_n && t->fail)
		return t->fail;
	memcpy(p, t->p, *ret_n);
	t->p += *ret_n;
	t->left -= *ret_n;
	return 0;
}

static void source_close(struct cimage_stream *s)
{
	open_streams--;
	free(s);
}

static struct cimage_stream *source(const char *p, size_t n, size_t piece, int fail)
{
	struct source *t = malloc(sizeof(*t));

	*t = (struct source){ { source_read, source_close }, p, n, piece, fail };
	open_streams++;
	return &t->base;
}

static int read_all(struct cimage_stream *s, struct str *out)
{
	char buf[777];
	size_t n = 1;
	int r = 0;

	while (!r && n) {
		r = s->read(s, buf, sizeof(buf), &n, NULL);
		if (!r)
			str_append_mem(out, buf, n);
	}
	s->close(s);
	ck_assert_int_eq(open_streams, 0);
	return r;
}

static void squeeze(const char *algorithm, int level, const char *text, size_t n, struct str *out)
{
	struct cimage_stream *s;

	ck_assert_int_eq(cimage_codec_module.compress(algorithm, level, source(text, n, 1000, 0), &s, NULL), 0);
	ck_assert_int_eq(read_all(s, out), 0);
}

static int expand(const struct str *in, size_t n, size_t piece, int fail, struct str *out)
{
	struct cimage_stream *s;
	int r = cimage_codec_module.decompress(source(in->data ? in->data : "", n, piece, fail), &s, NULL);

	return r ? r : read_all(s, out);
}

static char text[300000];

static void fill(void)
{
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * i >> 7);
}

START_TEST(what_is_compressed_comes_back)
{
	static const char *const names[] = { "gzip", "zstd" };
	static const size_t pieces[] = { 1, 7, 65536 };

	fill();
	for (int level = 0; level < 10; level += 9)
		for (size_t a = 0; a < 2; a++)
			for (size_t i = 0; i < 3; i++) {
				struct str packed = STR_INIT, out = STR_INIT;

				squeeze(names[a], level, text, sizeof(text), &packed);
				ck_assert_uint_lt(packed.len, sizeof(text));
				ck_assert_int_eq(expand(&packed, packed.len, pieces[i], 0, &out), 0);
				ck_assert_uint_eq(out.len, sizeof(text));
				ck_assert_mem_eq(out.data, text, sizeof(text));
				str_done(&packed);
				str_done(&out);
			}
}
END_TEST

START_TEST(members_behind_each_other_are_one_stream)
{
	struct str packed = STR_INIT, out = STR_INIT;

	squeeze("gzip", 1, "one", 3, &packed);
	squeeze("gzip", 1, "", 0, &packed);
	squeeze("gzip", 1, "two", 3, &packed);
	ck_assert_int_eq(expand(&packed, packed.len, 5, 0, &out), 0);
	ck_assert_str_eq(out.data, "onetwo");
	str_reset(&packed);
	str_reset(&out);
	squeeze("zstd", 1, "one", 3, &packed);
	str_append_mem(&packed, "\x50\x2a\x4d\x18\x02\0\0\0xx", 10); /* a frame to skip */
	squeeze("zstd", 1, "two", 3, &packed);
	ck_assert_int_eq(expand(&packed, packed.len, 5, 0, &out), 0);
	ck_assert_str_eq(out.data, "onetwo");
	str_done(&packed);
	str_done(&out);
}
END_TEST

START_TEST(plain_and_short_data_is_passed_on)
{
	static const char *const plain[] = { "", "x", "\x1f", "\x1f\x8b", "plain text that is longer" };

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		struct str in = STR_INIT, out = STR_INIT;

		str_append(&in, plain[i]);
		ck_assert_int_eq(expand(&in, in.len, 1, 0, &out), 0);
		ck_assert_uint_eq(out.len, in.len);
		str_done(&in);
		str_done(&out);
	}
}
END_TEST

START_TEST(damaged_and_cut_data_is_invalid)
{
	static const char *const names[] = { "gzip", "zstd" };

	fill();
	for (size_t a = 0; a < 2; a++) {
		struct str packed = STR_INIT, out = STR_INIT;

		squeeze(names[a], 1, text, 5000, &packed);
		for (size_t n = 8; n < packed.len; n += packed.len / 10)
			ck_assert_int_eq(expand(&packed, n, 100, 0, &out), CIMAGE_E_INVALID);
		packed.data[packed.len / 2] ^= 0x55;
		ck_assert_int_eq(expand(&packed, packed.len, 100, 0, &out), CIMAGE_E_INVALID);
		str_done(&packed);
		str_done(&out);
	}
}
END_TEST

START_TEST(an_error_below_is_handed_on)
{
	struct str packed = STR_INIT, out = STR_INIT;
	struct cimage_stream *s;

	squeeze("gzip", 1, text, 5000, &packed);
	ck_assert_int_eq(expand(&packed, packed.len - 9, 100, -EIO, &out), -EIO);
	ck_assert_int_eq(cimage_codec_module.compress("gzip", 0, source("x", 1, 1, -EIO), &s, NULL), 0);
	ck_assert_int_eq(read_all(s, &out), -EIO);
	ck_assert_int_eq(cimage_codec_module.compress("lzma", 0, source("x", 1, 1, 0), &s, NULL), CIMAGE_E_INVALID);
	ck_assert_int_eq(open_streams, 0);
	str_done(&packed);
	str_done(&out);
}
END_TEST

START_TEST(large_windows_are_a_limit)
{
	/* a frame header that asks for a window of 1 GiB */
	struct str in = STR_INIT, out = STR_INIT;

	str_append_mem(&in, "\x28\xb5\x2f\xfd\x00\xa0\x00\x00\x00", 9);
	ck_assert_int_eq(expand(&in, in.len, 100, 0, &out), CIMAGE_E_LIMIT);
	str_done(&in);
	str_done(&out);
}
END_TEST

START_TEST(a_bomb_is_a_limit)
{
	static char zeros[1 << 20];
	struct str member = STR_INIT, bomb = STR_INIT;
	struct cimage_stream *s;
	char *buf = malloc(1 << 16);
	size_t n = 1, total = 0;
	int r;

	squeeze("zstd", 1, zeros, sizeof(zeros), &member);
	for (int i = 0; i < 1100; i++)
		str_append_mem(&bomb, member.data, member.len);
	ck_assert_int_eq(cimage_codec_module.decompress(source(bomb.data, bomb.len, 65536, 0), &s, NULL), 0);
	for (r = 0; !r && n; total += n)
		r = s->read(s, buf, 1 << 16, &n, NULL);
	s->close(s);
	ck_assert_int_eq(r, CIMAGE_E_LIMIT);
	ck_assert_uint_ge(total, 1u << 30);
	free(buf);
	str_done(&member);
	str_done(&bomb);
}
END_TEST

RUN_TESTS("codec", what_is_compressed_comes_back, members_behind_each_other_are_one_stream, plain_and_short_data_is_passed_on,
	  damaged_and_cut_data_is_invalid, an_error_below_is_handed_on, large_windows_are_a_limit, a_bomb_is_a_limit)
