/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

static const char *chosen(const char *features)
{
	static char version[OCISPEC_VERSION_LEN];
	struct ocispec *s = NULL;
	int r;

	ck_assert_int_eq(ocispec_parse_as(OCISPEC_FEATURES, features, strlen(features), &s, NULL), 0);
	r = ocispec_runtime_version(s, version);
	ocispec_free(s);
	return r ? "none" : version;
}

START_TEST(the_runtime_says_what_it_takes)
{
	char version[OCISPEC_VERSION_LEN];

	ck_assert_str_eq(chosen("{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"1.0.2-dev\"}"), "1.0.2");
	ck_assert_str_eq(chosen("{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"1.2.1+dev\"}"), "1.2.1");
	ck_assert_str_eq(chosen("{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"1.3.0\"}"), "1.3.0");
	ck_assert_str_eq(chosen("{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"1.9.3\"}"), "1.3.0");
	ck_assert_str_eq(chosen("{}"), OCISPEC_VERSION_DEFAULT);
	ck_assert_str_eq(chosen("{\"ociVersionMax\":\"2.0.0\"}"), "1.3.0");
	ck_assert_str_eq(chosen("{\"ociVersionMin\":\"2.0.0\",\"ociVersionMax\":\"2.0.0\"}"), "none");
	ck_assert_str_eq(chosen("{\"ociVersionMax\":\"0.9.0\"}"), "none");
	ck_assert_str_eq(chosen("{\"ociVersionMax\":\"newest\"}"), "none");
	ck_assert_int_eq(ocispec_runtime_version(NULL, version), 0);
	ck_assert_str_eq(version, "1.0.2");
}
END_TEST

START_TEST(a_document_needs_what_its_newest_member_needs)
{
	static const char *const needs[][2] = {
		{ "{}", "1.0.0" },
		{ "{\"process\":{\"user\":{\"umask\":18}}}", "1.0.2" },
		{ "{\"linux\":{\"resources\":{\"unified\":{}}},\"process\":{\"user\":{\"umask\":18}}}", "1.1.0" },
		{ "{\"process\":{\"execCPUAffinity\":{}},\"domainname\":\"d\"}", "1.2.1" },
		{ "{\"linux\":{\"netDevices\":{\"eth0\":{}}},\"process\":{\"execCPUAffinity\":{}}}", "1.3.0" },
	};
	char version[OCISPEC_VERSION_LEN];

	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		struct ocispec *s = parsed(needs[i][0]);

		ck_assert_int_eq(ocispec_needed_version(s, version), 0);
		ck_assert_str_eq(version, needs[i][1]);
		ocispec_free(s);
	}
}
END_TEST

START_TEST(versions_are_three_numbers)
{
	static const char *const bad[] = { "", "1", "1.0", "1.0.", "01.0.0", "1.0.0.0", "1.0.0-", "v1.0.0", "1.0.99999", "1.0.0 ", "1..0" };
	struct release r;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(release_read(bad[i], &r) == OCISPEC_E_INVALID, "%s", bad[i]);
	ck_assert_int_eq(release_read("1.0.2-rc.1+x", &r), 0);
	ck_assert_uint_eq(r.patch, 2);
}
END_TEST

RUN_TESTS("version", the_runtime_says_what_it_takes, a_document_needs_what_its_newest_member_needs,
	  versions_are_three_numbers)
