/* SPDX-License-Identifier: Apache-2.0 */
/* The operations over a runner that starts nothing. */
#include "unit.h"

#define RESULT(ip) "{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"" ip "/24\"}]}"
#define LIST(name, version)                                                                        \
	"{\"name\":\"" name "\",\"cniVersion\":\"" version "\",\"plugins\":[{\"type\":\"one\","    \
	"\"capabilities\":{\"x\":true}},{\"type\":\"two\"},{\"type\":\"three\"}]}"

static const struct answer_given good[] = {
	{ .call = "ADD one", .out = RESULT("10.0.0.1") },
	{ .call = "ADD two", .out = RESULT("10.0.0.2") },
	{ .call = "ADD three", .out = RESULT("10.0.0.3") },
};

static struct cnic *c;
static struct cnic_error err;
static struct cnic_attachment a;

static void setup(void)
{
	static const char *const args[] = { "IgnoreUnknown", "1", NULL };

	scratch_setup();
	put("bin/one", "");
	put("bin/two", "");
	put("bin/three", "");
	put("conf/10-n.conflist", LIST("n", "1.0.0"));
	c = new_cnic(true, NULL);
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	fake_answers(good, ARRAY_SIZE(good));
	a = (struct cnic_attachment){
		.size = sizeof(a),
		.container_id = "c1",
		.netns = "/run/netns/x",
		.args = args,
		.capabilities = "{\"x\":[1],\"y\":2}",
		.timeout_ms = 5000,
	};
}

static void teardown(void)
{
	fake_forget();
	c = cnic_free(c);
	scratch_teardown();
}

static void attached(void)
{
	ck_assert_msg(cnic_attach(c, &a, NULL, &err) == 0, "%s", err.message);
	fake_forget();
}

START_TEST(add_runs_forwards_and_hands_the_result_on)
{
	struct cnic_result *result = NULL;

	ck_assert_int_eq(cnic_attach(c, &a, &result, &err), 0);
	ck_assert_str_eq(fake_log(), "ADD one;ADD two;ADD three;");
	ck_assert_str_eq(cnic_result_ip(result, 0), "10.0.0.3");
	ck_assert_ptr_null(strstr(fake.input[0], "prevResult"));
	ck_assert_ptr_nonnull(
		strstr(fake.input[1],
		       "\"prevResult\":{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":"
		       "\"10.0.0.1/24\"}]}"));
	ck_assert_ptr_nonnull(strstr(fake.input[2], "10.0.0.2/24"));
	ck_assert_ptr_nonnull(strstr(fake.input[0], "\"runtimeConfig\":{\"x\":[1]}"));
	ck_assert_ptr_null(strstr(fake.input[1], "runtimeConfig"));
	ck_assert_str_eq(fake_env(0, "CNI_IFNAME"), "eth0");
	ck_assert_str_eq(fake_env(0, "CNI_ARGS"), "IgnoreUnknown=1");
	ck_assert_int_le(fake.timeout_ms[0], 5000);
	ck_assert_int_ge(fake.timeout_ms[0], 1000);
	ck_assert(exists("cache/n-c1-eth0"));
	cnic_result_free(result);
}
END_TEST

START_TEST(del_runs_backwards_with_the_cached_result)
{
	attached();
	ck_assert_int_eq(cnic_detach(c, &a, &err), 0);
	ck_assert_str_eq(fake_log(), "DEL three;DEL two;DEL one;");
	for (size_t i = 0; i < 3; i++)
		ck_assert_ptr_nonnull(strstr(fake.input[i], "10.0.0.3/24"));
	ck_assert(!exists("cache/n-c1-eth0"));
	fake_forget();
	ck_assert_int_eq(cnic_detach(c, &a, &err),
			 0); /* again: by the configuration, without a result */
	ck_assert_str_eq(fake_log(), "DEL three;DEL two;DEL one;");
	ck_assert_ptr_null(strstr(fake.input[0], "prevResult"));
}
END_TEST

