/* SPDX-License-Identifier: Apache-2.0 */
/* What people read: ages, sizes, ids, states, tables. */
#include "ctl_main.h"

#define SECOND 1000000000LL

static void age_is(int64_t seconds, const char *text)
{
	_cleanup_str_ struct str s = STR_INIT;
	int64_t now = 1800000000 * SECOND;

	text_age(now - seconds * SECOND, now, &s);
	ck_assert_str_eq(s.data, text);
}

START_TEST(ages_have_one_unit)
{
	_cleanup_str_ struct str s = STR_INIT;

	age_is(0, "0 seconds ago");
	age_is(1, "1 second ago");
	age_is(59, "59 seconds ago");
	age_is(60, "1 minute ago");
	age_is(3599, "59 minutes ago");
	age_is(7200, "2 hours ago");
	age_is(86400, "1 day ago");
	age_is(86400 * 45, "1 month ago");
	age_is(86400 * 800, "2 years ago");
	age_is(-5, "0 seconds ago"); /* clocks differ */
	text_age(0, SECOND, &s);
	ck_assert_str_eq(s.data, "-");
}
END_TEST

static void size_is(uint64_t bytes, const char *text)
{
	_cleanup_str_ struct str s = STR_INIT;

	text_size(bytes, &s);
	ck_assert_str_eq(s.data, text);
}

START_TEST(sizes_have_three_digits)
{
	size_is(0, "0B");
	size_is(999, "999B");
	size_is(1000, "1kB");
	size_is(1028705, "1.03MB");
	size_is(742000, "742kB");
	size_is(999499, "999kB");
	size_is(999500, "1MB");
	size_is(4270000000, "4.27GB");
	size_is(UINT64_MAX, "18.4EB");
}
END_TEST

START_TEST(ids_are_cut_to_13_characters)
{
	char id[14];

	ck_assert_str_eq(text_short_id("sha256:0123456789abcdef", id), "0123456789abc");
	ck_assert_str_eq(text_short_id("0123456789abcdef", id), "0123456789abc");
	ck_assert_str_eq(text_short_id("short", id), "short");
}
END_TEST

START_TEST(states_lose_their_prefix)
{
	_cleanup_str_ struct str s = STR_INIT;

	text_state(&runtime__v1__container_state__descriptor, 1, &s);
	str_append_char(&s, ' ');
	text_state(&runtime__v1__pod_sandbox_state__descriptor, 1, &s);
	str_append_char(&s, ' ');
	text_state(&runtime__v1__pod_sandbox_state__descriptor, 77, &s);
	ck_assert_str_eq(s.data, "Running NotReady 77");
}
END_TEST

START_TEST(control_characters_do_not_reach_the_terminal)
{
	_cleanup_str_ struct str s = STR_INIT;

	text_append_safe(&s,
			 "a\033[2Jb\r\n\tc\x7f"
			 "d\xc2\x9b"
			 "e\xc3\xa4\xff",
			 false);
	ck_assert_str_eq(s.data, "a?[2Jb???c?d?e\xc3\xa4\xef\xbf\xbd");
	str_reset(&s);
	text_append_safe(&s, "a\n\tb\033", true);
	ck_assert_str_eq(s.data, "a\n\tb?");
}
END_TEST

START_TEST(columns_are_aligned_by_characters)
{
	static const char *const header[] = { "A", "LONGER", "C" };
	_cleanup_(table_done) struct table t;
	_cleanup_str_ struct str s = STR_INIT;

	table_init(&t, 3, header);
	table_add(&t, "\xc3\xa4\xc3\xb6\xc3\xbc");
	table_addf(&t, "%d", 5);
	table_add(&t, "");
	table_add(&t, "x");
	table_add(&t, "");
	table_add(&t, "last\n");
	ck_assert_int_eq(table_format(&t, &s), 0);
	ck_assert_str_eq(s.data, "A     LONGER   C\n"
				 "\xc3\xa4\xc3\xb6\xc3\xbc   5\n"
				 "x              last?\n");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		ages_have_one_unit,
		sizes_have_three_digits,
		ids_are_cut_to_13_characters,
		states_lose_their_prefix,
		control_characters_do_not_reach_the_terminal,
		columns_are_aligned_by_characters,
	};

	return run_tests("text", tests, ARRAY_SIZE(tests));
}
