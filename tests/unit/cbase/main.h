/* SPDX-License-Identifier: Apache-2.0 */
/* One suite of one case a file. */
#ifndef TEST_CBASE_MAIN_H
#define TEST_CBASE_MAIN_H

#include <check.h>
#include <stdlib.h>

static int run_case(const char *name, void (*add)(TCase *))
{
	Suite *s = suite_create(name);
	TCase *c = tcase_create(name);
	SRunner *r;
	int failed;

	add(c);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
