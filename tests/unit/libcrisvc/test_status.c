/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "streaming/private.h"

static const char *text(int version, bool failed, int code, const char *message)
{
	static struct str s;

	str_done(&s);
	s = (struct str)STR_INIT;
	ck_assert_int_eq(status_text(version, failed, code, message, &s), 0);
	return s.data ? s.data : "";
}

START_TEST(success_is_silent_before_version_4)
{
	for (int version = 1; version < 4; version++)
		ck_assert_str_eq(text(version, false, 0, ""), "");
	ck_assert_str_eq(text(4, false, 0, ""), "{\"metadata\":{},\"status\":\"Success\"}");
	ck_assert_str_eq(text(5, false, 0, ""), "{\"metadata\":{},\"status\":\"Success\"}");
}
END_TEST

START_TEST(exit_codes)
{
	ck_assert_str_eq(text(1, false, 3, ""), "command terminated with non-zero exit code: exit status 3");
	ck_assert_str_eq(text(4, false, 255, ""),
			 "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with non-zero exit code: exit status 255\","
			 "\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"255\"}]}}");
}
END_TEST

START_TEST(failures_are_quoted)
{
	ck_assert_str_eq(text(2, true, 0, "no \"x\"\n"), "Internal error occurred: error executing command in container: no \"x\"\n");
	ck_assert_str_eq(text(4, true, 0, "no \"x\"\\\n\x7f"),
			 "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"Internal error occurred: error executing command in container: "
			 "no \\\"x\\\"\\\\\\u000a\\u007f\",\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":"
			 "\"no \\\"x\\\"\\\\\\u000a\\u007f\"}]},\"code\":500}");
}
END_TEST

static ssize_t parse(const char *s, unsigned *w, unsigned *h)
{
	return resize_parse(s, strlen(s), w, h);
}

START_TEST(sizes)
{
	unsigned w = 7, h = 7;

	ck_assert_int_eq(parse("{\"Width\":80,\"Height\":24}", &w, &h), 24);
	ck_assert_uint_eq(w, 80);
	ck_assert_uint_eq(h, 24);
	ck_assert_int_eq(parse(" \n{ \"Height\" : 65535 , \"Width\" :1 }x", &w, &h), 35);
	ck_assert_uint_eq(w, 1);
	ck_assert_uint_eq(h, 65535);
	ck_assert_int_eq(parse("{\"a\":{\"}\":\"\\\"}\"},\"Width\":2,\"Height\":3}{", &w, &h), 38);
	ck_assert_uint_eq(w, 2);
	ck_assert_uint_eq(h, 3);
}
END_TEST

START_TEST(sizes_that_no_terminal_has_are_zero)
{
	unsigned w = 7, h = 7;

	ck_assert_int_gt(parse("{\"Width\":65536,\"Height\":99999999999999999999}", &w, &h), 0);
	ck_assert_uint_eq(w, 0);
	ck_assert_uint_eq(h, 0);
	ck_assert_int_gt(parse("{\"Width\":-1}", &w, &h), 0);
	ck_assert_uint_eq(w, 0);
	ck_assert_int_gt(parse("{\"Width\":\"80\"}", &w, &h), 0);
	ck_assert_uint_eq(w, 0);
}
END_TEST

START_TEST(pieces_wait_and_garbage_is_refused)
{
	static const char whole[] = "{\"Width\":80,\"Height\":\"\\\"\"}";
	unsigned w = 7, h = 7;

	for (size_t n = 1; n < sizeof(whole) - 1; n++)
		ck_assert_int_eq(resize_parse(whole, n, &w, &h), 0);
	ck_assert_uint_eq(w, 7);
	ck_assert_int_eq(parse("80x24", &w, &h), -EINVAL);
	ck_assert_int_eq(parse("}", &w, &h), -EINVAL);
	ck_assert_int_eq(parse("[{}]", &w, &h), -EINVAL);
	ck_assert_int_eq(parse(" \t", &w, &h), 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("status");
	TCase *t = tcase_create("status");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, success_is_silent_before_version_4);
	tcase_add_test(t, exit_codes);
	tcase_add_test(t, failures_are_quoted);
	tcase_add_test(t, sizes);
	tcase_add_test(t, sizes_that_no_terminal_has_are_zero);
	tcase_add_test(t, pieces_wait_and_garbage_is_refused);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
