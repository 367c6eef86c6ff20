/* SPDX-License-Identifier: Apache-2.0 */
#include <cbase/toml.h>
#include "main.h"

static void reads_as(const char *text, const char *json)
{
	_cleanup_json_ struct json_doc *d = NULL;
	_cleanup_str_ struct str s = STR_INIT;
	struct cb_error err = { 0 };

	ck_assert_msg(!toml_parse(text, strlen(text), &d, &err), "%s: %s", text, err.message);
	ck_assert_int_eq(json_format(d, json_root(d), JSON_NO_HTML, &s), 0);
	ck_assert_str_eq(s.data, json);
}

static void refused(const char *text, const char *why)
{
	_cleanup_json_ struct json_doc *d = NULL;
	struct cb_error err = { 0 };

	ck_assert_msg(toml_parse(text, strlen(text), &d, &err) == -EINVAL, "accepted: %s", text);
	ck_assert_msg(strstr(err.message, why), "%s: %s", text, err.message);
}

START_TEST(scalars)
{
	reads_as("a=1_000\nb=0xff\nc=0o17\nd=0b101\ne=-2\nf=3.5e2\ng=true\nh=1979-05-27T07:32:00Z\ni=07:32:00\n",
		 "{\"a\":1000,\"b\":255,\"c\":15,\"d\":5,\"e\":-2,\"f\":3.5e2,\"g\":true,\"h\":\"1979-05-27T07:32:00Z\",\"i\":\"07:32:00\"}");
}
END_TEST

START_TEST(strings)
{
	reads_as("a=\"x\\t\\\"\\u00e9\"\nb='\\n'\nc=\"\"\"\nl1\\\n   l2\"\"q\"\"\"\"\"\nd='''a'b'''",
		 "{\"a\":\"x\\t\\\"\xc3\xa9\",\"b\":\"\\\\n\",\"c\":\"l1l2\\\"\\\"q\\\"\\\"\",\"d\":\"a'b\"}");
}
END_TEST

START_TEST(tables_and_arrays)
{
	reads_as("# c\nx.y=1\n[t]\nk=[1,[2,\n3,],] # c\n[t.\"a.b\"]\nz={p=1,q.r=2}\n[[l]]\nn=1\n[[l]]\n[l.m]\no=2\n",
		 "{\"x\":{\"y\":1},\"t\":{\"k\":[1,[2,3]],\"a.b\":{\"z\":{\"p\":1,\"q\":{\"r\":2}}}},\"l\":[{\"n\":1},{\"m\":{\"o\":2}}]}");
	reads_as("[a.b]\nx=1\n[a]\ny=2\n", "{\"a\":{\"b\":{\"x\":1},\"y\":2}}");
	reads_as("", "{}");
	reads_as("\xef\xbb\xbf" "a=1\r\nb=2", "{\"a\":1,\"b\":2}");
}
END_TEST

START_TEST(errors_name_the_line)
{
	refused("a=1\na=2", "line 2: key a is defined twice");
	refused("[a]\n\n[a]", "line 3: table a is defined twice");
	refused("a={b=1}\n[a]", "line 2");
	refused("a=[1]\n[[a]]", "line 2");
	refused("a=1 b=2", "line 1: unexpected text");
	refused("a=01", "line 1: malformed value 01");
	refused("a=1__0", "misplaced _");
	refused("a=99999999999999999999", "out of range");
	refused("a=\"x", "string does not end");
	refused("a=\"\\q\"", "unknown escape");
	refused("a=\"\\ud800\"", "no character");
	refused("= 1", "expected a key");
	refused("a", "expected =");
	refused("a=", "expected a value");
	refused("[a", "header does not end");
	refused("a={b=1,}", "comma before }");
	refused("a=\x01", "line 1");
	refused("a='\xff'", "UTF-8");
}
END_TEST

START_TEST(depth_has_a_limit)
{
	_cleanup_str_ struct str s = STR_INIT;
	int i;

	str_append(&s, "a=");
	for (i = 0; i < 100000; i++)
		str_append_char(&s, '[');
	refused(s.data, "nested too deeply");
}
END_TEST

static void add(TCase *c)
{
	tcase_add_test(c, scalars);
	tcase_add_test(c, strings);
	tcase_add_test(c, tables_and_arrays);
	tcase_add_test(c, errors_name_the_line);
	tcase_add_test(c, depth_has_a_limit);
}

int main(void)
{
	return run_case("toml", add);
}
