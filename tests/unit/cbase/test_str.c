/* SPDX-License-Identifier: Apache-2.0 */
#include <cbase/str.h>
#include "main.h"

START_TEST(appending_grows_and_take_gives_it_away)
{
	struct str s = STR_INIT;
	char *text;
	size_t n;
	int i;

	for (i = 0; i < 1000; i++)
		str_appendf(&s, "%d,", i % 10);
	text = str_take(&s, &n);
	ck_assert_uint_eq(n, 2000);
	ck_assert_uint_eq(strlen(text), 2000);
	ck_assert_ptr_null(s.data);
	free(text);
	text = str_take(&s, &n);
	ck_assert_str_eq(text, "");
	free(text);
}
END_TEST

START_TEST(numbers_are_read_whole_or_not_at_all)
{
	long long v = 7;

	ck_assert_int_eq(str_to_i64("-12", &v), 0);
	ck_assert_int_eq(v, -12);
	ck_assert_int_eq(str_to_i64("", &v), -EINVAL);
	ck_assert_int_eq(str_to_i64("-", &v), -EINVAL);
	ck_assert_int_eq(str_to_i64(" 1", &v), -EINVAL);
	ck_assert_int_eq(str_to_i64("+1", &v), -EINVAL);
	ck_assert_int_eq(str_to_i64("1x", &v), -EINVAL);
	ck_assert_int_eq(str_to_i64("0x1", &v), -EINVAL);
	ck_assert_int_eq(str_to_i64("9223372036854775808", &v), -ERANGE);
}
END_TEST

START_TEST(utf8_is_strict)
{
	ck_assert(utf8_valid("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10));
	ck_assert(!utf8_valid("\xc0\x80", 2));
	ck_assert(!utf8_valid("\xe0\x80\xaf", 3));
	ck_assert(!utf8_valid("\xed\xa0\x80", 3));
	ck_assert(!utf8_valid("\xf4\x90\x80\x80", 4));
	ck_assert(!utf8_valid("\xe2\x82", 2));
	ck_assert(!utf8_valid("a\0b", 3));
	for (size_t i = 0; i < 17; i++) {	/* looked at eight bytes at a time */
		char text[] = "plain text of 17.";

		ck_assert(utf8_valid(text, 17));
		text[i] = '\0';
		ck_assert(!utf8_valid(text, 17));
		text[i] = (char)0x80;
		ck_assert(!utf8_valid(text, 17));
		text[i] = 0x7f;
		ck_assert(utf8_valid(text, 17));
	}
}
END_TEST

START_TEST(broken_bytes_become_replacement_characters)
{
	_cleanup_str_ struct str s = STR_INIT;

	str_append_utf8(&s, "a\xff\0\xc3\xa9\xe2", 6);
	ck_assert_str_eq(s.data, "a\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd");
}
END_TEST

static void round_trip(const char *plain, const char *coded)
{
	_cleanup_str_ struct str s = STR_INIT;
	_cleanup_free_ char *back = NULL;
	size_t n;

	str_append_base64(&s, plain, strlen(plain));
	ck_assert_str_eq(s.data, coded);
	ck_assert_int_eq(base64_decode(coded, strlen(coded), &back, &n), 0);
	ck_assert_uint_eq(n, strlen(plain));
	ck_assert_str_eq(back, plain);
}

START_TEST(base64_as_in_rfc_4648)
{
	char *p = NULL;
	size_t n;

	round_trip("", "");
	round_trip("f", "Zg==");
	round_trip("fo", "Zm8=");
	round_trip("foobar", "Zm9vYmFy");
	ck_assert_int_eq(base64_decode("Zg=", 3, &p, &n), -EINVAL);
	ck_assert_int_eq(base64_decode("Z===", 4, &p, &n), -EINVAL);
	ck_assert_int_eq(base64_decode("Z*==", 4, &p, &n), -EINVAL);
	ck_assert_int_eq(base64_decode("Zg==Zg==", 8, &p, &n), -EINVAL);
}
END_TEST

START_TEST(vectors_split_join_and_copy)
{
	_cleanup_strv_ char **v = NULL, **w = NULL;
	_cleanup_free_ char *text = NULL;
	int i;

	ck_assert_int_eq(strv_split(":a::b:", ':', &v), 0);
	ck_assert_uint_eq(strv_len(v), 2);
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(strv_pushf(&v, "%d", i), 0);
	w = strv_copy(v);
	ck_assert_uint_eq(strv_len(w), 102);
	ck_assert(strv_has(w, "99"));
	ck_assert(!strv_has(w, "100"));
	w = strv_free(w);
	ck_assert_int_eq(strv_split("x y", ' ', &w), 0);
	text = strv_join(w, ", ");
	ck_assert_str_eq(text, "x, y");
}
END_TEST

static void add(TCase *c)
{
	tcase_add_test(c, appending_grows_and_take_gives_it_away);
	tcase_add_test(c, numbers_are_read_whole_or_not_at_all);
	tcase_add_test(c, utf8_is_strict);
	tcase_add_test(c, broken_bytes_become_replacement_characters);
	tcase_add_test(c, base64_as_in_rfc_4648);
	tcase_add_test(c, vectors_split_join_and_copy);
}

int main(void)
{
	return run_case("str", add);
}
