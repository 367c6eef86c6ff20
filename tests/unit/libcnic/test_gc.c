/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#define RESULT "{\"cniVersion\":\"1.1.0\",\"ips\":[{\"address\":\"10.0.0.1/24\"}]}"
#define LIST(name, more)                                                                           \
	"{\"name\":\"" name "\"," more "\"plugins\":[{\"type\":\"one\"},{\"type\":\"two\"}]}"

static const struct answer_given good[] = { { .call = "ADD one", .out = RESULT },
					    { .call = "ADD two", .out = RESULT } };
static struct cnic *c;
static struct cnic_error err;

static void setup(void)
{
	scratch_setup();
	put("bin/one", "");
	put("bin/two", "");
	put("conf/10.conflist", LIST("n", "\"cniVersion\":\"1.1.0\","));
	put("conf/20.conflist", LIST("old", "\"cniVersion\":\"1.0.0\","));
	put("conf/30.conflist", LIST("off", "\"cniVersion\":\"1.1.0\",\"disableGC\":\"True\","));
	c = new_cnic(true, NULL);
	ck_assert_msg(cnic_reload(c, &err) == 0, "%s", err.message);
	fake_answers(good, ARRAY_SIZE(good));
}

static void teardown(void)
{
	fake_forget();
	c = cnic_free(c);
	scratch_teardown();
}

static void attach(const char *network, const char *id, const char *ifname, const char *netns)
{
	struct cnic_attachment a = {
		.size = sizeof(a),
		.network = network,
		.container_id = id,
		.netns = netns,
		.ifname = ifname,
		.timeout_ms = -1,
	};

	ck_assert_msg(cnic_attach(c, &a, NULL, &err) == 0, "%s", err.message);
	fake_forget();
}

START_TEST(what_is_not_valid_gets_del_and_the_plugins_are_told_the_rest)
{
	static const char *const valid[] = { "keep", "eth0", "keep", "net1", NULL };

	attach("n", "keep", "eth0", "/n");
	attach("n", "gone", "eth0", "/n");
	attach("n", "keep", "eth1", "/n"); /* another interface is another attachment */
	attach("old", "gone", "eth0", "/n");
	ck_assert_msg(cnic_gc(c, "n", valid, -1, &err) == 0, "%s", err.message);
	ck_assert_str_eq(fake_log(), "DEL two;DEL one;DEL two;DEL one;GC one;GC two;");
	ck_assert_str_eq(fake_env(0, "CNI_CONTAINERID"), "gone");
	ck_assert_str_eq(fake_env(0, "CNI_NETNS"), ""); /* no such path */
	ck_assert_str_eq(fake_env(2, "CNI_CONTAINERID"), "keep");
	ck_assert_str_eq(fake_env(2, "CNI_IFNAME"), "eth1");
	ck_assert_ptr_nonnull(strstr(fake.input[0], "\"prevResult\":"));
	ck_assert_str_eq(fake.input[4],
			 "{\"cni.dev/attachments\":[{\"containerID\":\"keep\",\"ifname\":\"eth0\"},"
			 "{\"containerID\":\"keep\",\"ifname\":\"net1\"}],\"cni.dev/valid-attachments\":"
			 "[{\"containerID\":\"keep\",\"ifname\":\"eth0\"},{\"containerID\":\"keep\","
			 "\"ifname\":\"net1\"}],\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"type\":\"one\"}");
	ck_assert_str_eq(fake_env(4, "CNI_CONTAINERID"), "");
	ck_assert_str_eq(fake_env(4, "CNI_NETNS"), "");
	ck_assert_str_eq(fake_env(4, "CNI_IFNAME"), "");
	ck_assert(exists("cache/n-keep-eth0"));
	ck_assert(!exists("cache/n-gone-eth0"));
	ck_assert(!exists("cache/n-keep-eth1"));
	ck_assert(exists("cache/old-gone-eth0"));
}
END_TEST

START_TEST(nothing_is_valid_when_nothing_is_named)
{
	attach("n", "a", "eth0", "/n");
	ck_assert_int_eq(cnic_gc(c, NULL, NULL, -1, &err), 0);
	ck_assert_str_eq(fake_log(), "DEL two;DEL one;GC one;GC two;");
	ck_assert_ptr_nonnull(strstr(fake.input[2], "\"cni.dev/valid-attachments\":[]"));
}
END_TEST

START_TEST(older_versions_are_cleaned_without_the_verb)
{
	attach("old", "gone", "eth0", "/n");
	ck_assert_int_eq(cnic_gc(c, "old", NULL, -1, &err), 0);
	ck_assert_str_eq(fake_log(), "DEL two;DEL one;");
}
END_TEST

START_TEST(a_list_may_forbid_it)
{
	attach("off", "gone", "eth0", "/n");
	ck_assert_int_eq(cnic_gc(c, "off", NULL, -1, &err), 0);
	ck_assert_str_eq(fake_log(), "");
	ck_assert(exists("cache/off-gone-eth0"));
}
END_TEST

