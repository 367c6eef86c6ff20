/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

START_TEST(annotations_are_counted_and_walked)
{
	struct ocispec *s = parsed("{\"annotations\":{\"b\":\"2\",\"n\":null,\"a\":\"\"}}");
	const char *key, *value;

	ck_assert_uint_eq(ocispec_annotation_count(s), 2);
	ocispec_annotation_at(s, 1, &key, &value);
	ck_assert_str_eq(key, "a");
	ck_assert_str_eq(value, "");
	ocispec_annotation_at(s, 2, &key, &value);
	ck_assert_ptr_null(key);
	ck_assert_ptr_null(value);
	ck_assert_str_eq(ocispec_get_annotation(s, "b"), "2");
	ck_assert_ptr_null(ocispec_get_annotation(s, "n"));
	ck_assert_ptr_null(ocispec_get_annotation(s, "c"));
	ocispec_free(s);
}
END_TEST

START_TEST(the_last_one_removed_takes_the_map_along)
{
	struct ocispec *s = parsed("{\"annotations\":{\"b\":\"2\",\"a\":\"1\"}}");

	ck_assert_int_eq(ocispec_remove_annotation(s, "x"), OCISPEC_E_NOT_FOUND);
	ck_assert_int_eq(ocispec_remove_annotation(s, "b"), 0);
	ck_assert_int_eq(ocispec_remove_annotation(s, "a"), 0);
	ck_assert_int_eq(ocispec_remove_annotation(s, "a"), OCISPEC_E_NOT_FOUND);
	ck_prints(s, "{}");
}
END_TEST

START_TEST(empty_keys_are_refused)
{
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_set_annotation(s, "", "v"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_annotation(s, "k", NULL), -EINVAL);
	ck_assert_int_eq(ocispec_set_annotation(s, "k", "line\nline"), 0);
	ck_prints(s, "{\"annotations\":{\"k\":\"line\\nline\"}}");
}
END_TEST

RUN_TESTS("annotations", annotations_are_counted_and_walked,
	  the_last_one_removed_takes_the_map_along, empty_keys_are_refused)
