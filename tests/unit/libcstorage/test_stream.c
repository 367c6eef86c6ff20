/* SPDX-License-Identifier: Apache-2.0 */
/* Decompression: every format, several streams in a row, cut and damaged data, bombs. */
#include <bzlib.h>
#include <lzma.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <zstd.h>
#include "unit.h"

static char text[300000];

static void fill_text(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(text); i++) {
		x = x * 1664525 + 1013904223;
		text[i] = "etaoin shrdlu\n"[x >> 24 & 7];
	}
}

static void gzip_append(struct str *out, const char *p, size_t n)
{
	_cleanup_close_ int fd = memfd_create("gz", MFD_CLOEXEC);
	_cleanup_free_ char *data = NULL;
	struct gzip_out *g;
	size_t len;

	ck_assert_int_eq(gzip_out_new(fd, &g), 0);
	for (size_t at = 0, k = 1; at < n; at += k, k = 2 * k + 7) {
		k = k < n - at ? k : n - at;
		ck_assert_int_eq(gzip_out_write(g, p + at, k), 0);
	}
	ck_assert_int_eq(gzip_out_finish(g), 0);
	gzip_out_free(g);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(read_fd(fd, 64 << 20, &data, &len), 0);
	str_append_mem(out, data, len);
}

static void xz_append(struct str *out, const char *p, size_t n)
{
	uint8_t *room = (uint8_t *)str_reserve(out, n + 4096);
	size_t pos = 0;

	ck_assert_int_eq(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, (const uint8_t *)p, n, room, &pos, n + 4096), LZMA_OK);
	out->len += pos;
}

static void bzip2_append(struct str *out, const char *p, size_t n)
{
	unsigned len = (unsigned)(n + n / 100 + 600);
	char *room = str_reserve(out, len);

	ck_assert_int_eq(BZ2_bzBuffToBuffCompress(room, &len, (char *)(uintptr_t)p, (unsigned)n, 1, 0, 0), BZ_OK);
	out->len += len;
}

static void zstd_append(struct str *out, const char *p, size_t n)
{
	size_t room = ZSTD_compressBound(n);
	size_t len = ZSTD_compress(str_reserve(out, room), room, p, n, 1);

	ck_assert(!ZSTD_isError(len));
	out->len += len;
}

static void plain_append(struct str *out, const char *p, size_t n)
{
	str_append_mem(out, p, n);
}

static const struct format {
	const char *name;
	enum compression kind;
	void (*append)(struct str *out, const char *p, size_t n);
} formats[] = {
	{ "gzip", COMPRESSION_GZIP, gzip_append }, { "xz", COMPRESSION_XZ, xz_append },
	{ "bzip2", COMPRESSION_BZIP2, bzip2_append }, { "zstd", COMPRESSION_ZSTD, zstd_append },
	{ "plain", COMPRESSION_NONE, plain_append },
};

/* Reads all of fd; out may be NULL. */
static int read_stream(int fd, struct str *out, struct apply_result *res, const int *cancel)
{
	struct apply_job job = { .blob_fd = fd, .hash_blob = 1, .cancel = cancel };
	struct apply_result ignored;
	const uint8_t *p;
	struct stream s;
	size_t n;
	int r;

	ok(stream_init(&s, &job, &err));
	do {
		r = stream_peek(&s, &p, &n, &err);
		if (r)
			break;
		if (out)
			str_append_mem(out, p, n);
		stream_consume(&s, n);
	} while (n);
	if (!r)
		stream_result(&s, res ? res : &ignored);
	stream_done(&s);
	return r;
}

static int unpack(const struct str *blob, struct str *out, struct apply_result *res)
{
	_cleanup_close_ int fd = memory_fd(blob->data, blob->len);

	return read_stream(fd, out, res, NULL);
}

