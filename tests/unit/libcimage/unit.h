/* SPDX-License-Identifier: Apache-2.0 */
/* One Check program per file: RUN_TESTS() is its main(). */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cbase/io.h>
#include "common.h"

#define RUN_TESTS(name, ...) RUN_LOOP_TESTS(name, NULL, 0, __VA_ARGS__)
/* loop (or NULL) runs n times, with _i from 0 on. */
#define RUN_LOOP_TESTS(name, loop, n, ...) \
	int main(void) \
	{ \
		const TTest *all[] = { __VA_ARGS__ }; \
		Suite *suite = suite_create(name); \
		TCase *tcase = tcase_create(name); \
		SRunner *runner; \
		int failed; \
		tcase_set_timeout(tcase, 60); \
		for (size_t i = 0; i < ARRAY_SIZE(all); i++) \
			tcase_add_test(tcase, all[i]); \
		if (n) \
			tcase_add_loop_test(tcase, loop, 0, (int)(n)); \
		suite_add_tcase(suite, tcase); \
		runner = srunner_create(suite); \
		srunner_run_all(runner, CK_NORMAL); \
		failed = srunner_ntests_failed(runner); \
		srunner_free(runner); \
		return failed ? 1 : 0; \
	}

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA "sha256:" HEX64

static inline __attribute__((unused)) struct cimage_ref *ref_of(const char *text)
{
	struct cimage_error err = { 0 };
	struct cimage_ref *r = NULL;

	ck_assert_msg(cimage_ref_parse(text, 0, &r, &err) == 0, "%s: %s", text, err.message);
	return r;
}

/* A directory that is gone afterwards, and files in it. */
struct scratch {
	char path[64];
};

static inline __attribute__((unused)) void scratch_make(struct scratch *s)
{
	strcpy(s->path, "/tmp/cimage-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(s->path));
}

static inline __attribute__((unused)) void scratch_remove(struct scratch *s)
{
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, s->path), 0);
}

/* [owned] its path; directories are made. */
static inline __attribute__((unused)) char *scratch_write(struct scratch *s, const char *name, const char *text)
{
	char *path = strf("%s/%s", s->path, name), *slash = strrchr(path, '/');

	*slash = '\0';
	ck_assert_int_eq(mkdir_p(path, 0700), 0);
	*slash = '/';
	ck_assert_int_eq(write_file(path, 0600, text, strlen(text), 0), 0);
	return path;
}

#endif