START_TEST(a_namespace_is_named_only_while_it_is_there_and_no_process)
{
	attach("n", "here", "eth0", at("conf"));
	attach("n", "proc", "eth0", "/proc/self/ns/net");
	ck_assert_int_eq(cnic_gc(c, "n", NULL, -1, &err), 0);
	ck_assert_str_eq(fake_env(0, "CNI_CONTAINERID"), "here");
	ck_assert_str_eq(fake_env(0, "CNI_NETNS"), at("conf"));
	ck_assert_str_eq(fake_env(2, "CNI_CONTAINERID"), "proc");
	ck_assert_str_eq(fake_env(2, "CNI_NETNS"), "");
}
END_TEST

START_TEST(every_failure_is_told_and_ends_nothing)
{
	static const struct answer_given bad[] = {
		{ .call = "DEL two", .out = "{\"code\":5,\"msg\":\"io\"}", .status = 1 << 8 },
		{ .call = "GC one", .out = "{\"code\":6,\"msg\":\"no\"}", .status = 1 << 8 },
	};

	attach("n", "a", "eth0", "/n");
	fake_answers(bad, ARRAY_SIZE(bad));
	ck_assert_int_eq(cnic_gc(c, "n", NULL, -1, &err), CNIC_E_PLUGIN);
	ck_assert_str_eq(err.message,
			 "failed to delete stale attachment a eth0: network \"n\": plugin type=\"two\" "
			 "failed (delete): io (code 5); network \"n\": plugin type=\"one\" failed (gc): no "
			 "(code 6)");
	ck_assert_uint_eq(err.plugin_code, 5);
	ck_assert_str_eq(fake_log(), "DEL two;GC one;GC two;");
	ck_assert(exists("cache/n-a-eth0"));
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
	static const char *const odd[] = { "a", NULL }, *const bad[] = { "a", "e/0", NULL };

	ck_assert_int_eq(cnic_gc(NULL, NULL, NULL, -1, &err), -EINVAL);
	ck_assert_int_eq(cnic_gc(c, NULL, odd, -1, &err), CNIC_E_INVALID);
	ck_assert_int_eq(cnic_gc(c, NULL, bad, -1, &err), CNIC_E_INVALID);
	ck_assert_int_eq(cnic_gc(c, "none", NULL, -1, &err), CNIC_E_NO_NETWORK);
	ck_assert_str_eq(fake_log(), "");
}
END_TEST

struct seen {
	struct str text;
	int stop;
};

static int see(void *user, const struct cnic_attachment *a, const struct cnic_result *result)
{
	struct seen *s = user;

	str_appendf(&s->text, "%s %s %s %s %s %s;", a->network, a->container_id, a->ifname,
		    a->netns ? a->netns : "-", a->capabilities ? a->capabilities : "-",
		    result ? cnic_result_ip(result, 0) : "damaged");
	return s->stop;
}

START_TEST(cached_attachments_are_shown_by_name)
{
	struct seen s = { .text = STR_INIT };

	attach("old", "b", "eth0", "/n");
	attach("n", "b", "eth0", "/n");
	attach("n", "a", "eth1", "/n");
	put("cache/n-x-eth0", "{\"kind\":\"cniCacheV1\",\"containerId\":\"x\",\"config\":\"e30=\",\"ifName\":"
			      "\"eth0\",\"networkName\":\"n\",\"capabilityArgs\":{\"y\":1},\"result\":7}");
	put("cache/n-y-eth0", "torn");
	ck_assert_int_eq(cnic_cached_each(c, NULL, see, &s, &err), 0);
	ck_assert_str_eq(s.text.data, "n a eth1 /n - 10.0.0.1;n b eth0 /n - 10.0.0.1;"
				      "n x eth0 - {\"y\":1} damaged;old b eth0 /n - 10.0.0.1;");
	str_reset(&s.text);
	ck_assert_int_eq(cnic_cached_each(c, "b", see, &s, &err), 0);
	ck_assert_str_eq(s.text.data, "n b eth0 /n - 10.0.0.1;old b eth0 /n - 10.0.0.1;");
	str_reset(&s.text);
	s.stop = 42;
	ck_assert_int_eq(cnic_cached_each(c, NULL, see, &s, &err), 42);
	ck_assert_str_eq(s.text.data, "n a eth1 /n - 10.0.0.1;");
	str_done(&s.text);
}
END_TEST

RUN_TESTS_WITH("gc", setup, teardown, what_is_not_valid_gets_del_and_the_plugins_are_told_the_rest,
	       nothing_is_valid_when_nothing_is_named, older_versions_are_cleaned_without_the_verb,
	       a_list_may_forbid_it, a_namespace_is_named_only_while_it_is_there_and_no_process,
	       every_failure_is_told_and_ends_nothing, wrong_arguments_are_refused,
	       cached_attachments_are_shown_by_name)
