/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

START_TEST(env_is_replaced_in_place_or_appended)
{
	struct ocispec *s = parsed("{\"process\":{\"env\":[\"A=1\",\"AB=2\",\"C\"]}}");

	ck_assert_int_eq(ocispec_set_env(s, "A", "x=y"), 0);
	ck_assert_int_eq(ocispec_set_env(s, "C", "3"), 0);
	ck_assert_int_eq(ocispec_set_env(s, "B", ""), 0);
	ck_assert_int_eq(ocispec_set_env(s, "AB", NULL), 0);
	ck_prints(s, "{\"process\":{\"env\":[\"A=x=y\",\"AB\",\"C=3\",\"B=\"]}}");
}
END_TEST

START_TEST(env_names_hold_no_equals_sign)
{
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_set_env(s, "A=B", "c"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_env(s, "", "c"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_env(s, "A", "\xff"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_env(s, NULL, "c"), -EINVAL);
	ck_prints(s, "{}");
}
END_TEST

START_TEST(env_values_may_hold_anything_printable_or_not)
{
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_set_env(s, "A", "x\ny\x01"), 0);
	ck_assert_int_eq(ocispec_clear_env(s), 0);
	ck_assert_int_eq(ocispec_set_env(s, "B", "1"), 0);
	ck_prints(s, "{\"process\":{\"env\":[\"B=1\"]}}");
}
END_TEST

START_TEST(user_and_groups_come_back)
{
	struct ocispec *s = parsed("{\"process\":{\"user\":{\"uid\":1,\"gid\":1,\"umask\":18,"
				   "\"additionalGids\":[9]}}}");
	uint32_t groups[] = { 0, 4294967295u, 7 }, seen[2] = { 0 }, uid, gid;

	ck_assert_int_eq(ocispec_set_user(s, 4294967295u, 5, groups, 3), 0);
	ck_assert_int_eq(ocispec_get_user(s, &uid, &gid), 0);
	ck_assert_uint_eq(uid, 4294967295u);
	ck_assert_uint_eq(gid, 5);
	ck_assert_uint_eq(ocispec_get_groups(s, seen, 2), 3);
	ck_assert_uint_eq(seen[1], 4294967295u);
	ck_assert_int_eq(ocispec_set_user(s, 0, 0, NULL, 0), 0);
	ck_assert_uint_eq(ocispec_get_groups(s, NULL, 0), 0);
	ck_prints(s, "{\"process\":{\"user\":{\"uid\":0,\"gid\":0,\"umask\":18}}}");
}
END_TEST

START_TEST(a_document_without_user_has_none)
{
	struct ocispec *s = parsed("{\"process\":{}}");
	uint32_t uid = 77;

	ck_assert_int_eq(ocispec_get_user(s, &uid, NULL), OCISPEC_E_NOT_FOUND);
	ck_assert_uint_eq(uid, 77);
	ocispec_free(s);
}
END_TEST

START_TEST(numbers_have_their_ranges)
{
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_set_umask(s, 01000), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_umask(s, 027), 0);
	ck_assert_int_eq(ocispec_set_oom_score_adj(s, 1001), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_oom_score_adj(s, -1001), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_oom_score_adj(s, -998), 0);
	ck_assert_int_eq(ocispec_set_cwd(s, "etc"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_no_new_privileges(s, 1), 0);
	ck_assert_int_eq(ocispec_set_no_new_privileges(s, 0), 0);
	ck_assert_int_eq(ocispec_set_selinux_label(s, "system_u:object_r:c_t:s0:c1,c2"), 0);
	ck_assert_int_eq(ocispec_set_selinux_label(s, "a\nb"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_apparmor_profile(s, "crio-default"), 0);
	ck_assert_int_eq(ocispec_set_apparmor_profile(s, NULL), 0);
	ck_prints(s, "{\"process\":{\"user\":{\"umask\":23},\"oomScoreAdj\":-998,"
		     "\"selinuxLabel\":\"system_u:object_r:c_t:s0:c1,c2\"}}");
}
END_TEST

START_TEST(rlimits_are_one_per_type)
{
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_set_rlimit(s, "RLIMIT_NOFILE", 1, 2), 0);
	ck_assert_int_eq(ocispec_set_rlimit(s, "RLIMIT_CORE", 0, UINT64_MAX), 0);
	ck_assert_int_eq(ocispec_set_rlimit(s, "RLIMIT_NOFILE", 3, 4), 0);
	ck_assert_int_eq(ocispec_set_rlimit(s, "RLIMIT_NOFILE", 5, 4), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_rlimit(s, "NOFILE", 1, 1), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_rlimit(s, "RLIMIT_X", 1, 1), OCISPEC_E_INVALID);
	ck_prints(s,
		  "{\"process\":{\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":4,\"soft\":3},"
		  "{\"type\":\"RLIMIT_CORE\",\"hard\":18446744073709551615,\"soft\":0}]}}");
	s = parsed("{\"process\":{\"rlimits\":[{}]}}");
	ck_assert_int_eq(ocispec_clear_rlimits(s), 0);
	ck_prints(s, "{\"process\":{}}");
}
END_TEST

START_TEST(too_many_groups_are_refused)
{
	struct ocispec *s = parsed("{}");
	uint32_t *groups = calloc(65537, sizeof(*groups));

	ck_assert_int_eq(ocispec_set_user(s, 0, 0, groups, 65537), OCISPEC_E_LIMIT);
	ck_assert_int_eq(ocispec_set_user(s, 0, 0, NULL, 1), -EINVAL);
	free(groups);
	ck_prints(s, "{}");
}
END_TEST

RUN_TESTS("process", env_is_replaced_in_place_or_appended, env_names_hold_no_equals_sign,
	  env_values_may_hold_anything_printable_or_not, user_and_groups_come_back,
	  a_document_without_user_has_none, numbers_have_their_ranges, rlimits_are_one_per_type,
	  too_many_groups_are_refused)
