/* SPDX-License-Identifier: Apache-2.0 */
#include <cbase/json.h>
#include "main.h"

static struct json_doc *parse(const char *text, int flags)
{
	struct json_doc *d = NULL;

	return json_parse(text, strlen(text), flags, &d, NULL) ? NULL : d;
}

static void same_again(const char *text, int flags, const char *want)
{
	_cleanup_json_ struct json_doc *d = parse(text, 0);
	_cleanup_str_ struct str s = STR_INIT;

	ck_assert_ptr_nonnull(d);
	ck_assert_int_eq(json_format(d, json_root(d), flags, &s), 0);
	ck_assert_str_eq(s.data, want);
}

static void refused(const char *text, int flags)
{
	_cleanup_json_ struct json_doc *d = parse(text, flags);

	ck_assert_msg(!d, "accepted: %s", text);
}

START_TEST(order_and_spelling_of_numbers_are_kept)
{
	same_again("{\"b\":1.50,\"a\":1e3,\"c\":[],\"d\":{},\"e\":null,\"f\":true}", 0,
		   "{\"b\":1.50,\"a\":1e3,\"c\":[],\"d\":{},\"e\":null,\"f\":true}");
}
END_TEST

START_TEST(text_is_escaped_as_go_does)
{
	same_again("\"<>&\\u2028\\t\\u0001\\\"\\/\"", 0, "\"\\u003c\\u003e\\u0026\\u2028\\t\\u0001\\\"/\"");
	same_again("\"<>&\"", JSON_NO_HTML, "\"<>&\"");
	same_again("\"a\\u0000b\"", 0, "\"a\\u0000b\"");
}
END_TEST

START_TEST(half_a_surrogate_pair_is_a_replacement_character)
{
	same_again("\"x\\udc00y\"", 0, "\"x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdy\"");
	refused("{\"\\udc00\":1}", 0);
}
END_TEST

START_TEST(indented_and_sorted_print_is_go_s)
{
	same_again("{\"b\":[1,{}],\"a\":{\"y\":1,\"x\":2}}", JSON_INDENT_TAB | JSON_SORT_KEYS,
		   "{\n\t\"a\": {\n\t\t\"x\": 2,\n\t\t\"y\": 1\n\t},\n\t\"b\": [\n\t\t1,\n\t\t{}\n\t]\n}");
}
END_TEST

START_TEST(what_is_not_json_is_refused)
{
	refused("", 0);
	refused("{\"a\":1} x", 0);
	refused("{\"a\":1,}", 0);
	refused("[01]", 0);
	refused("\"\xc0\x96\"", 0);
	refused("\"\xff\"", 0);
	refused("{\"a\\u0000\":1}", 0);
	refused("{\"a\":1,\"a\":2}", JSON_UNIQUE_KEYS);
}
END_TEST

START_TEST(depth_has_a_limit)
{
	char text[2 * JSON_DEPTH_MAX + 3];

	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	text[2 * JSON_DEPTH_MAX] = '\0';
	same_again(text, 0, text);
	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	text[2 * JSON_DEPTH_MAX + 2] = '\0';
	refused(text, 0);
}
END_TEST

START_TEST(number_of_values_has_a_limit)
{
	_cleanup_str_ struct str s = STR_INIT;
	size_t i;

	str_append(&s, "[0");
	for (i = 0; i < JSON_NODES_MAX; i++)
		str_append(&s, ",0");
	str_append(&s, "]");
	refused(s.data, 0);
}
END_TEST

START_TEST(members_are_replaced_in_place_and_removed)
{
	_cleanup_json_ struct json_doc *d = parse("{\"a\":1,\"b\":2,\"c\":3}", 0);
	_cleanup_str_ struct str s = STR_INIT;
	struct json *o = json_root(d);

	json_set_string(d, o, "b", "x");
	json_set_int(d, o, "d", -7);
	json_remove(o, "c");
	json_set_bool(d, json_child_object(d, o, "e"), "f", true);
	ck_assert_uint_eq(o->count, 4);
	ck_assert_int_eq(json_format(d, o, 0, &s), 0);
	ck_assert_str_eq(s.data, "{\"a\":1,\"b\":\"x\",\"d\":-7,\"e\":{\"f\":true}}");
}
END_TEST

START_TEST(lookups_take_what_is_missing_or_of_another_type)
{
	_cleanup_json_ struct json_doc *d = parse("{\"a\":{\"b\":[\"x\",1,\"y\"]},\"n\":12345678901234567890,\"z\":\"q\\u0000r\"}", 0);
	_cleanup_strv_ char **v = NULL;
	struct json *o = json_root(d);
	int64_t i;

	ck_assert_ptr_null(json_path(o, "a", "x", "y", NULL));
	ck_assert_int_eq(json_strv(json_path(o, "a", "b", NULL), &v), 0);
	ck_assert_uint_eq(strv_len(v), 2);
	ck_assert_str_eq(v[1], "y");
	ck_assert_ptr_null(json_get_string(o, "a"));
	ck_assert_ptr_null(json_get_string(o, "z"));
	ck_assert_int_eq(json_int(json_get(o, "n"), &i), -ERANGE);
	ck_assert_int_eq(json_get_int(NULL, "n", 5), 5);
}
END_TEST

static void add(TCase *c)
{
	tcase_add_test(c, order_and_spelling_of_numbers_are_kept);
	tcase_add_test(c, text_is_escaped_as_go_does);
	tcase_add_test(c, half_a_surrogate_pair_is_a_replacement_character);
	tcase_add_test(c, indented_and_sorted_print_is_go_s);
	tcase_add_test(c, what_is_not_json_is_refused);
	tcase_add_test(c, depth_has_a_limit);
	tcase_add_test(c, number_of_values_has_a_limit);
	tcase_add_test(c, members_are_replaced_in_place_and_removed);
	tcase_add_test(c, lookups_take_what_is_missing_or_of_another_type);
}

int main(void)
{
	return run_case("json", add);
}
