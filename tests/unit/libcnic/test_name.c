/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

START_TEST(container_and_network_names)
{
	ck_assert(name_valid("a") && name_valid("A1_.-b") && name_valid("0"));
	ck_assert(!name_valid(NULL) && !name_valid("") && !name_valid(".") && !name_valid("..") &&
		  !name_valid("-a"));
	ck_assert(!name_valid("a/b") && !name_valid("a b") && !name_valid("a\n") &&
		  !name_valid("\xc3\xa9"));
}
END_TEST

START_TEST(interface_names)
{
	ck_assert(ifname_valid("eth0") && ifname_valid("a.b") && ifname_valid("123456789012345"));
	ck_assert(!ifname_valid("1234567890123456") && !ifname_valid("") && !ifname_valid(NULL));
	ck_assert(!ifname_valid(".") && !ifname_valid("..") && !ifname_valid("a/b") &&
		  !ifname_valid("a:b"));
	ck_assert(!ifname_valid("a b") && !ifname_valid("a\t") && !ifname_valid("\xff"));
}
END_TEST

START_TEST(plugin_types_stay_in_their_directory)
{
	ck_assert(plugin_type_valid("bridge") && plugin_type_valid("host-local") &&
		  plugin_type_valid("..."));
	ck_assert(!plugin_type_valid("") && !plugin_type_valid("..") && !plugin_type_valid(".") &&
		  !plugin_type_valid(NULL));
	ck_assert(!plugin_type_valid("../../bin/sh") && !plugin_type_valid("a/b") &&
		  !plugin_type_valid("/bin/sh"));
	ck_assert(!plugin_type_valid("a b") && !plugin_type_valid("a\n") &&
		  !plugin_type_valid("\xc3\xa9"));
}
END_TEST

static char *clean(const char *p, size_t n)
{
	struct str s = STR_INIT;

	text_append_clean(&s, p, n);
	return str_take(&s, NULL);
}

START_TEST(words_of_a_plugin_become_one_valid_line)
{
	char big[2000], *text;

	text = clean("  a\r\n\tb\x1b[31m\xff\n", 14);
	ck_assert_str_eq(text, "a b [31m\xef\xbf\xbd");
	free(text);
	memset(big, 'x', sizeof(big));
	big[399] = '\xc3';
	big[400] = '\xa9';
	text = clean(big, sizeof(big));
	ck_assert(utf8_valid(text, strlen(text)));
	ck_assert_uint_eq(strlen(text), 404);
	ck_assert(str_ends(text, "\xc3\xa9..."));
	free(text);
	text = clean("", 0);
	ck_assert_str_eq(text, "");
	free(text);
}
END_TEST

static char *quoted(const char *p, size_t n)
{
	struct str s = STR_INIT;

	text_append_quoted(&s, p, n);
	return str_take(&s, NULL);
}

START_TEST(quoting_loses_nothing_and_is_that_of_go)
{
	static const char odd[] = "a\"b\\ \a\b\f\n\r\t\v\0\x1b\x7f\xff \xc3\xa9\xc2\x85\xe2\x80\xa8\xf0\x9f\x98\x80";
	char big[500], *text = quoted(odd, sizeof(odd) - 1);

	ck_assert_str_eq(text, "\"a\\\"b\\\\ \\a\\b\\f\\n\\r\\t\\v\\x00\\x1b\\x7f\\xff \xc3\xa9\\u0085\\u2028"
			       "\xf0\x9f\x98\x80\"");
	free(text);
	memset(big, 'x', sizeof(big));
	big[399] = '\xc3';
	big[400] = '\xa9';
	text = quoted(big, sizeof(big));
	ck_assert_uint_eq(strlen(text), 1 + 401 + 4);
	ck_assert(str_ends(text, "x\xc3\xa9...\""));
	free(text);
}
END_TEST

RUN_TESTS("name", container_and_network_names, interface_names,
	  plugin_types_stay_in_their_directory, words_of_a_plugin_become_one_valid_line, quoting_loses_nothing_and_is_that_of_go)