START_TEST(del_works_without_netns_arguments_or_configuration)
{
	attached();
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, at("conf/10-n.conflist")), 0);
	put("conf/10-other.conflist", LIST("other", "1.0.0"));
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	a.netns = NULL;
	a.args = NULL;
	a.capabilities = NULL;
	ck_assert_int_eq(cnic_detach(c, &a, &err), 0);
	ck_assert_str_eq(fake_log(), "DEL three;DEL two;DEL one;");
	ck_assert_str_eq(fake_env(0, "CNI_NETNS"), "");
	ck_assert_str_eq(fake_env(0, "CNI_ARGS"), "IgnoreUnknown=1");
	ck_assert_ptr_nonnull(strstr(fake.input[2], "\"name\":\"n\""));
	ck_assert_ptr_nonnull(strstr(fake.input[2], "\"runtimeConfig\":{\"x\":[1]}"));
	ck_assert(!exists("cache/n-c1-eth0"));
}
END_TEST

START_TEST(a_failing_del_keeps_the_record_and_stops)
{
	static const struct answer_given busy[] = {
		{ .call = "DEL two", .out = "{\"code\":11,\"msg\":\"later\"}", .status = 256 }
	};

	attached();
	fake_answers(busy, 1);
	ck_assert_int_eq(cnic_detach(c, &a, &err), CNIC_E_PLUGIN);
	ck_assert_uint_eq(err.plugin_code, 11);
	ck_assert_str_eq(fake_log(), "DEL three;DEL two;");
	ck_assert(exists("cache/n-c1-eth0"));
	ck_assert_int_eq(cnic_forget(c, &a, &err), 0);
	ck_assert(!exists("cache/n-c1-eth0"));
	ck_assert_int_eq(cnic_forget(c, &a, &err), 0);
}
END_TEST

START_TEST(a_failing_add_is_undone_with_the_last_good_result)
{
	static const struct answer_given broken[] = {
		{ .call = "ADD one", .out = RESULT("10.0.0.1") },
		{ .call = "ADD two", .out = "{\"code\":7,\"msg\":\"bad\"}", .status = 256 },
		{ .call = "DEL two", .out = "{\"code\":5,\"msg\":\"worse\"}", .status = 256 },
	};
	struct cnic_result *result = NULL;

	fake_answers(broken, ARRAY_SIZE(broken));
	ck_assert_int_eq(cnic_attach(c, &a, &result, &err), CNIC_E_PLUGIN);
	ck_assert_ptr_null(result);
	ck_assert_str_eq(fake_log(), "ADD one;ADD two;DEL two;DEL one;");
	ck_assert_ptr_nonnull(strstr(fake.input[2], "\"prevResult\""));
	ck_assert_ptr_nonnull(strstr(fake.input[3], "10.0.0.1/24"));
	ck_assert_uint_eq(err.plugin_code, 7);
	ck_assert_str_eq(err.message, "network \"n\": plugin type=\"two\" failed (add): bad (code "
				      "7); undo: network \"n\": "
				      "plugin type=\"two\" failed (delete): worse (code 5)");
	ck_assert(!exists("cache/n-c1-eth0"));
}
END_TEST

START_TEST(a_cache_that_cannot_be_written_undoes_everything)
{
	put("cache", "not a directory");
	ck_assert_int_eq(cnic_attach(c, &a, NULL, &err), -ENOTDIR);
	ck_assert_str_eq(fake_log(), "ADD one;ADD two;ADD three;DEL three;DEL two;DEL one;");
	ck_assert_ptr_nonnull(strstr(err.message, "/cache: Not a directory"));
}
END_TEST

