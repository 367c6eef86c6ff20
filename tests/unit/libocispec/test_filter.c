/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled filters: what they do is asked of the kernel in tests/interop; here, that they are made, once. */
#include <linux/filter.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include "unit.h"

#define ANNOTATION "run.oci.seccomp_bpf_data"

static struct ocispec *with_default(const char *cap)
{
	const char *caps[] = { cap, NULL };
	struct ocispec *s = NULL;

	ck_assert_int_eq(ocispec_new(&s), 0);
	ck_assert_int_eq(ocispec_set_capabilities(s, OCISPEC_CAP_BOUNDING, caps), 0);
	ck_assert_int_eq(ocispec_set_default_seccomp(s, NULL), 0);
	return s;
}

START_TEST(a_filter_is_a_program)
{
	struct ocispec *s = with_default("CHOWN");
	struct ocispec_error err = { 0 };
	const struct sock_filter *f;
	void *program = NULL;
	size_t len = 0;

	ck_assert_msg(ocispec_seccomp_compile(s, &program, &len, &err) == 0, "%s", err.message);
	ck_assert_uint_eq(len % sizeof(*f), 0);
	ck_assert_uint_gt(len, 500 * sizeof(*f));
	ck_assert_uint_le(len, BPF_MAXINSNS * sizeof(*f));
	f = program;
	ck_assert_uint_eq(f[0].code, BPF_LD | BPF_W | BPF_ABS);
	ck_assert_uint_eq(f[0].k, 4);	/* the architecture comes first */
	free(program);
	ocispec_free(s);
}
END_TEST

START_TEST(what_the_library_refuses_is_said)
{
	static const char *const wrong[][2] = {
		{ "{\"linux\":{\"seccomp\":{}}}", "seccomp: no action \"\"" },
		{ "{\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_NONE\"}}}", "seccomp: no action \"SCMP_ACT_NONE\"" },
		{ "{\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_VAX\"]}}}",
		  "seccomp: no architecture \"SCMP_ARCH_VAX\"" },
		{ "{\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"x\"]}}}", "seccomp: no architecture \"x\"" },
		{ "{\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":65536}}}",
		  "seccomp: defaultErrnoRet is not from 0 to 65535" },
		{ "{\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\","
		  "\"args\":[{\"index\":6,\"op\":\"SCMP_CMP_EQ\"}]}]}}}", "seccomp: operator \"SCMP_CMP_EQ\" on argument 6" },
	};
	struct ocispec_error err;
	void *program = NULL;
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct ocispec *s = parsed(wrong[i][0]);

		ck_assert_int_eq(ocispec_seccomp_compile(s, &program, &len, &err), OCISPEC_E_INVALID);
		ck_assert_str_eq(err.message, wrong[i][1]);
		ocispec_free(s);
	}
	ck_assert_ptr_null(program);
}
END_TEST

START_TEST(one_filter_for_equal_sections)
{
	struct ocispec *a = with_default("CHOWN"), *b = with_default("CHOWN"), *c = with_default("SYS_ADMIN");
	struct ocispec_filters *cache = NULL;

	ck_assert_int_eq(ocispec_filters_new(&cache), 0);
	ck_assert_int_eq(ocispec_hand_filter_to_crun(a, cache, NULL), 0);
	ck_assert_int_eq(setenv("OCISPEC_MODULE_DIR", "/nowhere", 1), 0);	/* nothing can be compiled any more */
	ck_assert_int_eq(ocispec_hand_filter_to_crun(b, cache, NULL), 0);
	ck_assert_int_eq(ocispec_hand_filter_to_crun(c, cache, NULL), OCISPEC_E_UNAVAILABLE);
	ck_assert_ptr_null(ocispec_get_annotation(c, ANNOTATION));
	ck_assert_str_eq(ocispec_get_annotation(a, ANNOTATION), ocispec_get_annotation(b, ANNOTATION));
	ck_assert_uint_gt(strlen(ocispec_get_annotation(a, ANNOTATION)), 4000);
	ocispec_filters_free(cache);
	ocispec_free(a);
	ocispec_free(b);
	ocispec_free(c);
}
END_TEST

START_TEST(the_cache_forgets_the_oldest)
{
	struct ocispec_filters *cache = NULL;
	char text[256], *first = NULL;

	ck_assert_int_eq(ocispec_filters_new(&cache), 0);
	for (int i = 0; i < 40; i++) {
		struct ocispec *s;

		snprintf(text, sizeof(text), "{\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":%d,"
			 "\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\"}]}}}", i % 20 + 1);
		s = parsed(text);
		ck_assert_int_eq(ocispec_hand_filter_to_crun(s, cache, NULL), 0);
		if (i == 0)
			first = strdup(ocispec_get_annotation(s, ANNOTATION));
		else if (i == 20)
			ck_assert_str_eq(ocispec_get_annotation(s, ANNOTATION), first);
		else
			ck_assert_str_ne(ocispec_get_annotation(s, ANNOTATION), first);
		ocispec_free(s);
	}
	free(first);
	ocispec_filters_free(cache);
}
END_TEST

START_TEST(filters_that_notify_are_left_to_the_runtime)
{
	struct ocispec *s = parsed("{\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
				   "\"action\":\"SCMP_ACT_NOTIFY\"}]}}}");
	struct ocispec *none = parsed("{}");

	ck_assert_int_eq(ocispec_hand_filter_to_crun(s, NULL, NULL), OCISPEC_E_NOT_FOUND);
	ck_assert_int_eq(ocispec_hand_filter_to_crun(none, NULL, NULL), OCISPEC_E_NOT_FOUND);
	ck_assert_uint_eq(ocispec_annotation_count(s), 0);
	ocispec_free(s);
	ocispec_free(none);
}
END_TEST

static void *hand_over(void *cache)
{
	struct ocispec *s = with_default("KILL");
	long bad = ocispec_hand_filter_to_crun(s, cache, NULL) != 0;

	ocispec_free(s);
	return (void *)bad;
}

START_TEST(threads_share_the_cache)
{
	struct ocispec_filters *cache = NULL;
	pthread_t t[8];
	void *bad;

	ck_assert_int_eq(ocispec_filters_new(&cache), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, hand_over, cache), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		pthread_join(t[i], &bad);
		ck_assert_ptr_null(bad);
	}
	ocispec_filters_free(cache);
}
END_TEST

/* Nothing of libseccomp stays in the process. */
START_TEST(the_library_is_gone_when_the_filter_is_made)
{
	struct ocispec *s = with_default("CHOWN");
	char line[512];
	FILE *f;

	ck_assert_int_eq(ocispec_hand_filter_to_crun(s, NULL, NULL), 0);
	f = fopen("/proc/self/maps", "re");
	while (f && fgets(line, sizeof(line), f))
		ck_assert_msg(!strstr(line, "libseccomp.so"), "%s", line);
	fclose(f);
	ocispec_free(s);
}
END_TEST

RUN_TESTS("filter", a_filter_is_a_program, what_the_library_refuses_is_said, one_filter_for_equal_sections,
	  the_cache_forgets_the_oldest, filters_that_notify_are_left_to_the_runtime, threads_share_the_cache,
	  the_library_is_gone_when_the_filter_is_made)
