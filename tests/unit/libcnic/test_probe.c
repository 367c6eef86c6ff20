/* SPDX-License-Identifier: Apache-2.0 */
/* VERSION, asked of real programs: shell scripts that answer as given. */
#include "unit.h"

static struct cnic *c;

static void setup(void)
{
	scratch_setup();
	c = new_cnic(false, NULL);
}

static void teardown(void)
{
	c = cnic_free(c);
	scratch_teardown();
}

static void plugin(const char *name, const char *script)
{
	char *text = strf("#!/bin/sh\necho x >>\"$0.calls\"\n%s\n", script);
	char *path = strf("bin/%s", name);

	put(path, text);
	free(text);
	free(path);
}

static size_t calls(const char *name)
{
	char *path = strf("bin/%s.calls", name), *text = exists(path) ? get(path) : strdup("");
	size_t n = strlen(text) / 2;

	free(path);
	free(text);
	return n;
}

START_TEST(the_version_must_be_listed_exactly)
{
	struct cnic_error err = { 0 };

	plugin("p", "echo '{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"0.3.1\",\"1.0.0\"]}'");
	ck_assert_int_eq(probe_supports(c, "p", "1.0.0", &err), 0);
	ck_assert_int_eq(probe_supports(c, "p", "0.3.1", &err), 0);
	ck_assert_int_eq(probe_supports(c, "p", "0.4.0", &err), CNIC_E_INVALID);
	ck_assert_str_eq(err.message, "plugin p does not support config version \"0.4.0\"");
	ck_assert_int_eq(probe_supports(c, "p", "1.0", &err), CNIC_E_INVALID);
	ck_assert_uint_eq(calls("p"), 1); /* remembered */
}
END_TEST

START_TEST(a_replaced_program_is_asked_again)
{
	struct cnic_error err = { 0 };

	plugin("p", "echo '{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"1.0.0\"]}'");
	ck_assert_int_eq(probe_supports(c, "p", "1.1.0", &err), CNIC_E_INVALID);
	plugin("p", "echo '{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"1.0.0\",\"1.1.0\"]}'");
	ck_assert_int_eq(probe_supports(c, "p", "1.1.0", &err), 0);
	ck_assert_uint_eq(calls("p"), 2);
}
END_TEST

START_TEST(plugins_from_before_version_speak_0_1_0)
{
	struct cnic_error err = { 0 };

	plugin("p", "echo '{\"code\":100,\"msg\":\"unknown CNI_COMMAND: VERSION\"}'; exit 1");
	ck_assert_int_eq(probe_supports(c, "p", "0.1.0", &err), 0);
	ck_assert_int_eq(probe_supports(c, "p", "1.0.0", &err), CNIC_E_INVALID);
}
END_TEST

START_TEST(other_failures_are_errors_and_not_remembered)
{
	struct cnic_error err = { 0 };

	plugin("p", "echo oops >&2; exit 1");
	ck_assert_int_eq(probe_supports(c, "p", "1.0.0", &err), CNIC_E_PLUGIN);
	ck_assert_str_eq(err.message, "plugin p: ask for its versions: netplugin failed: \"oops\\n\" (exit "
				      "status 1)");
	ck_assert_int_eq(probe_supports(c, "p", "1.0.0", &err), CNIC_E_PLUGIN);
	ck_assert_uint_eq(calls("p"), 2);
	plugin("p", "echo '['");
	ck_assert_int_eq(probe_supports(c, "p", "1.0.0", &err), CNIC_E_INVALID);
	ck_assert_int_eq(probe_supports(c, "nowhere", "1.0.0", &err), CNIC_E_INVALID);
}
END_TEST

START_TEST(every_plugin_is_remembered_by_itself)
{
	char name[32];

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		plugin(name, "echo '{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"1.0.0\"]}'");
		ck_assert_int_eq(probe_supports(c, name, "1.0.0", NULL), 0);
	}
	ck_assert_int_eq(probe_supports(c, "p0", "1.0.0", NULL), 0);
	ck_assert_uint_eq(calls("p0"), 1);
}
END_TEST

RUN_TESTS_WITH("probe", setup, teardown, the_version_must_be_listed_exactly,
	       a_replaced_program_is_asked_again, plugins_from_before_version_speak_0_1_0,
	       other_failures_are_errors_and_not_remembered, every_plugin_is_remembered_by_itself)
