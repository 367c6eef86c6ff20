/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include <cbase/cleanup.h>
#include <cbase/str.h>

#include "text.h"

static const struct {
	const char *value;
	bool grpc;
} types[] = {
	{ "application/grpc", true },
	{ "application/grpc+proto", true },
	{ "application/grpc;charset=utf-8", true },
	{ "Application/GRPC+json", true },
	{ "application/grpc-web", false },
	{ "application/grpcx", false },
	{ "application/grp", false },
	{ "", false },
	{ "text/plain", false },
	{ " application/grpc", false },
};

START_TEST(content_type_is_grpc_or_not)
{
	ck_assert_int_eq(text_is_grpc(types[_i].value, strlen(types[_i].value)), types[_i].grpc);
}
END_TEST

static const struct {
	const char *value;
	int r;
	int64_t ns;
} timeouts[] = {
	{ "0n", 0, 0 },
	{ "1n", 0, 1 },
	{ "99999999u", 0, 99999999000 },
	{ "100m", 0, 100000000 },
	{ "10S", 0, 10000000000 },
	{ "2M", 0, 120000000000 },
	{ "1H", 0, 3600000000000 },
	{ "99999999H", 0, INT64_MAX },
	{ "00000001S", 0, 1000000000 },
	{ "2562047H", 0, 2562047 * 3600000000000 },
	{ "123456789S", -EINVAL, 0 },
	{ "S", -EINVAL, 0 },
	{ "", -EINVAL, 0 },
	{ "1", -EINVAL, 0 },
	{ "1s", -EINVAL, 0 },
	{ "-1S", -EINVAL, 0 },
	{ "+1S", -EINVAL, 0 },
	{ "1.5S", -EINVAL, 0 },
	{ " 1S", -EINVAL, 0 },
	{ "1 S", -EINVAL, 0 },
	{ "0x1S", -EINVAL, 0 },
};

START_TEST(timeout_is_parsed_or_refused)
{
	int64_t ns = 42;

	ck_assert_int_eq(text_parse_timeout(timeouts[_i].value, strlen(timeouts[_i].value), &ns),
			 timeouts[_i].r);
	ck_assert_int_eq(ns, timeouts[_i].r ? 42 : timeouts[_i].ns);
}
END_TEST

static const struct {
	int64_t ns;
	const char *value;
} formats[] = {
	{ 0, "0n" },
	{ -5, "0n" },
	{ 1, "1n" },
	{ 99999998, "99999998n" },
	{ 99999999, "100000u" },
	{ 100000001, "100001u" },
	{ 5000000000, "5000000u" },
	{ 120000000000, "120000m" },
	{ INT64_MAX, "2562048H" },
};

START_TEST(timeout_is_formatted_in_8_digits_never_shorter)
{
	char out[TEXT_TIMEOUT_MAX];
	int64_t back;

	text_format_timeout(formats[_i].ns, out);
	ck_assert_str_eq(out, formats[_i].value);
	ck_assert_int_eq(text_parse_timeout(out, strlen(out), &back), 0);
	ck_assert_int_ge(back, formats[_i].ns);
}
END_TEST

static const struct {
	const char *message, *encoded;
} messages[] = {
	{ "", "" },
	{ "plain text: ok", "plain text: ok" },
	{ "100%", "100%25" },
	{ "a\nb\tc", "a%0Ab%09c" },
	{ "gr\xc3\xbc\xc3\x9f", "gr%C3%BC%C3%9F" },
	{ "\xe2\x82\xac", "%E2%82%AC" },
	{ "\xff\xfe", "%FF%FE" },
	{ "~\x7f", "~%7F" },
	{ " in front", "%20in front" },
	{ "at the end ", "at the end%20" },
	{ " ", "%20" },
};

START_TEST(message_is_percent_encoded_and_back)
{
	_cleanup_str_ struct str out = STR_INIT, back = STR_INIT;

	str_append(&out, "");
	text_encode_message(&out, messages[_i].message, 1000);
	ck_assert_str_eq(out.data, messages[_i].encoded);
	str_append(&back, "");
	text_decode_message(&back, out.data, out.len);
	ck_assert_str_eq(back.data, messages[_i].message);
}
END_TEST

START_TEST(long_message_is_cut_between_characters)
{
	for (size_t max = 0; max < 20; max++) {
		_cleanup_str_ struct str out = STR_INIT;

		str_append(&out, "");
		text_encode_message(&out, "a\xe2\x82\xac\xe2\x82\xac", max);
		ck_assert_str_eq(out.data, max < 1    ? ""
					   : max < 10 ? "a"
					   : max < 19 ? "a%E2%82%AC"
						      : "a%E2%82%AC%E2%82%AC");
	}
}
END_TEST

START_TEST(broken_escapes_are_taken_literally)
{
	static const char *const same[] = { "%", "%4", "%zz", "100%", "%%%", "%-1" };

	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		_cleanup_str_ struct str out = STR_INIT;

		text_decode_message(&out, same[i], strlen(same[i]));
		ck_assert_str_eq(out.data, same[i]);
	}
}
END_TEST

START_TEST(escapes_may_have_small_letters)
{
	_cleanup_str_ struct str out = STR_INIT;

	text_decode_message(&out, "%c3%BCx", 7);
	ck_assert_str_eq(out.data, "\xc3\xbcx");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("text");
	TCase *tc = tcase_create("text");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, content_type_is_grpc_or_not, 0, ARRAY_SIZE(types));
	tcase_add_loop_test(tc, timeout_is_parsed_or_refused, 0, ARRAY_SIZE(timeouts));
	tcase_add_loop_test(tc, timeout_is_formatted_in_8_digits_never_shorter, 0,
			    ARRAY_SIZE(formats));
	tcase_add_loop_test(tc, message_is_percent_encoded_and_back, 0, ARRAY_SIZE(messages));
	tcase_add_test(tc, long_message_is_cut_between_characters);
	tcase_add_test(tc, broken_escapes_are_taken_literally);
	tcase_add_test(tc, escapes_may_have_small_letters);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
