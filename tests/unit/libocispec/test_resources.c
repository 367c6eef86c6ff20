/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

START_TEST(device_rules_keep_their_order)
{
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_add_device_rule(s, 0, 'a', -1, -1, "rwm"), 0);
	ck_assert_int_eq(ocispec_add_device_rule(s, 1, 'c', 1, 3, "rw"), 0);
	ck_assert_int_eq(ocispec_add_device_rule(s, 1, 'b', 8, -1, "m"), 0);
	ck_prints(s, "{\"linux\":{\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},"
		     "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"rw\"},"
		     "{\"allow\":true,\"type\":\"b\",\"major\":8,\"access\":\"m\"}]}}}");
}
END_TEST

START_TEST(bad_device_rules_are_refused)
{
	struct ocispec *s = parsed("{\"linux\":{\"resources\":{\"devices\":[{}]}}}");

	ck_assert_int_eq(ocispec_add_device_rule(s, 1, 'p', 1, 3, "rw"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_add_device_rule(s, 1, 'c', -2, 3, "rw"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_add_device_rule(s, 1, 'c', 1, 3, ""), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_add_device_rule(s, 1, 'c', 1, 3, "rr"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_add_device_rule(s, 1, 'c', 1, 3, "x"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_clear_device_rules(s), 0);
	ck_prints(s, "{\"linux\":{\"resources\":{}}}");
}
END_TEST

START_TEST(zero_leaves_a_limit_out)
{
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_set_cpu(s, 512, -1, 100000, "0-1", "0"), 0);
	ck_assert_int_eq(ocispec_set_memory(s, 1 << 20, 2 << 20), 0);
	ck_assert_int_eq(ocispec_set_pids_limit(s, -1), 0);
	ck_prints(s, "{\"linux\":{\"resources\":{\"memory\":{\"limit\":1048576,\"swap\":2097152},"
		     "\"cpu\":{\"shares\":512,"
		     "\"quota\":-1,\"period\":100000,\"cpus\":\"0-1\",\"mems\":\"0\"},\"pids\":{"
		     "\"limit\":-1}}}}");
	s = parsed("{\"linux\":{\"resources\":{\"memory\":{\"limit\":1,\"swap\":2},\"cpu\":{"
		   "\"shares\":1,\"burst\":3}}}}");
	ck_assert_int_eq(ocispec_set_cpu(s, 0, 0, 0, NULL, ""), 0);
	ck_assert_int_eq(ocispec_set_memory(s, 0, 0), 0);
	ck_assert_int_eq(ocispec_set_memory(s, -2, 0), OCISPEC_E_INVALID);
	ck_prints(s, "{\"linux\":{\"resources\":{\"cpu\":{\"burst\":3}}}}");
}
END_TEST

START_TEST(resources_are_read_by_path)
{
	struct ocispec *s =
		parsed("{\"linux\":{\"resources\":{\"memory\":{\"limit\":-1},\"cpu\":{\"shares\":"
		       "18446744073709551615,\"cpus\":\"0\"}}}}");
	int64_t v = 5;

	ck_assert_int_eq(ocispec_get_resource(s, "memory.limit", &v), 0);
	ck_assert_int_eq(v, -1);
	ck_assert_int_eq(ocispec_get_resource(s, "cpu.shares", &v), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_get_resource(s, "cpu.cpus", &v), OCISPEC_E_NOT_FOUND);
	ck_assert_int_eq(ocispec_get_resource(s, "memory", &v), OCISPEC_E_NOT_FOUND);
	ck_assert_int_eq(ocispec_get_resource(s, "memory.limit.x", &v), OCISPEC_E_NOT_FOUND);
	ck_assert_int_eq(ocispec_get_resource(s, "", &v), OCISPEC_E_NOT_FOUND);
	ck_assert_int_eq(ocispec_get_resource(s, "....", &v), OCISPEC_E_NOT_FOUND);
	ck_assert_int_eq(v, -1);
	ocispec_free(s);
	s = parsed("{}");
	ck_assert_int_eq(ocispec_get_resource(s, "memory.limit", &v), OCISPEC_E_NOT_FOUND);
	ocispec_free(s);
}
END_TEST

START_TEST(hugepages_are_one_per_size)
{
	static const char *const bad[] = { "",	  "2",	  "MB",
					   "2mb", "02MB", "2MB ",
					   "2TB", "../x", "99999999999999999MB" };
	struct ocispec *s = parsed("{}");

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(ocispec_add_hugepage_limit(s, bad[i], 1) == OCISPEC_E_INVALID, "%s",
			      bad[i]);
	ck_assert_int_eq(ocispec_add_hugepage_limit(s, "2MB", 1), 0);
	ck_assert_int_eq(ocispec_add_hugepage_limit(s, "1GB", 2), 0);
	ck_assert_int_eq(ocispec_add_hugepage_limit(s, "2MB", 3), 0);
	ck_prints(
		s,
		"{\"linux\":{\"resources\":{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":3},"
		"{\"pageSize\":\"1GB\",\"limit\":2}]}}}");
}
END_TEST

START_TEST(unified_keys_stay_in_the_cgroup)
{
	static const char *const bad[] = { "", ".", "..", "../memory.max", "a/b", "a\nb" };
	struct ocispec *s = parsed("{}");

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(ocispec_set_unified(s, bad[i], "1") == OCISPEC_E_INVALID, "%s",
			      bad[i]);
	ck_assert_int_eq(ocispec_set_unified(s, "memory.high", "1\n"), 0);
	ck_prints(s, "{\"linux\":{\"resources\":{\"unified\":{\"memory.high\":\"1\\n\"}}}}");
}
END_TEST

RUN_TESTS("resources", device_rules_keep_their_order, bad_device_rules_are_refused,
	  zero_leaves_a_limit_out, resources_are_read_by_path, hugepages_are_one_per_size,
	  unified_keys_stay_in_the_cgroup)
