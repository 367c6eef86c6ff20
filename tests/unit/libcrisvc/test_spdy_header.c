/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks made by zlib's deflate with the dictionary of the specification, as a client makes them. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "streaming/bounds.h"
#include "streaming/spdy_header.h"

static struct spdy_headers headers;
static struct spdy_fields fields;
static z_stream client;
static uint8_t block[1 << 17], plain[1 << 20];
static size_t plain_n;

static void setup(void)
{
	client = (z_stream){ 0 };
	ck_assert_int_eq(deflateInit(&client, 9), Z_OK);
	ck_assert_int_eq(deflateSetDictionary(&client, spdy_dictionary, SPDY_DICTIONARY_SIZE), Z_OK);
	ck_assert_int_eq(spdy_headers_init(&headers), 0);
	plain_n = 0;
}

static void teardown(void)
{
	deflateEnd(&client);
	spdy_headers_done(&headers);
}

static void number(uint32_t v)
{
	for (int i = 24; i >= 0; i -= 8)
		plain[plain_n++] = (uint8_t)(v >> i);
}

static void bytes(const void *p, size_t n)
{
	number((uint32_t)n);
	memcpy(plain + plain_n, p, n);
	plain_n += n;
}

static void entry(const char *name, const char *value)
{
	bytes(name, strlen(name));
	bytes(value, strlen(value));
}

/* What was collected, as the client's next block. */
static int parse(void)
{
	client.next_in = plain;
	client.avail_in = (uInt)plain_n;
	client.next_out = block;
	client.avail_out = sizeof(block);
	ck_assert_int_eq(deflate(&client, Z_SYNC_FLUSH), Z_OK);
	plain_n = 0;
	return spdy_headers_parse(&headers, block, sizeof(block) - client.avail_out, &fields);
}

START_TEST(fields_of_several_blocks)
{
	number(3);
	entry("streamType", "data");
	entry("PORT", "8080");
	entry("requestid", "17");
	ck_assert_int_eq(parse(), 0);
	ck_assert_str_eq(fields.stream_type, "data");
	ck_assert_str_eq(fields.port, "8080");
	ck_assert_str_eq(fields.request_id, "17");
	number(2);
	entry("other", "x");
	entry("streamtype", "error");
	ck_assert_int_eq(parse(), 0);
	ck_assert_str_eq(fields.stream_type, "error");
	ck_assert_str_eq(fields.port, "");
	number(0);
	ck_assert_int_eq(parse(), 0);
	ck_assert_str_eq(fields.stream_type, "");
}
END_TEST

START_TEST(malformed_blocks)
{
	static const uint8_t nul[] = { 'a', 0 };

	switch (_i) {
	case 0: /* fewer entries than it says */
		number(2);
		entry("a", "b");
		break;
	case 1: /* more */
		number(1);
		entry("a", "b");
		entry("c", "d");
		break;
	case 2: /* longer than the block */
		number(1);
		number(0xffffffff);
		break;
	case 3: /* no name */
		number(1);
		entry("", "b");
		break;
	case 4: /* a value of ours that does not fit */
		number(1);
		entry("port", "12345678");
		break;
	case 5:
		number(1);
		bytes("streamtype", 10);
		bytes(nul, sizeof(nul));
		break;
	}
	ck_assert_int_eq(parse(), -EPROTO);
}
END_TEST

START_TEST(what_is_not_deflated)
{
	ck_assert_int_eq(spdy_headers_parse(&headers, (const uint8_t *)"garbage", 7, &fields), -EPROTO);
}
END_TEST

START_TEST(another_dictionary)
{
	deflateEnd(&client);
	client = (z_stream){ 0 };
	ck_assert_int_eq(deflateInit(&client, 9), Z_OK);
	ck_assert_int_eq(deflateSetDictionary(&client, (const Bytef *)"other", 5), Z_OK);
	number(0);
	ck_assert_int_eq(parse(), -EPROTO);
}
END_TEST

START_TEST(too_many_entries)
{
	number(BOUND_SPDY_ENTRIES);
	for (int i = 0; i < BOUND_SPDY_ENTRIES; i++)
		entry("a", "b");
	ck_assert_int_eq(parse(), 0);
	number(BOUND_SPDY_ENTRIES + 1);
	for (int i = 0; i < BOUND_SPDY_ENTRIES + 1; i++)
		entry("a", "b");
	ck_assert_int_eq(parse(), -EMSGSIZE);
}
END_TEST

START_TEST(a_bomb)
{
	number(1);
	bytes("x", 1);
	number(900000);
	memset(plain + plain_n, 'a', 900000);
	plain_n += 900000;
	ck_assert_int_eq(parse(), -EMSGSIZE);
	ck_assert_uint_le(headers.size, BOUND_SPDY_HEADERS);
}
END_TEST

/* zlib reads ours: the first begins the stream, the others go on in it. */
START_TEST(empty_blocks_are_inflated_by_zlib)
{
	uint8_t ours[SPDY_EMPTY_BLOCK_MAX], out[64];
	z_stream z = { 0 };

	ck_assert_int_eq(inflateInit(&z), Z_OK);
	for (int i = 0; i < 3; i++) {
		size_t n = spdy_headers_empty(i == 0, ours);
		int r;

		z.next_in = ours;
		z.avail_in = (uInt)n;
		z.next_out = out;
		z.avail_out = sizeof(out);
		r = inflate(&z, Z_SYNC_FLUSH);
		if (r == Z_NEED_DICT) {
			ck_assert_int_eq(i, 0);
			ck_assert_int_eq(inflateSetDictionary(&z, spdy_dictionary, SPDY_DICTIONARY_SIZE), Z_OK);
			r = inflate(&z, Z_SYNC_FLUSH);
		}
		ck_assert_int_eq(r, Z_OK);
		ck_assert_uint_eq(z.avail_in, 0);
		ck_assert_uint_eq(sizeof(out) - z.avail_out, 4);
		ck_assert_mem_eq(out, "\0\0\0\0", 4);
	}
	inflateEnd(&z);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("spdy header");
	TCase *t = tcase_create("spdy header");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, fields_of_several_blocks);
	tcase_add_loop_test(t, malformed_blocks, 0, 6);
	tcase_add_test(t, what_is_not_deflated);
	tcase_add_test(t, another_dictionary);
	tcase_add_test(t, too_many_entries);
	tcase_add_test(t, a_bomb);
	tcase_add_test(t, empty_blocks_are_inflated_by_zlib);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