START_TEST(release_goes_on_after_a_failure_and_keeps_the_record)
{
	static const struct answer_given bad[] = {
		{ .call = "DEL three", .out = "{\"code\":5,\"msg\":\"io\"}", .status = 1 << 8 },
		{ .call = "DEL one", .out = "{\"code\":6,\"msg\":\"no\"}", .status = 1 << 8 },
	};

	attached();
	unlink(at("bin/two"));
	fake_answers(bad, ARRAY_SIZE(bad));
	ck_assert_int_eq(cnic_detach(c, &a, &err), CNIC_E_PLUGIN);
	ck_assert_str_eq(fake_log(), "DEL three;");
	fake_forget();
	ck_assert_int_eq(cnic_release(c, &a, &err), CNIC_E_PLUGIN);
	ck_assert_str_eq(fake_log(), "DEL three;DEL one;");
	ck_assert_uint_eq(err.plugin_code, 5);
	ck_assert(str_starts(err.message, "network \"n\": plugin type=\"three\" failed (delete): io (code 5); "
					  "network \"n\": plugin type=\"two\" failed (delete): failed to find plugin"));
	ck_assert(exists("cache/n-c1-eth0"));
	put("bin/two", "");
	fake_answers(good, ARRAY_SIZE(good));
	ck_assert_int_eq(cnic_release(c, &a, &err), 0);
	ck_assert(!exists("cache/n-c1-eth0"));
}
END_TEST

START_TEST(undo_has_time_of_its_own_after_a_timeout)
{
	static const struct answer_given slow[] = { { .call = "ADD one",
						      .result = CNIC_E_TIMEOUT } };

	fake_answers(slow, 1);
	ck_assert_int_eq(cnic_attach(c, &a, NULL, &err), CNIC_E_TIMEOUT);
	ck_assert_str_eq(fake_log(), "ADD one;DEL one;");
	ck_assert_int_gt(fake.timeout_ms[1], 4000); /* the ADD had 5 s */
	ck_assert_ptr_nonnull(strstr(err.message, "timed out"));
	fake_forget();
	a.timeout_ms = 0;
	ck_assert_int_eq(cnic_attach(c, &a, NULL, &err), CNIC_E_TIMEOUT);
}
END_TEST

START_TEST(check_takes_the_cached_result_for_every_plugin)
{
	ck_assert_int_eq(cnic_check(c, &a, &err), CNIC_E_NOT_CACHED);
	attached();
	ck_assert_int_eq(cnic_check(c, &a, &err), 0);
	ck_assert_str_eq(fake_log(), "CHECK one;CHECK two;CHECK three;");
	for (size_t i = 0; i < 3; i++)
		ck_assert_ptr_nonnull(strstr(fake.input[i], "10.0.0.3/24"));
}
END_TEST

START_TEST(check_is_for_versions_that_have_it)
{
	put("conf/10-n.conflist", LIST("n", "0.3.1"));
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	attached();
	ck_assert_int_eq(cnic_check(c, &a, &err), CNIC_E_UNSUPPORTED);
	ck_assert_str_eq(fake_log(), "");
	ck_assert_int_eq(cnic_detach(c, &a, &err), 0);
	ck_assert_ptr_null(strstr(fake.input[0], "prevResult")); /* DEL has it from 0.4.0 on */
	fake_forget();
	put("conf/10-n.conflist", "{\"name\":\"n\",\"cniVersion\":\"1.0.0\",\"disableCheck\":true,"
				  "\"plugins\":[{\"type\":\"one\"}]}");
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	attached();
	ck_assert_int_eq(cnic_check(c, &a, &err), 0);
	ck_assert_str_eq(fake_log(), "");
}
END_TEST

START_TEST(the_cached_result_is_read_without_plugins)
{
	struct cnic_result *result = NULL;

	ck_assert_int_eq(cnic_cached(c, &a, &result, &err), CNIC_E_NOT_CACHED);
	attached();
	ck_assert_int_eq(cnic_cached(c, &a, &result, &err), 0);
	ck_assert_str_eq(
		cnic_result_json(result),
		"{\"cniVersion\":\"1.1.0\",\"ips\":[{\"address\":\"10.0.0.3/24\"}]}");
	ck_assert_str_eq(fake_log(), "");
	cnic_result_free(result);
	a.network = "elsewhere";
	ck_assert_int_eq(cnic_cached(c, &a, &result, &err), CNIC_E_NOT_CACHED);
}
END_TEST

