/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

START_TEST(paths_are_compared_by_meaning)
{
	ck_assert(path_equal("/proc", "/proc/"));
	ck_assert(path_equal("/proc", "//./proc/."));
	ck_assert(path_equal("/a/c", "/a/b/../c"));
	ck_assert(path_equal("/", "/.."));
	ck_assert(path_equal("/c", "/a/b/../../../c"));
	ck_assert(path_equal("/", "/a/.."));
	ck_assert(!path_equal("/proc", "/proc2"));
	ck_assert(!path_equal("/proc", "/x/proc"));
	ck_assert(!path_equal("/a/b", "/b"));
	ck_assert(!path_equal("/", "/a"));
	ck_assert(!path_equal("/...", "/"));
}
END_TEST

START_TEST(depth_counts_components)
{
	ck_assert_uint_eq(path_depth("/"), 0);
	ck_assert_uint_eq(path_depth("/a"), 1);
	ck_assert_uint_eq(path_depth("/a//b/./c/"), 3);
	ck_assert_uint_eq(path_depth("/a/../b"), 1);
	ck_assert_uint_eq(path_depth("/../../b"), 1);
}
END_TEST

START_TEST(a_path_of_many_components_costs_little)
{
	struct str a = STR_INIT;

	for (int i = 0; i < 1000000; i++)
		str_append(&a, i % 2 ? "/.." : "/a");
	ck_assert(path_equal(a.data, "/"));
	str_done(&a);
}
END_TEST

START_TEST(text_is_utf8_and_printable)
{
	ck_assert(text_valid("") && text_valid("a\nb") && text_valid("\xc3\xa9"));
	ck_assert(!text_valid(NULL) && !text_valid("\xc0\x80") && !text_valid("\xff"));
	ck_assert(text_printable("a\tb") && text_printable("\xc3\xa9"));
	ck_assert(!text_printable("a\nb") && !text_printable("\x1b[0m") && !text_printable("\x7f"));
	ck_assert(path_absolute("/") && !path_absolute("") && !path_absolute("a") &&
		  !path_absolute(NULL));
}
END_TEST

RUN_TESTS("check", paths_are_compared_by_meaning, depth_counts_components,
	  a_path_of_many_components_costs_little, text_is_utf8_and_printable)
