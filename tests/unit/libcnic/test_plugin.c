/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

static struct cnic *c;

static void setup(void)
{
	scratch_setup();
	put("bin/one", "");
	c = new_cnic(true, NULL);
}

static void teardown(void)
{
	fake_forget();
	c = cnic_free(c);
	scratch_teardown();
}

/* One ADD answered by a; the error in err. */
static int add(struct answer_given a, struct cnic_error *err)
{
	static const char text[] =
		"{\"name\":\"n\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"one\"}]}";
	struct call call = { .command = "ADD", .container_id = "c", .netns = "/n", .ifname = "e" };
	struct cnic_result *result = NULL;
	struct cnic_network *n = NULL;
	int r;

	memset(err, 0, sizeof(*err));
	fake_answers(&a, 1);
	ck_assert_int_eq(network_parse_list(text, strlen(text), -1, &n, NULL), 0);
	r = plugin_call(c, n, 0, &call, deadline_after(5000), &result, err);
	ck_assert(r == 0 || !result);
	cnic_result_free(result);
	network_unref(n);
	return r;
}

#define WHERE "network \"n\": plugin type=\"one\" failed (add): "

START_TEST(an_error_object_is_told_with_its_code)
{
	struct cnic_error err;

	ck_assert_int_eq(
		add((struct answer_given){ .status = 1 << 8,
					   .out = "{\"cniVersion\":\"1.0.0\",\"code\":11,\"msg\":"
						  "\"try\\nlater\",\"details\":\"busy\"}" },
		    &err),
		CNIC_E_PLUGIN);
	ck_assert_uint_eq(err.plugin_code, 11);
	ck_assert_str_eq(err.message, WHERE "try later; busy (code 11)");
	ck_assert_int_eq(
		add((struct answer_given){ .status = 1 << 8, .out = "{\"code\":7}" }, &err),
		CNIC_E_PLUGIN);
	ck_assert_uint_eq(err.plugin_code, 7);
	ck_assert_int_eq(
		add((struct answer_given){ .status = 1 << 8, .out = "{\"code\":-7,\"msg\":\"m\"}" },
		    &err),
		CNIC_E_PLUGIN);
	ck_assert_uint_eq(err.plugin_code, 999);
}
END_TEST

START_TEST(anything_else_said_on_failure_is_quoted)
{
	struct cnic_error err;

	ck_assert_int_eq(
		add((struct answer_given){ .status = 2 << 8, .out = "panic: \x1b[1mno" }, &err),
		CNIC_E_PLUGIN);
	ck_assert_str_eq(err.message,
			 WHERE "netplugin failed but error parsing its diagnostic message "
			       "\"panic: \\x1b[1mno\": parse JSON near byte 1: lexical error: invalid "
			       "char in json text.: Invalid argument (exit status 2)");
	ck_assert_uint_eq(err.plugin_code, 0);
	ck_assert_int_eq(add((struct answer_given){ .status = 9 }, &err), CNIC_E_PLUGIN);
	ck_assert_str_eq(err.message, WHERE "netplugin failed with no error message: signal: killed");
	ck_assert_int_eq(add((struct answer_given){ .status = 1 << 8, .out = "{}" }, &err),
			 CNIC_E_PLUGIN);
	ck_assert_str_eq(err.message, WHERE "netplugin failed but error parsing its diagnostic message "
			       "\"{}\": neither code nor msg (exit status 1)");
}
END_TEST

START_TEST(a_long_complaint_stays_valid_text)
{
	struct cnic_error err;
	struct str s = STR_INIT;

	str_append(&s, "{\"code\":1,\"msg\":\"");
	for (int i = 0; i < 5000; i++)
		str_append(&s, "\xc3\xa9");
	str_append(&s, "\"}");
	ck_assert_int_eq(add((struct answer_given){ .status = 1 << 8, .out = s.data }, &err),
			 CNIC_E_PLUGIN);
	ck_assert(utf8_valid(err.message, strlen(err.message)));
	ck_assert_uint_lt(strlen(err.message), 600);
	str_done(&s);
}
END_TEST

START_TEST(success_without_a_result_is_no_success_of_add)
{
	struct cnic_error err;

	ck_assert_int_eq(add((struct answer_given){ .out = "" }, &err), CNIC_E_INVALID);
	ck_assert(str_starts(err.message, WHERE "failed to unmarshal raw result: "));
	ck_assert_int_eq(add((struct answer_given){ .out = "{\"ips\":[{}]}" }, &err),
			 CNIC_E_INVALID);
	ck_assert_str_eq(err.message, WHERE "result: ips: bad or missing address");
	ck_assert_int_eq(add((struct answer_given){ .out = "{}" }, &err), 0);
	ck_assert_int_eq(add((struct answer_given){ .out = "null" }, &err), 0); /* as libcni */
}
END_TEST

START_TEST(what_the_runner_says_is_passed_on)
{
	struct cnic_error err;

	ck_assert_int_eq(add((struct answer_given){ .result = CNIC_E_TIMEOUT }, &err),
			 CNIC_E_TIMEOUT);
	ck_assert_str_eq(err.message, WHERE "timed out");
	ck_assert_int_eq(add((struct answer_given){ .result = CNIC_E_CANCELLED }, &err),
			 CNIC_E_CANCELLED);
	ck_assert_int_eq(add((struct answer_given){ .result = -EACCES }, &err), -EACCES);
	ck_assert_int_eq(err.sys_errno, EACCES);
	ck_assert_int_eq(add((struct answer_given){ .result = -EFBIG }, &err), CNIC_E_INVALID);
	ck_assert_str_eq(err.message, WHERE "wrote more than 1048576 bytes");
}
END_TEST

START_TEST(a_busy_program_is_tried_again)
{
	struct cnic_error err;

	ck_assert_int_eq(add((struct answer_given){ .result = -ETXTBSY }, &err), -ETXTBSY);
	ck_assert_uint_eq(fake.n, 10);
}
END_TEST

START_TEST(the_first_directory_with_a_regular_file_wins)
{
	struct cnic_error err = { 0 };
	char *path = NULL;

	ck_assert_int_eq(mkdir(at("bin2"), 0700), 0);
	ck_assert_int_eq(mkdir(at("bin/two"), 0700), 0);
	put("bin2/two", "");
	ck_assert_int_eq(strv_push(&c->o.plugin_dirs, at("bin2")), 0);
	ck_assert_int_eq(plugin_find(c, "two", &path, NULL, &err), 0);
	ck_assert_str_eq(path, at("bin2/two"));
	free(path);
	ck_assert_int_eq(plugin_find(c, "three", &path, NULL, &err), CNIC_E_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "failed to find plugin \"three\" in path ["));
	ck_assert_int_eq(plugin_find(c, "../bin2/two", &path, NULL, &err), CNIC_E_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "invalid plugin type"));
}
END_TEST

RUN_TESTS_WITH("plugin", setup, teardown, an_error_object_is_told_with_its_code,
	       anything_else_said_on_failure_is_quoted, a_long_complaint_stays_valid_text,
	       success_without_a_result_is_no_success_of_add, what_the_runner_says_is_passed_on,
	       a_busy_program_is_tried_again, the_first_directory_with_a_regular_file_wins)
