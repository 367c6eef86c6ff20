/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

START_TEST(versions_compare_as_numbers)
{
	ck_assert_int_lt(version_compare("0.4.0", "1.0.0"), 0);
	ck_assert_int_lt(version_compare("0.9.0", "0.10.0"), 0);
	ck_assert_int_eq(version_compare("1.0", "1.0.0"), 0);
	ck_assert_int_gt(version_compare("1.1.0", "1.0.99"), 0);
	ck_assert(version_at_least("1.1.0", "1.1.0") && !version_at_least("1.0.0", "1.1.0"));
}
END_TEST

START_TEST(what_is_no_version_is_refused)
{
	static const char *const bad[] = {
		"",	     ".",      "1.",	 ".1",	 "1..0",      "1.0.0.0", "a",
		"1.0.0-rc1", " 1.0.0", "1.0.0 ", "-1.0", "9999999.0", "1,0",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(!version_valid(bad[i]), "%s", bad[i]);
	ck_assert(version_valid("1") && version_valid("1.1") && version_valid("0.3.1") &&
		  !version_valid(NULL));
	ck_assert(version_known("0.3.1") && !version_known("0.3.2") && !version_known("1.0") &&
		  !version_known("1.2.0"));
}
END_TEST

RUN_TESTS("version", versions_compare_as_numbers, what_is_no_version_is_refused)
