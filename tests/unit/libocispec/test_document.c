/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

START_TEST(new_document_has_the_generators_defaults)
{
	struct ocispec *s = NULL;
	const char *path;

	ck_assert_int_eq(ocispec_new(&s), 0);
	ck_assert_str_eq(ocispec_get_root(s), "rootfs");
	ck_assert_ptr_null(ocispec_get_hostname(s));
	ck_assert(ocispec_has_mount(s, "/proc") && ocispec_has_mount(s, "/dev/mqueue") &&
		  ocispec_has_mount(s, "/sys"));
	ck_assert_int_eq(ocispec_get_namespace(s, "mount", &path), 0);
	ck_assert_str_eq(path, "");
	ck_assert_int_eq(ocispec_get_namespace(s, "user", &path), OCISPEC_E_NOT_FOUND);
	ck_assert_int_eq(ocispec_get_terminal(s), 0);
	ocispec_free(s);
}
END_TEST

START_TEST(new_document_grants_nothing_inheritable)
{
	struct ocispec *s = NULL;
	char *text = NULL;

	ck_assert_int_eq(ocispec_new(&s), 0);
	ck_assert_int_eq(ocispec_format(s, OCISPEC_FORMAT_PROCESS, &text, NULL), 0);
	ck_assert_ptr_nonnull(strstr(text, "\"bounding\":[\"CAP_CHOWN\""));
	ck_assert_ptr_null(strstr(text, "inheritable"));
	ck_assert_ptr_null(strstr(text, "ambient"));
	free(text);
	ocispec_free(s);
}
END_TEST

START_TEST(members_come_out_in_the_specifications_order)
{
	struct ocispec *s = parsed("{}");
	const char *args[] = { "a", NULL };

	ocispec_set_cgroups_path(s, "/x");
	ocispec_set_annotation(s, "z", "1");
	ocispec_set_annotation(s, "b", "2");
	ocispec_set_annotation(s, "m", "3");
	ocispec_set_mount(s, "/m", NULL, NULL, NULL);
	ocispec_set_hostname(s, "h");
	ocispec_set_root(s, "r", 1);
	ocispec_set_cwd(s, "/");
	ocispec_set_args(s, args);
	ocispec_set_user(s, 1, 2, NULL, 0);
	ocispec_set_terminal(s, 1);
	ocispec_set_version(s, "1.0.2");
	ck_prints(s, "{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":true,\"user\":{\"uid\":1,"
		     "\"gid\":2},"
		     "\"args\":[\"a\"],\"cwd\":\"/"
		     "\"},\"root\":{\"path\":\"r\",\"readonly\":true},\"hostname\":\"h\","
		     "\"mounts\":[{\"destination\":\"/"
		     "m\"}],\"annotations\":{\"b\":\"2\",\"m\":\"3\",\"z\":\"1\"},"
		     "\"linux\":{\"cgroupsPath\":\"/x\"}}");
}
END_TEST

START_TEST(what_is_not_understood_is_written_back_as_read)
{
	static const char text[] =
		"{\"zeta\":[1.50,{\"x\":null}],\"process\":{\"later\":1e3,\"env\":[]},\"linux\":"
		"{\"resources\":{\"rdma\":{\"a\":{\"b\":1}},\"memory\":{\"new\":true}}},\"hooks\":{"
		"\"x\":[]},"
		"\"annotations\":{\"b\":\"\",\"a\":\"\\u003c\"},\"solaris\":\"anything\"}";

	ck_prints(parsed(text), text);
}
END_TEST

START_TEST(printing_is_gos)
{
	struct ocispec *s = parsed("{\"hostname\":\"<&>\\u2028\"}");
	char *text = NULL;
	size_t len = 0;

	ocispec_set_annotation(s, "k", "v");
	ck_assert_int_eq(ocispec_format(s, OCISPEC_FORMAT_INDENT, &text, &len), 0);
	ck_assert_str_eq(
		text, "{\n\t\"hostname\": \"\\u003c\\u0026\\u003e\\u2028\",\n\t\"annotations\": {\n"
		      "\t\t\"k\": \"v\"\n\t}\n}");
	ck_assert_uint_eq(len, strlen(text));
	free(text);
	ocispec_free(s);
}
END_TEST

START_TEST(process_alone_can_be_printed)
{
	struct ocispec *s = parsed("{\"process\":{\"cwd\":\"/\"},\"root\":null}"),
		       *none = parsed("{\"process\":null}");
	char *text = NULL;

	ck_assert_int_eq(ocispec_format(s, OCISPEC_FORMAT_PROCESS, &text, NULL), 0);
	ck_assert_str_eq(text, "{\"cwd\":\"/\"}");
	free(text);
	text = NULL;
	ck_assert_int_eq(ocispec_format(none, OCISPEC_FORMAT_PROCESS, &text, NULL),
			 OCISPEC_E_NOT_FOUND);
	ck_assert_ptr_null(text);
	ocispec_free(s);
	ocispec_free(none);
}
END_TEST

