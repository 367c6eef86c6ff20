/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <cbase/cleanup.h>

#include "framer.h"

static struct budget budget;
static struct framer f;

static void setup(void)
{
	atomic_store(&budget.used, 0);
	budget.max = 10000;
	framer_init(&f, &budget, 5000);
}

static void teardown(void)
{
	framer_done(&f);
	ck_assert_uint_eq(atomic_load(&budget.used), 0);
}

static int push(const char *p, size_t n, size_t *ret_taken)
{
	return framer_push(&f, (const uint8_t *)p, n, ret_taken);
}

START_TEST(message_in_one_piece)
{
	size_t taken, len, charged;
	_cleanup_free_ char *m = NULL;

	ck_assert(framer_empty(&f));
	ck_assert_int_eq(push("\0\0\0\0\3abc", 8, &taken), 0);
	ck_assert_uint_eq(taken, 8);
	ck_assert(framer_complete(&f));
	m = framer_take(&f, &len, &charged);
	ck_assert_uint_eq(len, 3);
	ck_assert_uint_eq(charged, 3);
	ck_assert_mem_eq(m, "abc", 3);
	ck_assert(framer_empty(&f));
	budget_give(&budget, charged);
}
END_TEST

START_TEST(message_byte_by_byte)
{
	static const char bytes[] = "\0\0\0\0\3abc";
	size_t taken;

	for (size_t i = 0; i < 8; i++) {
		ck_assert(!framer_complete(&f));
		ck_assert_int_eq(push(bytes + i, 1, &taken), 0);
		ck_assert_uint_eq(taken, 1);
	}
	ck_assert(framer_complete(&f));
	ck_assert_mem_eq(f.data, "abc", 3);
}
END_TEST

START_TEST(empty_message_is_complete_with_its_prefix)
{
	size_t taken, len = 1, charged = 1;

	ck_assert_int_eq(push("\0\0\0\0\0", 5, &taken), 0);
	ck_assert(framer_complete(&f));
	ck_assert_ptr_null(framer_take(&f, &len, &charged));
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(charged, 0);
}
END_TEST

START_TEST(bytes_after_the_message_are_left)
{
	size_t taken;

	ck_assert_int_eq(push("\0\0\0\0\1aXYZ", 9, &taken), 0);
	ck_assert_uint_eq(taken, 6);
	ck_assert(framer_complete(&f));
}
END_TEST

START_TEST(compressed_and_malformed_flags)
{
	size_t taken;

	ck_assert_int_eq(push("\1\0\0\0\0", 5, &taken), FRAMER_E_COMPRESSED);
	framer_done(&f);
	ck_assert_int_eq(push("\2\0\0\0\0", 5, &taken), FRAMER_E_MALFORMED);
	framer_done(&f);
	ck_assert_int_eq(push("\xff\0\0\0\0", 5, &taken), FRAMER_E_MALFORMED);
}
END_TEST

START_TEST(announced_length_beyond_max_is_refused)
{
	size_t taken;

	ck_assert_int_eq(push("\0\xff\xff\xff\xff", 5, &taken), FRAMER_E_TOO_LARGE);
	framer_done(&f);
	ck_assert_int_eq(push("\0\0\0\x13\x89", 5, &taken), FRAMER_E_TOO_LARGE); /* 5001 */
	framer_done(&f);
	ck_assert_int_eq(push("\0\0\0\x13\x88", 5, &taken), 0); /* 5000 */
}
END_TEST

START_TEST(announced_length_takes_no_memory)
{
	size_t taken;

	ck_assert_int_eq(push("\0\0\0\x13\x88"
			      "a",
			      6, &taken),
			 0);
	ck_assert_uint_le(atomic_load(&budget.used), 1024);
}
END_TEST

START_TEST(budget_is_a_limit_for_all)
{
	char body[5000] = { 0 };
	struct framer other;
	size_t taken;

	framer_init(&other, &budget, 5000);
	budget.max = 6000;
	ck_assert_int_eq(push("\0\0\0\x13\x88", 5, &taken), 0);
	ck_assert_int_eq(push(body, sizeof(body), &taken), 0);
	ck_assert_int_eq(framer_push(&other, (const uint8_t *)"\0\0\0\x13\x88", 5, &taken), 0);
	ck_assert_int_eq(framer_push(&other, (const uint8_t *)body, sizeof(body), &taken),
			 FRAMER_E_BUDGET);
	framer_done(&other);
	ck_assert_uint_eq(atomic_load(&budget.used), 5000);
}
END_TEST

START_TEST(prefix_is_big_endian)
{
	unsigned char p[FRAME_PREFIX];

	framer_prefix(p, 0x01020304);
	ck_assert_mem_eq(p, "\0\1\2\3\4", 5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("framer");
	TCase *tc = tcase_create("framer");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, message_in_one_piece);
	tcase_add_test(tc, message_byte_by_byte);
	tcase_add_test(tc, empty_message_is_complete_with_its_prefix);
	tcase_add_test(tc, bytes_after_the_message_are_left);
	tcase_add_test(tc, compressed_and_malformed_flags);
	tcase_add_test(tc, announced_length_beyond_max_is_refused);
	tcase_add_test(tc, announced_length_takes_no_memory);
	tcase_add_test(tc, budget_is_a_limit_for_all);
	tcase_add_test(tc, prefix_is_big_endian);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