START_TEST(every_format_is_found_by_its_magic)
{
	const struct format *f = &formats[_i];
	_cleanup_str_ struct str blob = STR_INIT, out = STR_INIT;
	struct apply_result res;
	char want[DIGEST_STR_MAX];

	f->append(&blob, text, sizeof(text));
	ok(unpack(&blob, &out, &res));
	ck_assert_uint_eq(out.len, sizeof(text));
	ck_assert_mem_eq(out.data, text, sizeof(text));
	ck_assert_int_eq(res.compression, f->kind);
	ck_assert_uint_eq(res.blob_size, blob.len);
	ck_assert_uint_eq(res.diff_size, sizeof(text));
	digest_sha256(text, sizeof(text), want);
	ck_assert_str_eq(res.diff_id, want);
	digest_sha256(blob.data, blob.len, want);
	ck_assert_str_eq(res.blob_digest, want);
}
END_TEST

START_TEST(several_streams_in_a_row_are_one)
{
	const struct format *f = &formats[_i];
	_cleanup_str_ struct str blob = STR_INIT, out = STR_INIT;

	f->append(&blob, text, 1000);
	f->append(&blob, text + 1000, 1);
	f->append(&blob, text + 1001, sizeof(text) - 1001);
	ok(unpack(&blob, &out, NULL));
	ck_assert_uint_eq(out.len, sizeof(text));
	ck_assert_mem_eq(out.data, text, sizeof(text));
}
END_TEST

struct feeder {
	int fd;
	const struct str *blob;
};

static void *feed(void *arg)
{
	struct feeder *f = arg;

	for (size_t i = 0; i < f->blob->len; i++)
		if (write(f->fd, f->blob->data + i, 1) != 1)
			break;
	close(f->fd);
	return NULL;
}

START_TEST(bytes_may_come_one_at_a_time)
{
	const struct format *f = &formats[_i];
	_cleanup_str_ struct str blob = STR_INIT, out = STR_INIT;
	struct feeder feeder;
	pthread_t thread;
	int pipes[2];

	f->append(&blob, text, 500);
	f->append(&blob, text + 500, 1500);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	fcntl(pipes[1], F_SETPIPE_SZ, 4096);
	feeder = (struct feeder){ pipes[1], &blob };
	ck_assert_int_eq(pthread_create(&thread, NULL, feed, &feeder), 0);
	ok(read_stream(pipes[0], &out, NULL, NULL));
	pthread_join(thread, NULL);
	close(pipes[0]);
	ck_assert_uint_eq(out.len, 2000);
	ck_assert_mem_eq(out.data, text, 2000);
}
END_TEST

START_TEST(data_cut_anywhere_is_refused)
{
	const struct format *f = &formats[_i];
	_cleanup_str_ struct str blob = STR_INIT;
	size_t first;

	if (f->kind == COMPRESSION_NONE)
		return;
	f->append(&blob, text, 600);
	first = blob.len;
	f->append(&blob, text + 600, 600);
	for (size_t n = 6; n < blob.len; n++) {
		struct str part = { .data = blob.data, .len = n };
		int r = unpack(&part, NULL, NULL);

		if (n == first)
			ck_assert_msg(r == 0, "%s", err.message);
		else
			ck_assert_msg(r == CSTORE_E_INVALID, "%s, %zu of %zu bytes: %d", f->name, n, blob.len, r);
	}
}
END_TEST

START_TEST(damage_anywhere_is_noticed_or_harmless)
{
	const struct format *f = &formats[_i];
	_cleanup_str_ struct str blob = STR_INIT;

	if (f->kind == COMPRESSION_NONE)
		return;
	f->append(&blob, text, 600);
	for (size_t n = 6; n < blob.len; n++) {
		_cleanup_str_ struct str out = STR_INIT;
		char saved = blob.data[n];
		int r;

		blob.data[n] = (char)(saved ^ 0x55);
		r = unpack(&blob, &out, NULL);
		/* zstd frames without a checksum may decode to something else: then the digest tells */
		ck_assert_msg(r == CSTORE_E_INVALID || r == CSTORE_E_LIMIT || f->kind == COMPRESSION_ZSTD ||
			      (r == 0 && out.len == 600 && memcmp(out.data, text, 600) == 0),
			      "%s, byte %zu: %d", f->name, n, r);
		blob.data[n] = saved;
	}
}
END_TEST