START_TEST(null_members_count_as_absent_and_can_be_set)
{
	struct ocispec *s = parsed(
		"{\"linux\":null,\"annotations\":null,\"process\":{\"env\":null},\"mounts\":null}");

	ck_assert_uint_eq(ocispec_annotation_count(s), 0);
	ck_assert_int_eq(ocispec_set_env(s, "A", "b"), 0);
	ck_assert_int_eq(ocispec_set_annotation(s, "k", "v"), 0);
	ck_assert_int_eq(ocispec_set_cgroups_path(s, "/x"), 0);
	ck_assert_int_eq(ocispec_set_mount(s, "/a", NULL, NULL, NULL), 0);
	ck_prints(s, "{\"linux\":{\"cgroupsPath\":\"/"
		     "x\"},\"annotations\":{\"k\":\"v\"},\"process\":{\"env\":[\"A=b\"]},"
		     "\"mounts\":[{\"destination\":\"/a\"}]}");
}
END_TEST

START_TEST(hostile_documents_are_refused)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"[]",
		"null",
		"\"x\"",
		"{}{}",
		"{\"a\":1,}",
		"{\"process\":{},\"process\":{}}",
		"{\"hostname\":\"\xff\"}",
		"{\"hostname\":\"a\\u0000b\"}",
		"{'a':1}",
		"{\"a\":NaN}",
		"\xef\xbb\xbf{",
		"{\"a\":\"\xc0\x96\"}",
		"{\"a\":\"\xed\xa0\x80\"}",
		"{\"\xf8\x88\x80\x80\x80\":1}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct ocispec_error err = { 0 };
		struct ocispec *s = NULL;

		ck_assert_msg(ocispec_parse(bad[i], strlen(bad[i]), &s, &err) == OCISPEC_E_INVALID,
			      "%s", bad[i]);
		ck_assert_int_eq(err.code, OCISPEC_E_INVALID);
		ck_assert_msg(err.message[0] != 0, "%s", bad[i]);
		ck_assert_ptr_null(s);
	}
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
	struct str text = STR_INIT;
	struct ocispec *s = NULL;

	str_append(&text, "{\"x\":");
	for (int i = 0; i < 100000; i++)
		str_append_char(&text, '[');
	ck_assert_int_eq(ocispec_parse(text.data, text.len, &s, NULL), OCISPEC_E_INVALID);
	str_done(&text);
}
END_TEST

START_TEST(size_is_limited_both_ways)
{
	char *big = malloc(OCISPEC_DOCUMENT_MAX + 1);
	struct ocispec *s = NULL;
	char *text = NULL;

	memset(big, ' ', OCISPEC_DOCUMENT_MAX + 1);
	memcpy(big, "{}", 2);
	ck_assert_int_eq(ocispec_parse(big, OCISPEC_DOCUMENT_MAX + 1, &s, NULL), OCISPEC_E_LIMIT);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(ocispec_parse(big, OCISPEC_DOCUMENT_MAX, &s, NULL), 0);
	memset(big, 'a', OCISPEC_DOCUMENT_MAX);
	big[OCISPEC_DOCUMENT_MAX] = 0;
	ck_assert_int_eq(ocispec_set_annotation(s, "k", big), 0);
	ck_assert_int_eq(ocispec_format(s, 0, &text, NULL), OCISPEC_E_LIMIT);
	ck_assert_ptr_null(text);
	free(big);
	ocispec_free(s);
}
END_TEST

START_TEST(text_that_json_cannot_carry_is_refused)
{
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_set_hostname(s, "a\xff"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_hostname(s, "a\nb"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_root(s, "\xc3", 0), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_root(s, "", 0), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_version(s, ""), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_annotation(s, "a", "\xed\xa0\x80"), OCISPEC_E_INVALID);
	ck_prints(s, "{}");
}
END_TEST

START_TEST(missing_arguments_are_refused)
{
	struct ocispec *s = parsed("{}");
	char *text = NULL;

	ck_assert_int_eq(ocispec_new(NULL), -EINVAL);
	ck_assert_int_eq(ocispec_parse(NULL, 0, &s, NULL), -EINVAL);
	ck_assert_int_eq(ocispec_format(NULL, 0, &text, NULL), -EINVAL);
	ck_assert_int_eq(ocispec_set_root(s, NULL, 0), -EINVAL);
	ck_assert_int_eq(ocispec_set_hostname(NULL, "x"), -EINVAL);
	ck_assert_ptr_null(ocispec_get_hostname(NULL));
	ck_assert_ptr_null(ocispec_get_root(NULL));
	ck_assert_ptr_null(ocispec_free(NULL));
	ocispec_free(s);
}
END_TEST

START_TEST(hostname_can_be_taken_away)
{
	struct ocispec *s = parsed("{\"hostname\":\"x\"}");

	ck_assert_str_eq(ocispec_get_hostname(s), "x");
	ck_assert_int_eq(ocispec_set_hostname(s, NULL), 0);
	ck_prints(s, "{}");
}
END_TEST

RUN_TESTS("document", new_document_has_the_generators_defaults,
	  new_document_grants_nothing_inheritable, members_come_out_in_the_specifications_order,
	  what_is_not_understood_is_written_back_as_read, printing_is_gos,
	  process_alone_can_be_printed, null_members_count_as_absent_and_can_be_set,
	  hostile_documents_are_refused, deep_nesting_is_refused, size_is_limited_both_ways,
	  text_that_json_cannot_carry_is_refused, missing_arguments_are_refused,
	  hostname_can_be_taken_away)
