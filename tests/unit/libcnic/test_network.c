/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

static struct cnic_network *list(const char *text)
{
	struct cnic_error err = { 0 };
	struct cnic_network *n = NULL;

	ck_assert_msg(network_parse_list(text, strlen(text), -1, &n, &err) == 0, "%s", err.message);
	return n;
}

START_TEST(a_list_has_name_version_and_plugins)
{
	static const char text[] =
		" {\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"disableCheck\":\"TRUE\",\"plugins\":"
		"[{\"type\":\"a\",\"x\":1},{\"type\":\"b\"}]}\n";
	struct cnic_network *n = list(text);

	ck_assert_str_eq(n->name, "n");
	ck_assert_str_eq(n->version, "0.4.0");
	ck_assert(n->disable_check);
	ck_assert_uint_eq(n->n_plugins, 2);
	ck_assert_str_eq(n->plugins[1].type, "b");
	ck_assert_str_eq(n->bytes, text); /* what the cache keeps */
	network_unref(n);
}
END_TEST

START_TEST(the_highest_known_version_is_chosen)
{
	static const char *const cases[][2] = {
		{ "\"cniVersion\":\"0.4.0\"", "0.4.0" },
		{ "\"x\":0", "0.1.0" },
		{ "\"cniVersion\":\"\"", "0.1.0" },
		{ "\"cniVersions\":[\"0.3.1\",\"1.0.0\",\"0.4.0\"]", "1.0.0" },
		{ "\"cniVersions\":[\"0.3.1\",\"9.0.0\"],\"cniVersion\":\"0.4.0\"", "0.4.0" },
		{ "\"cniVersions\":[\"1.1.0\"],\"cniVersion\":\"2.0.0\"", "1.1.0" },
		{ "\"cniVersions\":[],\"cniVersion\":\"2.0.0\"", "2.0.0" },
		{ "\"cniVersion\":\"2.0.0\"", "2.0.0" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text =
			strf("{\"name\":\"n\",%s,\"plugins\":[{\"type\":\"a\"}]}", cases[i][0]);
		struct cnic_network *n = list(text);

		ck_assert_str_eq(n->version, cases[i][1]);
		network_unref(n);
		free(text);
	}
}
END_TEST

START_TEST(hostile_lists_are_refused)
{
	static const char *const bad[] = {
		"",
		"[]",
		"x",
		"{\"name\":\"n\",\"x\":\"\xc0\x96\",\"plugins\":[{\"type\":\"a\"}]}",
		"{}",
		"{\"name\":\"n\"}",
		"{\"name\":\"n\",\"plugins\":[]}",
		"{\"name\":\"n\",\"plugins\":{}}",
		"{\"plugins\":[{\"type\":\"a\"}]}",
		"{\"name\":1,\"plugins\":[{\"type\":\"a\"}]}",
		"{\"name\":\"../x\",\"plugins\":[{\"type\":\"a\"}]}",
		"{\"name\":\"a\\u0000\",\"plugins\":[{\"type\":\"a\"}]}",
		"{\"name\":\"\",\"plugins\":[{\"type\":\"a\"}]}",
		"{\"name\":\"n\",\"plugins\":[1]}",
		"{\"name\":\"n\",\"plugins\":[{}]}",
		"{\"name\":\"n\",\"plugins\":[{\"type\":\"\"}]}",
		"{\"name\":\"n\",\"plugins\":[{\"type\":\"../../bin/sh\"}]}",
		"{\"name\":\"n\",\"plugins\":[{\"type\":\"/bin/sh\"}]}",
		"{\"name\":\"n\",\"plugins\":[{\"type\":\"..\"}]}",
		"{\"name\":\"n\",\"plugins\":[{\"type\":\"a\\u0000b\"}]}",
		"{\"name\":\"n\",\"cniVersion\":1,\"plugins\":[{\"type\":\"a\"}]}",
		"{\"name\":\"n\",\"cniVersion\":\"x\",\"plugins\":[{\"type\":\"a\"}]}",
		"{\"name\":\"n\",\"cniVersions\":\"1.0.0\",\"plugins\":[{\"type\":\"a\"}]}",
		"{\"name\":\"n\",\"cniVersions\":[1],\"plugins\":[{\"type\":\"a\"}]}",
		"{\"name\":\"n\",\"disableCheck\":1,\"plugins\":[{\"type\":\"a\"}]}",
		"{\"name\":\"n\",\"disableCheck\":\"maybe\",\"plugins\":[{\"type\":\"a\"}]}",
		"{\"name\":\"n\",\"loadOnlyInlinedPlugins\":true}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cnic_error err = { 0 };
		struct cnic_network *n = NULL;

		ck_assert_msg(network_parse_list(bad[i], strlen(bad[i]), -1, &n, &err) ==
				      CNIC_E_INVALID,
			      "%s", bad[i]);
		ck_assert_msg(err.message[0], "%s", bad[i]);
		ck_assert_ptr_null(n);
	}
}
END_TEST

START_TEST(too_many_plugins_are_refused)
{
	struct cnic_network *n = NULL;
	struct str s = STR_INIT;

	str_append(&s, "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}");
	for (int i = 0; i < PLUGINS_MAX; i++)
		str_append(&s, ",{\"type\":\"a\"}");
	str_append(&s, "]}");
	ck_assert_int_eq(network_parse_list(s.data, s.len, -1, &n, NULL), CNIC_E_INVALID);
	str_done(&s);
}
END_TEST

START_TEST(a_single_configuration_is_wrapped_as_libcni_does)
{
	static const char text[] = "{\"type\":\"loopback\",\"name\":\"lo\",\"cniVersion\":\"0.3."
				   "1\",\"z\":1,\"a\":\"<\"}";
	struct cnic_error err = { 0 };
	struct cnic_network *n = NULL;

	ck_assert_int_eq(network_parse_single(text, strlen(text), &n, &err), 0);
	ck_assert_str_eq(n->bytes, "{\"cniVersion\":\"0.3.1\",\"name\":\"lo\",\"plugins\":[{\"a\":"
				   "\"\\u003c\",\"cniVersion\":"
				   "\"0.3.1\",\"name\":\"lo\",\"type\":\"loopback\",\"z\":1}]}");
	ck_assert_str_eq(n->version, "0.3.1");
	network_unref(n);
	n = NULL;
	ck_assert_int_eq(network_parse_single("{\"name\":\"x\",\"plugins\":[]}", 25, &n, &err),
			 CNIC_E_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "missing 'type'"));
}
END_TEST