START_TEST(what_follows_a_stream_must_be_one)
{
	const struct format *f = &formats[_i];
	_cleanup_str_ struct str blob = STR_INIT;

	if (f->kind == COMPRESSION_NONE)
		return;
	f->append(&blob, text, 600);
	str_append(&blob, "garbage!");
	fails(unpack(&blob, NULL, NULL), CSTORE_E_INVALID);
}
END_TEST

static void *feed_zeros(void *arg)
{
	int fd = *(int *)arg;
	_cleanup_str_ struct str member = STR_INIT;
	_cleanup_free_ char *zeros = calloc(1, 32 << 20);

	zstd_append(&member, zeros, 32 << 20);
	while (write_all(fd, member.data, member.len) == 0)
		;
	close(fd);
	return NULL;
}

START_TEST(a_bomb_ends_at_the_ratio)
{
	struct apply_job job = { .cancel = NULL };
	uint64_t total = 0;
	pthread_t thread;
	const uint8_t *p;
	struct stream s;
	int pipes[2], r;
	size_t n;

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pthread_create(&thread, NULL, feed_zeros, &pipes[1]), 0);
	job.blob_fd = pipes[0];
	ok(stream_init(&s, &job, &err));
	do {
		r = stream_peek(&s, &p, &n, &err);
		total += r ? 0 : n;
		stream_consume(&s, r ? 0 : n);
	} while (!r && n);
	close(pipes[0]);
	pthread_join(thread, NULL);
	stream_done(&s);
	ck_assert_int_eq(r, CSTORE_E_LIMIT);
	says("times its size");
	ck_assert_uint_ge(total, STREAM_RATIO_FREE);
	ck_assert_uint_lt(total, STREAM_RATIO_FREE + (64 << 20));
}
END_TEST

START_TEST(huge_windows_are_refused)
{
	/* a zstd frame header that asks for a window of 2 GiB */
	struct str zstd = { .data = (char[]){ 0x28, (char)0xb5, 0x2f, (char)0xfd, 0x00, (char)(21 << 3), 1, 0, 0 }, .len = 9 };

	fails(unpack(&zstd, NULL, NULL), CSTORE_E_LIMIT);
	says("memory");
}
END_TEST

START_TEST(cancelling_ends_it)
{
	_cleanup_str_ struct str blob = STR_INIT;
	const int yes = 1;

	gzip_append(&blob, text, sizeof(text));
	_cleanup_close_ int fd = memory_fd(blob.data, blob.len);

	fails(read_stream(fd, NULL, NULL, &yes), CSTORE_E_CANCELLED);
}
END_TEST

START_TEST(the_checksum_is_that_of_tar_split)
{
	ck_assert_uint_eq(crc64_update(0, "hello\n", 6), 0x614c3eeee2d81000u);
	ck_assert_uint_eq(crc64_update(crc64_update(0, "hel", 3), "lo\n", 3), 0x614c3eeee2d81000u);
	ck_assert_uint_eq(crc64_update(0, "", 0), 0);
	ck_assert_uint_eq(crc64_update(crc64_update(0, text, 1001), text + 1001, 8000), crc64_update(0, text, 9001));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("stream"), *all[] = { t };
	const int n = ARRAY_SIZE(formats);

	fill_text();
	tcase_add_checked_fixture(t, scratch_setup, scratch_teardown);
	tcase_add_loop_test(t, every_format_is_found_by_its_magic, 0, n);
	tcase_add_loop_test(t, several_streams_in_a_row_are_one, 0, n);
	tcase_add_loop_test(t, bytes_may_come_one_at_a_time, 0, n);
	tcase_add_loop_test(t, data_cut_anywhere_is_refused, 0, n);
	tcase_add_loop_test(t, damage_anywhere_is_noticed_or_harmless, 0, n);
	tcase_add_loop_test(t, what_follows_a_stream_must_be_one, 0, n);
	tcase_add_test(t, a_bomb_ends_at_the_ratio);
	tcase_add_test(t, huge_windows_are_refused);
	tcase_add_test(t, cancelling_ends_it);
	tcase_add_test(t, the_checksum_is_that_of_tar_split);
	return run_suite("stream", all, 1);
}
