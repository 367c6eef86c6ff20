/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

START_TEST(a_document_keeps_its_own_order_around_what_is_added)
{
	struct ocispec *s = parsed("{\"linux\":{},\"x\":1,\"root\":{\"readonly\":true}}");

	ck_assert_int_eq(ocispec_set_hostname(s, "h"), 0);
	ck_assert_int_eq(ocispec_set_root(s, "r", 1), 0);
	ck_prints(s, "{\"hostname\":\"h\",\"linux\":{},\"x\":1,\"root\":{\"path\":\"r\","
		     "\"readonly\":true}}");
}
END_TEST

START_TEST(maps_are_kept_sorted_bytewise)
{
	struct ocispec *s = parsed("{}");

	ocispec_set_sysctl(s, "net.b", "1");
	ocispec_set_sysctl(s, "net.B", "2");
	ocispec_set_sysctl(s, "kernel.a", "3");
	ocispec_set_sysctl(s, "net.b", "4");
	ocispec_set_sysctl(s, "net.c", "5");
	ck_prints(s, "{\"linux\":{\"sysctl\":{\"kernel.a\":\"3\",\"net.B\":\"2\",\"net.b\":\"4\","
		     "\"net.c\":\"5\"}}}");
}
END_TEST

START_TEST(replacing_keeps_the_place_and_the_count)
{
	struct ocispec *s = parsed("{\"annotations\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}}");

	ocispec_set_annotation(s, "b", "x");
	ocispec_set_annotation(s, "c", "y");
	ck_assert_uint_eq(ocispec_annotation_count(s), 3);
	ck_assert_int_eq(ocispec_remove_annotation(s, "c"), 0);
	ocispec_set_annotation(s, "d", "z");
	ocispec_set_annotation(s, "0", "first");
	ck_prints(s, "{\"annotations\":{\"0\":\"first\",\"a\":\"1\",\"b\":\"x\",\"d\":\"z\"}}");
}
END_TEST

START_TEST(a_large_sorted_map_stays_whole)
{
	struct ocispec *s = parsed("{}");
	char key[16];

	for (unsigned i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "k%04u", (i * 1237) % 2000);
		ck_assert_int_eq(ocispec_set_annotation(s, key, "v"), 0);
	}
	ck_assert_uint_eq(ocispec_annotation_count(s), 2000);
	for (unsigned i = 0; i < 2000; i++) {
		const char *at, *value;

		snprintf(key, sizeof(key), "k%04u", i);
		ocispec_annotation_at(s, i, &at, &value);
		ck_assert_str_eq(at, key);
	}
	ocispec_free(s);
}
END_TEST

RUN_TESTS("place", a_document_keeps_its_own_order_around_what_is_added,
	  maps_are_kept_sorted_bytewise, replacing_keeps_the_place_and_the_count,
	  a_large_sorted_map_stays_whole)
