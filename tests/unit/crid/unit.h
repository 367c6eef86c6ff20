/* SPDX-License-Identifier: Apache-2.0 */
/* main() of a test program: one suite with one list of cases. */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

#include <check.h>

static inline int unit_run(const char *name, const TTest *const *cases, size_t n)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);
	SRunner *r;
	int failed;

	for (size_t i = 0; i < n; i++)
		tcase_add_test(t, cases[i]);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}

#define UNIT_MAIN(name, ...) \
int main(void) \
{ \
	const TTest *const cases[] = { __VA_ARGS__ }; \
\
	return unit_run(name, cases, sizeof(cases) / sizeof(cases[0])); \
}

#endif