START_TEST(plugins_of_the_folder_follow_the_inlined_ones)
{
	static const char text[] =
		"{\"name\":\"n\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"one\"}]}";
	struct cnic_error err = { 0 };
	struct cnic_network *n = NULL, *again = NULL;
	int fd;

	ck_assert_int_eq(mkdir(at("conf/n"), 0700), 0);
	put("conf/n/20.conf", "{\"type\":\"three\"}");
	put("conf/n/10.conf", "{\"type\":\"two\",\"x\":1}");
	put("conf/n/05.json", "{\"type\":\"no\"}");
	fd = open(at("conf"), O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(network_parse_list(text, strlen(text), fd, &n, &err), 0);
	ck_assert_uint_eq(n->n_plugins, 3);
	ck_assert_str_eq(n->plugins[0].type, "one");
	ck_assert_str_eq(n->plugins[1].type, "two");
	ck_assert_str_eq(n->plugins[2].type, "three");
	/* The cached form needs no folder. */
	ck_assert_int_eq(network_parse_list(n->bytes, n->len, -1, &again, &err), 0);
	ck_assert_uint_eq(again->n_plugins, 3);
	network_unref(again);
	n = network_unref(n);
	put("conf/n/30.conf", "{");
	ck_assert_int_eq(network_parse_list(text, strlen(text), fd, &n, &err), CNIC_E_INVALID);
	ck_assert_msg(str_starts(err.message, "n/30.conf: "), "%s", err.message);
	close(fd);
}
END_TEST

START_TEST(inlined_only_looks_at_no_folder)
{
	static const char text[] =
		"{\"name\":\"n\",\"loadOnlyInlinedPlugins\":true,\"plugins\":[{\"type\":\"one\"}]}";
	struct cnic_network *n = NULL;
	int fd;

	ck_assert_int_eq(mkdir(at("conf/n"), 0700), 0);
	put("conf/n/10.conf", "{\"type\":\"two\"}");
	fd = open(at("conf"), O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(network_parse_list(text, strlen(text), fd, &n, NULL), 0);
	ck_assert_uint_eq(n->n_plugins, 1);
	ck_assert_str_eq(n->bytes, text);
	network_unref(n);
	close(fd);
}
END_TEST

START_TEST(capabilities_are_named_true_or_false)
{
	static const char good[] = "{\"name\":\"n\",\"plugins\":[{\"type\":\"one\",\"capabilities\":{\"a\":true,"
				   "\"b\":false}},{\"type\":\"two\",\"capabilities\":{\"c\":true,\"a\":true}}]}";
	static const char *const bad[] = {
		"{\"name\":\"n\",\"plugins\":[{\"type\":\"one\",\"capabilities\":[\"a\"]}]}",
		"{\"name\":\"n\",\"plugins\":[{\"type\":\"one\",\"capabilities\":{\"a\":\"true\"}}]}",
		"{\"name\":\"n\",\"disableGC\":1,\"plugins\":[{\"type\":\"one\"}]}",
	};
	struct cnic_network *n = NULL;

	ck_assert_int_eq(network_parse_list(good, strlen(good), -1, &n, NULL), 0);
	ck_assert_str_eq(n->capabilities[0], "a");
	ck_assert_str_eq(n->capabilities[1], "c");
	ck_assert_ptr_null(n->capabilities[2]);
	n = network_unref(n);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(network_parse_list(bad[i], strlen(bad[i]), -1, &n, NULL), CNIC_E_INVALID);
}
END_TEST

RUN_TESTS_WITH("network", scratch_setup, scratch_teardown, a_list_has_name_version_and_plugins,
	       the_highest_known_version_is_chosen, hostile_lists_are_refused,
	       too_many_plugins_are_refused, a_single_configuration_is_wrapped_as_libcni_does,
	       plugins_of_the_folder_follow_the_inlined_ones, inlined_only_looks_at_no_folder,
	       capabilities_are_named_true_or_false)
