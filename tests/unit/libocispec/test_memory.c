/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once: each time the caller is told, and nothing leaks (under ASan). */
#include "unit.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static long until_failure = -1;

static int fails(void)
{
	return until_failure >= 0 && until_failure-- == 0;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

static int build(char **ret)
{
	const char *args[] = { "a", "b", NULL };
	struct ocispec *s = NULL;
	int r, all = 0;

	r = ocispec_new(&s);
	if (r)
		return r;
	for (int i = 0; i < 50 && all == 0; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%d", i);
		all = ocispec_set_annotation(s, key, "some value that takes a little room");
	}
	if (all == 0)
		all = ocispec_set_args(s, args);
	if (all == 0)
		all = ocispec_set_default_seccomp(s, "6.1");
	if (all == 0)
		all = ocispec_sort_mounts(s);
	if (all == 0)
		all = ocispec_format(s, OCISPEC_FORMAT_INDENT, ret, NULL);
	ocispec_free(s);
	return all;
}

START_TEST(building_reports_every_failed_allocation)
{
	char *text = NULL;
	long n;
	int r = -ENOMEM;

	for (n = 0; r == -ENOMEM && n < 10000; n++) {
		until_failure = n;
		r = build(&text);
	}
	until_failure = -1;
	ck_assert_int_eq(r, 0);
	ck_assert_int_gt(n, 5);
	ck_assert_ptr_nonnull(strstr(text, "SCMP_ACT_ERRNO"));
	free(text);
}
END_TEST

START_TEST(reading_reports_every_failed_allocation)
{
	static const char text[] = "{\"process\":{\"args\":[\"a\"]},\"linux\":{\"x\":[1,2,3]}}";
	struct ocispec *s = NULL;
	struct ocispec_error err;
	int r = -ENOMEM;
	long n;

	for (n = 0; r == -ENOMEM && n < 10000; n++) {
		until_failure = n;
		r = ocispec_parse(text, strlen(text), &s, &err);
		until_failure = -1;
		ck_assert(r == 0 || (r == -ENOMEM && err.sys_errno == ENOMEM));
	}
	ck_assert_int_eq(r, 0);
	ck_assert_int_gt(n, 3);
	ocispec_free(s);
}
END_TEST

RUN_TESTS("memory", building_reports_every_failed_allocation,
	  reading_reports_every_failed_allocation)
