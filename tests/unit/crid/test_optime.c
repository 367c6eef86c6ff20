/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>

#include "optime.h"

static const struct {
	int64_t want;
	int n;
	int64_t spans[20][2];
} cases[] = {
	{ 0, 0, { { 0 } } },
	{ 10, 1, { { 5, 15 } } },
	{ 0, 2, { { 5, 5 }, { 9, 7 } } },
	{ 20, 2, { { 0, 10 }, { 20, 30 } } },	 /* one after the other */
	{ 30, 2, { { 0, 10 }, { 10, 30 } } },	 /* touching */
	{ 30, 2, { { 0, 20 }, { 10, 30 } } },	 /* overlapping */
	{ 30, 2, { { 10, 20 }, { 0, 30 } } },	 /* one outlives the other */
	{ 40, 4, { { 0, 10 }, { 20, 30 }, { 40, 45 }, { 15, 45 } } },
	{ 50, 3, { { 0, 10 }, { 20, 30 }, { 0, 50 } } },
	{ 10, 2, { { 0, 10 }, { 0, 10 } } },	 /* told twice */
	{ 10, 2, { { 0, 10 }, { 3, 8 } } },	 /* told late */
	/* more apart than are remembered one by one */
	{ 13, 12, { { 0, 1 }, { 2, 3 }, { 4, 5 }, { 6, 7 }, { 8, 9 }, { 10, 11 }, { 12, 13 }, { 14, 15 },
		    { 16, 17 }, { 18, 19 }, { 20, 21 }, { 22, 24 } } },
};

START_TEST(covered_time_is_that_of_the_union)
{
	for (int again = 0; again < 2; again++) {
		optime_begin();
		for (int i = 0; i < cases[_i].n; i++)
			optime_waited(cases[_i].spans[i][0], cases[_i].spans[i][1]);
		ck_assert_int_eq(optime_end(), cases[_i].want);
	}
}
END_TEST

START_TEST(outside_of_an_operation_nothing_counts)
{
	optime_waited(0, 100);
	optime_begin();
	ck_assert_int_eq(optime_end(), 0);
	optime_waited(0, 100);
	optime_begin();
	ck_assert_int_eq(optime_end(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("optime");
	TCase *t = tcase_create("optime");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, covered_time_is_that_of_the_union, 0,
			    (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(t, outside_of_an_operation_nothing_counts);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
