/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

static struct cnic *c;
static struct cnic_error err;

static void setup(void)
{
	scratch_setup();
	put("bin/one", "");
	put("bin/two", "");
	put("conf/10.conflist", "{\"name\":\"new\",\"cniVersion\":\"1.1.0\",\"plugins\":[{\"type\":\"one\","
				"\"capabilities\":{\"mac\":true,\"no\":false}},{\"type\":\"two\","
				"\"capabilities\":{\"mac\":true,\"ips\":true}}]}");
	put("conf/20.conf", "{\"name\":\"old\",\"cniVersion\":\"0.4.0\",\"type\":\"two\"}");
	c = new_cnic(true, NULL);
	ck_assert_msg(cnic_reload(c, &err) == 0, "%s", err.message);
}

static void teardown(void)
{
	fake_forget();
	c = cnic_free(c);
	scratch_teardown();
}

START_TEST(every_plugin_is_asked_up_to_the_first_that_fails)
{
	static const struct answer_given bad[] = {
		{ .call = "STATUS one", .out = "{\"code\":51,\"msg\":\"no daemon\"}", .status = 1 << 8 },
	};

	ck_assert_int_eq(cnic_status(c, 1000, &err), 0);
	ck_assert_str_eq(fake_log(), "STATUS one;STATUS two;");
	ck_assert_str_eq(fake_env(0, "CNI_CONTAINERID"), "");
	ck_assert_ptr_null(strstr(fake.input[0], "prevResult"));
	fake_forget();
	fake_answers(bad, 1);
	ck_assert_int_eq(cnic_network_status(c, "new", 1000, &err), CNIC_E_PLUGIN);
	ck_assert_uint_eq(err.plugin_code, 51);
	ck_assert_str_eq(err.message,
			 "network \"new\": plugin type=\"one\" failed (status): no daemon (code 51)");
	ck_assert_str_eq(fake_log(), "STATUS one;");
}
END_TEST

START_TEST(before_1_1_the_plugins_only_have_to_be_there)
{
	ck_assert_int_eq(cnic_network_status(c, "old", 1000, &err), 0);
	ck_assert_str_eq(fake_log(), "");
	unlink(at("bin/two"));
	ck_assert_int_eq(cnic_network_status(c, "old", 1000, &err), CNIC_E_INVALID);
	ck_assert_int_eq(cnic_network_status(c, "none", 1000, &err), CNIC_E_NO_NETWORK);
	ck_assert_int_eq(cnic_network_status(NULL, NULL, 1000, &err), -EINVAL);
}
END_TEST

START_TEST(loaded_networks_are_described_and_stay_what_they_were)
{
	struct cnic_network **v = NULL;
	char *text;

	ck_assert_int_eq(cnic_networks(c, &v), 0);
	unlink(at("conf/10.conflist"));
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	ck_assert_str_eq(cnic_network_name(v[0]), "new");
	ck_assert_str_eq(cnic_network_version(v[0]), "1.1.0");
	ck_assert_str_eq(cnic_network_file(v[0]), "10.conflist");
	ck_assert_str_eq(cnic_network_plugin(v[0], 0), "one");
	ck_assert_str_eq(cnic_network_plugin(v[0], 1), "two");
	ck_assert_ptr_null(cnic_network_plugin(v[0], 2));
	ck_assert_str_eq(cnic_network_capability(v[0], 0), "mac");
	ck_assert_str_eq(cnic_network_capability(v[0], 1), "ips");
	ck_assert_ptr_null(cnic_network_capability(v[0], 2));
	ck_assert_int_eq(cnic_network_config(v[0], 2, &text), -EINVAL);
	ck_assert_int_eq(cnic_network_config(v[0], 1, &text), 0);
	ck_assert_ptr_nonnull(strstr(text, "\"type\":\"two\""));
	free(text);
	ck_assert_str_eq(cnic_network_name(v[1]), "old");
	ck_assert_ptr_null(cnic_network_capability(v[1], 0));
	ck_assert_ptr_null(v[2]);
	ck_assert_ptr_null(cnic_networks_free(v));
	ck_assert_int_eq(cnic_networks(c, &v), 0);
	ck_assert_str_eq(cnic_network_name(v[0]), "old");
	ck_assert_ptr_null(v[1]);
	cnic_networks_free(v);
	ck_assert_ptr_null(cnic_networks_free(NULL));
	ck_assert_ptr_null(cnic_network_name(NULL));
}
END_TEST

RUN_TESTS_WITH("status", setup, teardown, every_plugin_is_asked_up_to_the_first_that_fails,
	       before_1_1_the_plugins_only_have_to_be_there,
	       loaded_networks_are_described_and_stay_what_they_were)