START_TEST(a_damaged_record_does_not_keep_del_from_running)
{
	attached();
	put("cache/n-c1-eth0", "{\"kind\":\"cniCacheV1\",\"con");
	ck_assert_int_eq(cnic_detach(c, &a, &err), 0);
	ck_assert_str_eq(fake_log(), "DEL three;DEL two;DEL one;");
	ck_assert_ptr_null(strstr(fake.input[0], "prevResult"));
	ck_assert(!exists("cache/n-c1-eth0"));
}
END_TEST

START_TEST(a_record_with_a_hostile_configuration_is_not_run)
{
	/* config names a program by path */
	ck_assert_int_eq(mkdir(at("cache"), 0700), 0);
	put("cache/n-c1-eth0",
	    "{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"ifName\":\"eth0\",\"networkName\":"
	    "\"n\",\"config\":"
	    "\"eyJuYW1lIjoibiIsInBsdWdpbnMiOlt7InR5cGUiOiIuLi8uLi8uLi9iaW4vc2gifV19\"}");
	ck_assert_int_eq(cnic_detach(c, &a, &err), 0);
	ck_assert_str_eq(fake_log(), "DEL three;DEL two;DEL one;");
}
END_TEST

START_TEST(a_plugin_that_vanished_fails_del)
{
	attached();
	unlink(at("bin/two"));
	ck_assert_int_eq(cnic_detach(c, &a, &err), CNIC_E_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "failed to find plugin \"two\" in path ["));
	ck_assert(exists("cache/n-c1-eth0"));
}
END_TEST

START_TEST(status_asks_plugins_from_1_1_0_on)
{
	static const struct answer_given later[] = {
		{ .call = "STATUS two", .out = "{\"code\":50,\"msg\":\"not yet\"}", .status = 256 }
	};

	ck_assert_int_eq(cnic_status(c, 1000, &err), 0);
	ck_assert_str_eq(fake_log(), "");
	put("conf/10-n.conflist", LIST("n", "1.1.0"));
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	ck_assert_int_eq(cnic_status(c, 1000, &err), 0);
	ck_assert_str_eq(fake_log(), "STATUS one;STATUS two;STATUS three;");
	ck_assert_str_eq(fake_env(0, "CNI_CONTAINERID"), "");
	fake_answers(later, 1);
	ck_assert_int_eq(cnic_status(c, 1000, &err), CNIC_E_PLUGIN);
	ck_assert_uint_eq(err.plugin_code, 50);
	put("conf/10-n.conflist", LIST("n", "1.0.0"));
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	unlink(at("bin/two"));
	ck_assert_int_eq(cnic_status(c, 1000, &err), CNIC_E_INVALID);
}
END_TEST

START_TEST(reload_asks_each_plugin_once)
{
	ck_assert_uint_eq(fake.probes, 3);
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	ck_assert_uint_eq(fake.probes, 3);
	put("bin/two", "new");
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	ck_assert_uint_eq(fake.probes, 4);
}
END_TEST

