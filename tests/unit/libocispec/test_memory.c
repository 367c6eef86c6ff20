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

static int inject(struct ocispec *s)
{
	static const char spec[] = "{\"cdiVersion\":\"0.7.0\",\"kind\":\"v/c\",\"containerEdits\":{\"env\":[\"A=b\"]},\"devices\":[{\"name\":\"a\","
				   "\"containerEdits\":{\"deviceNodes\":[{\"path\":\"/dev/null\"}],\"mounts\":[{\"hostPath\":\"/h\","
				   "\"containerPath\":\"/c\",\"options\":[\"bind\"]}],\"hooks\":[{\"hookName\":\"poststop\",\"path\":\"/p\"}],"
				   "\"additionalGids\":[5]}}]}";
	const char *devices[] = { "v/c=a", NULL };
	struct ocispec_cdi *c = NULL;
	int r = ocispec_cdi_new(&c);

	if (!r)
		r = ocispec_cdi_add(c, "f", spec, strlen(spec), NULL);
	if (!r)
		r = ocispec_cdi_inject(c, s, devices, NULL, NULL);
	ocispec_cdi_free(c);
	return r;
}

static int hook(struct ocispec *s)
{
	static const char file[] = "{\"hook\":\"/h\",\"arguments\":[\"x\"],\"stage\":[\"prestart\"],\"cmd\":[\".\"],\"annotation\":[\"a\",\"b\"]}";
	const char *pairs[] = { "k", "b", NULL };
	struct ocispec_hooks *h = NULL;
	int r = ocispec_hooks_new(&h);

	if (!r)
		r = ocispec_hooks_add(h, "f", file, strlen(file), NULL);
	if (!r)
		r = ocispec_hooks_apply(h, s, pairs, 0, NULL);
	ocispec_hooks_free(h);
	return r;
}

static int profile(struct ocispec *s)
{
	static const char file[] = "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrno\":\"EPERM\",\"syscalls\":[{\"names\":[\"read\"],"
				   "\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":1,\"value\":2,\"op\":\"SCMP_CMP_EQ\"}]}]}";
	struct ocispec *p = NULL;
	int r = ocispec_parse_as(OCISPEC_PROFILE, file, strlen(file), &p, NULL);

	if (!r)
		r = ocispec_set_seccomp_profile(s, p, NULL, NULL);
	ocispec_free(p);
	return r;
}

/* The modules' own memory is not failed here. */
static int use_everything(char **ret)
{
	static const char rate[] = "{\"major\":8,\"minor\":0,\"rate\":1}";
	struct ocispec_filters *cache = NULL;
	struct ocispec *s = NULL;
	int r = ocispec_new_as(OCISPEC_CONFIG, &s);

	if (!r)
		r = ocispec_filters_new(&cache);
	if (!r)
		r = ocispec_set_text(s, "linux.timeOffsets.boottime.secs", NULL);
	if (!r)
		r = ocispec_append_json(s, "linux.resources.blockIO.throttleReadBpsDevice", rate, strlen(rate), NULL);
	if (!r)
		r = profile(s);
	if (!r)
		r = hook(s);
	if (!r)
		r = inject(s);
	if (!r)
		r = ocispec_drop_commands(s, NULL, NULL);
	if (!r)
		r = ocispec_hand_filter_to_crun(s, cache, NULL);
	if (!r)
		r = ocispec_format(s, 0, ret, NULL);
	ocispec_filters_free(cache);
	ocispec_free(s);
	return r;
}

START_TEST(everything_reports_every_failed_allocation)
{
	char *text = NULL;
	int r = -ENOMEM;
	long n;

	for (n = 0; r && n < 5000; n++) {
		until_failure = n;
		r = use_everything(&text);
		until_failure = -1;
		/* without memory for the path of a module it is not found */
		ck_assert_msg(r == 0 || r == -ENOMEM || r == OCISPEC_E_UNAVAILABLE, "%ld: %d", n, r);
	}
	ck_assert_int_eq(r, 0);
	ck_assert_int_gt(n, 60);
	ck_assert_ptr_nonnull(strstr(text, "/dev/null"));
	free(text);
}
END_TEST

RUN_TESTS("memory", building_reports_every_failed_allocation, reading_reports_every_failed_allocation,
	  everything_reports_every_failed_allocation)
