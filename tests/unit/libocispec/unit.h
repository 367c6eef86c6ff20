/* SPDX-License-Identifier: Apache-2.0 */
/* One Check program per file: RUN_TESTS() is its main(). */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "private.h"

#define RUN_TESTS(name, ...)                                                                       \
	int main(void)                                                                             \
	{                                                                                          \
		const TTest *all[] = { __VA_ARGS__ };                                              \
		Suite *suite = suite_create(name);                                                 \
		TCase *tcase = tcase_create(name);                                                 \
		SRunner *runner;                                                                   \
		int failed;                                                                        \
		tcase_set_timeout(tcase, 60);                                                      \
		for (size_t i = 0; i < ARRAY_SIZE(all); i++)                                       \
			tcase_add_test(tcase, all[i]);                                             \
		suite_add_tcase(suite, tcase);                                                     \
		runner = srunner_create(suite);                                                    \
		srunner_run_all(runner, CK_NORMAL);                                                \
		failed = srunner_ntests_failed(runner);                                            \
		srunner_free(runner);                                                              \
		return failed ? 1 : 0;                                                             \
	}

/* A document to begin with, and its text. */
static inline __attribute__((unused)) struct ocispec *parsed(const char *text)
{
	struct ocispec_error err = { 0 };
	struct ocispec *s = NULL;

	ck_assert_msg(ocispec_parse(text, strlen(text), &s, &err) == 0, "%s: %s", text,
		      err.message);
	return s;
}

/* Compares what the document prints, and frees both. */
#define ck_prints(s, expected)                                                                     \
	do {                                                                                       \
		struct ocispec *ck_doc_ = (s);                                                     \
		char *ck_text_ = NULL;                                                             \
		ck_assert_int_eq(ocispec_format(ck_doc_, 0, &ck_text_, NULL), 0);                  \
		ck_assert_str_eq(ck_text_, expected);                                              \
		free(ck_text_);                                                                    \
		ocispec_free(ck_doc_);                                                             \
	} while (0)

#endif
