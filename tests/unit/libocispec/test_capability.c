/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/capability.h>
#include "unit.h"

START_TEST(names_are_found_in_any_spelling)
{
	ck_assert_str_eq(ocispec_capability_name("net_admin"), "CAP_NET_ADMIN");
	ck_assert_str_eq(ocispec_capability_name("cap_Net_Admin"), "CAP_NET_ADMIN");
	ck_assert_str_eq(ocispec_capability_name("CAP_CHECKPOINT_RESTORE"),
			 "CAP_CHECKPOINT_RESTORE");
	ck_assert_ptr_null(ocispec_capability_name("ALL"));
	ck_assert_ptr_null(ocispec_capability_name("CAP_"));
	ck_assert_ptr_null(ocispec_capability_name(""));
	ck_assert_ptr_null(ocispec_capability_name("CAP_CAP_KILL"));
	ck_assert_ptr_null(ocispec_capability_name(" KILL"));
	ck_assert_ptr_null(ocispec_capability_name(NULL));
}
END_TEST

START_TEST(numbers_are_the_kernels)
{
	ck_assert_str_eq(ocispec_capability_by_number(CAP_CHOWN), "CAP_CHOWN");
	ck_assert_str_eq(ocispec_capability_by_number(CAP_SETPCAP), "CAP_SETPCAP");
	ck_assert_str_eq(ocispec_capability_by_number(CAP_NET_RAW), "CAP_NET_RAW");
	ck_assert_str_eq(ocispec_capability_by_number(CAP_SYS_ADMIN), "CAP_SYS_ADMIN");
	ck_assert_str_eq(ocispec_capability_by_number(CAP_MKNOD), "CAP_MKNOD");
	ck_assert_str_eq(ocispec_capability_by_number(CAP_AUDIT_READ), "CAP_AUDIT_READ");
	ck_assert_str_eq(ocispec_capability_by_number(CAP_BPF), "CAP_BPF");
	ck_assert_str_eq(ocispec_capability_by_number(40), "CAP_CHECKPOINT_RESTORE");
	ck_assert_ptr_null(ocispec_capability_by_number(41));
	ck_assert_ptr_null(ocispec_capability_by_number(UINT32_MAX));
}
END_TEST

START_TEST(lists_are_normalized_and_without_repeats)
{
	struct ocispec *s = parsed("{\"process\":{\"capabilities\":{\"ambient\":[\"CAP_KILL\"]}}}");
	const char *names[] = { "kill", "CAP_CHOWN", "CAP_KILL", NULL };

	ck_assert_int_eq(
		ocispec_set_capabilities(s, OCISPEC_CAP_BOUNDING | OCISPEC_CAP_PERMITTED, names),
		0);
	ck_prints(s, "{\"process\":{\"capabilities\":{\"bounding\":[\"CAP_KILL\",\"CAP_CHOWN\"],"
		     "\"permitted\":[\"CAP_KILL\",\"CAP_CHOWN\"],\"ambient\":[\"CAP_KILL\"]}}}");
}
END_TEST

START_TEST(an_unknown_name_changes_nothing)
{
	struct ocispec *s = parsed("{}");
	const char *names[] = { "KILL", "NOPE", NULL };

	ck_assert_int_eq(ocispec_set_capabilities(s, OCISPEC_CAP_BOUNDING, names),
			 OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_capabilities(s, 32, NULL), -EINVAL);
	ck_prints(s, "{}");
}
END_TEST

/* A runtime that finds no capabilities object may keep all of them. */
START_TEST(no_capabilities_are_an_empty_object)
{
	struct ocispec *s = NULL;
	char *text = NULL;

	ck_assert_int_eq(ocispec_new(&s), 0);
	ck_assert_int_eq(ocispec_set_capabilities(s, 31, NULL), 0);
	ck_assert_int_eq(ocispec_format(s, 0, &text, NULL), 0);
	ck_assert_ptr_nonnull(strstr(text, "\"capabilities\":{}"));
	free(text);
	ocispec_free(s);
}
END_TEST

RUN_TESTS("capability", names_are_found_in_any_spelling, numbers_are_the_kernels,
	  lists_are_normalized_and_without_repeats, an_unknown_name_changes_nothing,
	  no_capabilities_are_an_empty_object)
