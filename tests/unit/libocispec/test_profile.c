/* SPDX-License-Identifier: Apache-2.0 */
/* Profile files in Docker's format. */
#include <cbase/io.h>
#include "unit.h"

#define PEER "/usr/share/containers/seccomp.json"

static struct ocispec *profile(const char *text)
{
	struct ocispec_error err = { 0 };
	struct ocispec *p = NULL;

	ck_assert_msg(ocispec_parse_as(OCISPEC_PROFILE, text, strlen(text), &p, &err) == 0, "%s", err.message);
	return p;
}

/* linux.seccomp of a container with these capabilities. */
static char *resolved(const char *text, const char *caps, const char *kernel, struct ocispec_error *err)
{
	struct ocispec *p = profile(text), *s = parsed(caps);
	char *out = NULL;
	int r = ocispec_set_seccomp_profile(s, p, kernel, err);

	if (r == 0 && ocispec_get_json(s, "linux.seccomp", 0, &out))
		out = strdup("none");
	ocispec_free(p);
	ocispec_free(s);
	return out;
}

static void check(const char *text, const char *caps, const char *kernel, const char *expected)
{
	struct ocispec_error err = { 0 };
	char *out = resolved(text, caps, kernel, &err);

	ck_assert_str_eq(out ? out : err.message, expected);
	free(out);
}

#define CAPS(list) "{\"process\":{\"capabilities\":{\"bounding\":[" list "]}}}"

START_TEST(rules_come_with_their_conditions)
{
	static const char text[] =
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"syscalls\":["
		"{\"names\":[\"a\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":null,\"comment\":\"c\",\"includes\":{},\"excludes\":{}},"
		"{\"names\":[\"b\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\",\"CAP_BPF\"]}},"
		"{\"names\":[\"c\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":2,\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\",\"CAP_BPF\"]}},"
		"{\"names\":[\"d\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":\"4.8\"}},"
		"{\"names\":[\"e\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"minKernel\":\"4.8\"}},"
		"{\"names\":[\"f\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"arches\":[\"vax\"]}}]}";
#define HEAD "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"syscalls\":[{\"names\":[\"a\"],\"action\":\"SCMP_ACT_ALLOW\"}"
#define B ",{\"names\":[\"b\"],\"action\":\"SCMP_ACT_ALLOW\"}"
#define C ",{\"names\":[\"c\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":2}"
#define D ",{\"names\":[\"d\"],\"action\":\"SCMP_ACT_ALLOW\"}"
#define E ",{\"names\":[\"e\"],\"action\":\"SCMP_ACT_ALLOW\"}"

	check(text, "{}", NULL, HEAD C D "]}");
	check(text, CAPS("\"CAP_SYS_ADMIN\""), "6.1.0-18-amd64", HEAD D "]}");
	check(text, CAPS("\"CAP_SYS_ADMIN\",\"CAP_BPF\""), "4.7", HEAD B E "]}");
	check(text, CAPS("\"CAP_BPF\""), "4.8.0", HEAD D "]}");
}
END_TEST

START_TEST(errors_by_name_and_arguments)
{
	check("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrno\":\"ENOSYS\",\"defaultErrnoRet\":1,\"syscalls\":[{\"name\":\"x\","
	      "\"action\":\"SCMP_ACT_ERRNO\",\"errno\":\"22\",\"args\":[{\"index\":1,\"value\":18446744073709551615,\"valueTwo\":0,"
	      "\"op\":\"SCMP_CMP_EQ\"},{\"value\":1,\"valueTwo\":2,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}],\"flags\":[\"F\"],\"listenerPath\":\"/l\"}",
	      "{}", NULL,
	      "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"flags\":[\"F\"],\"listenerPath\":\"/l\",\"syscalls\":["
	      "{\"names\":[\"x\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":22,\"args\":[{\"index\":1,\"value\":18446744073709551615,"
	      "\"op\":\"SCMP_CMP_EQ\"},{\"index\":0,\"value\":1,\"valueTwo\":2,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]}");
}
END_TEST

START_TEST(contradictions_are_refused)
{
	check("{\"defaultAction\":\"A\",\"architectures\":[\"X\"],\"archMap\":[{\"architecture\":\"Y\"}]}", "{}", NULL,
	      "both \"architectures\" and \"archMap\"");
	check("{\"defaultAction\":\"A\",\"syscalls\":[{},{\"name\":\"a\",\"names\":[\"b\"]}]}", "{}", NULL,
	      "syscalls[1]: both \"name\" and \"names\"");
	check("{\"defaultAction\":\"A\",\"defaultErrno\":\"EWRONG\"}", "{}", NULL, "no error is called \"EWRONG\"");
	check("{\"defaultAction\":\"A\",\"syscalls\":[{\"includes\":{\"minKernel\":\"six\"}}]}", "{}", NULL,
	      "syscalls[0]: minKernel \"six\" is not a version");
	check("{\"defaultAction\":\"A\"}", "{}", "six", "\"six\" is not a kernel version");
}
END_TEST

START_TEST(an_empty_profile_means_none)
{
	check("{\"syscalls\":[]}", "{\"linux\":{\"seccomp\":{\"defaultAction\":\"x\"}}}", NULL, "none");
	check("{}", "{}", NULL, "none");
}
END_TEST

START_TEST(the_machine_finds_its_architectures)
{
#ifdef __x86_64__
	check("{\"defaultAction\":\"A\",\"archMap\":[{\"architecture\":\"SCMP_ARCH_AARCH64\",\"subArchitectures\":[\"SCMP_ARCH_ARM\"]},"
	      "{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"]}]}",
	      "{}", NULL, "{\"defaultAction\":\"A\",\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"]}");
#endif
}
END_TEST

START_TEST(the_profile_of_the_containers_tools_is_read)
{
	struct ocispec_error err = { 0 };
	struct ocispec *p = NULL, *s = NULL;
	char *text = NULL;
	size_t len;

	if (read_file(PEER, 1 << 20, &text, &len))
		return;
	ck_assert_int_eq(ocispec_parse_as(OCISPEC_PROFILE, text, len, &p, &err), 0);
	ck_assert_int_eq(ocispec_new(&s), 0);
	ck_assert_int_eq(ocispec_set_seccomp_profile(s, p, "6.1", &err), 0);
	ck_assert_uint_gt(ocispec_count(s, "linux.seccomp.syscalls"), 15);
	ck_assert_int_eq(ocispec_validate(s, NULL, NULL), 0);
	ocispec_free(p);
	ocispec_free(s);
	free(text);
}
END_TEST

RUN_TESTS("profile", rules_come_with_their_conditions, errors_by_name_and_arguments, contradictions_are_refused,
	  an_empty_profile_means_none, the_machine_finds_its_architectures, the_profile_of_the_containers_tools_is_read)