START_TEST(hostile_arguments_are_refused_before_anything_runs)
{
	static const char *const bad_args[][5] = {
		{ "K8S_POD_NAME", "x;IgnoreUnknown=1", NULL },
		{ "A=B", "c", NULL },
		{ "A", "b=c", NULL },
		{ "A", "b\nc", NULL },
		{ "", "b", NULL },
		{ "A", "\xff", NULL },
		{ "A", NULL },
	};
	static const char *const bad_caps[] = { "[]", "{", "{\"a\":1,\"a\":2}", "null", "" };
	static const char *const bad_names[] = { "", "../x", "a/b", "a b", "-a", "a\n" };
	struct cnic_attachment good_one = a;

	for (size_t i = 0; i < ARRAY_SIZE(bad_args); i++) {
		a.args = bad_args[i];
		ck_assert_msg(cnic_attach(c, &a, NULL, &err) == CNIC_E_INVALID, "args %zu", i);
	}
	a = good_one;
	for (size_t i = 0; i < ARRAY_SIZE(bad_caps); i++) {
		a.capabilities = bad_caps[i];
		ck_assert_msg(cnic_attach(c, &a, NULL, &err) == CNIC_E_INVALID, "caps %zu", i);
	}
	a = good_one;
	for (size_t i = 0; i < ARRAY_SIZE(bad_names); i++) {
		a.container_id = bad_names[i];
		ck_assert_msg(cnic_attach(c, &a, NULL, &err) == CNIC_E_INVALID, "id %zu", i);
		ck_assert_int_eq(cnic_detach(c, &a, &err), CNIC_E_INVALID);
		ck_assert_int_eq(cnic_forget(c, &a, &err), CNIC_E_INVALID);
	}
	a = good_one;
	a.network = "../x";
	ck_assert_int_eq(cnic_attach(c, &a, NULL, &err), CNIC_E_INVALID);
	a = good_one;
	a.ifname = "a/b";
	ck_assert_int_eq(cnic_attach(c, &a, NULL, &err), CNIC_E_INVALID);
	a = good_one;
	a.netns = "relative";
	ck_assert_int_eq(cnic_attach(c, &a, NULL, &err), CNIC_E_INVALID);
	a.netns = "";
	ck_assert_int_eq(cnic_attach(c, &a, NULL, &err), CNIC_E_INVALID);
	a.size = 8;
	ck_assert_int_eq(cnic_attach(c, &a, NULL, &err), -EINVAL);
	ck_assert_str_eq(fake_log(), "");
	ck_assert(!exists("cache"));
}
END_TEST

START_TEST(networks_are_chosen_by_name)
{
	put("conf/20-m.conflist", LIST("m", "0.4.0"));
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	a.network = "m";
	a.ifname = "net1";
	attached();
	ck_assert(exists("cache/m-c1-net1"));
	a.network = "none";
	ck_assert_int_eq(cnic_attach(c, &a, NULL, &err), CNIC_E_NO_NETWORK);
	ck_assert_int_eq(cnic_detach(c, &a, &err), CNIC_E_NO_NETWORK);
	a.network = NULL;
	ck_assert_int_eq(cnic_detach(c, &a, &err), 0); /* found by container and interface */
	ck_assert(!exists("cache/m-c1-net1"));
}
END_TEST

START_TEST(an_attachment_record_of_this_size_is_from_this_version)
{
	a.size = sizeof(a) + 64; /* a newer caller's */
	ck_assert_int_eq(cnic_attach(c, &a, NULL, &err), 0);
	ck_assert_int_eq(cnic_attach(NULL, &a, NULL, &err), -EINVAL);
	ck_assert_int_eq(cnic_attach(c, NULL, NULL, &err), -EINVAL);
	ck_assert_int_eq(cnic_cached(c, &a, NULL, &err), -EINVAL);
}
END_TEST

RUN_TESTS_WITH("attach", setup, teardown, add_runs_forwards_and_hands_the_result_on,
	       del_runs_backwards_with_the_cached_result,
	       del_works_without_netns_arguments_or_configuration,
	       a_failing_del_keeps_the_record_and_stops,
	       a_failing_add_is_undone_with_the_last_good_result,
	       a_cache_that_cannot_be_written_undoes_everything,
	       release_goes_on_after_a_failure_and_keeps_the_record,
	       undo_has_time_of_its_own_after_a_timeout,
	       check_takes_the_cached_result_for_every_plugin, check_is_for_versions_that_have_it,
	       the_cached_result_is_read_without_plugins,
	       a_damaged_record_does_not_keep_del_from_running,
	       a_record_with_a_hostile_configuration_is_not_run, a_plugin_that_vanished_fails_del,
	       status_asks_plugins_from_1_1_0_on, reload_asks_each_plugin_once,
	       hostile_arguments_are_refused_before_anything_runs, networks_are_chosen_by_name,
	       an_attachment_record_of_this_size_is_from_this_version)
