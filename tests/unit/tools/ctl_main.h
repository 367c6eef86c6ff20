/* SPDX-License-Identifier: Apache-2.0 */
/* main() of the tests here: runs the cases of an array. */
#ifndef CTL_MAIN_H
#define CTL_MAIN_H

#include <check.h>
#include <stdlib.h>
#include "ctl.h"

static inline int run_tests(const char *name, const TTest *const *tests, size_t n)
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *sr;
	size_t i;
	int failed;

	for (i = 0; i < n; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
