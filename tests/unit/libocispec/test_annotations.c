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

START_TEST(commands_are_known_by_their_beginnings)
{
	static const char *const commands[] = { "run.oci.", "run.oci.hooks.stdout", "org.systemd.property.ExecStart", "krun.x",
						"module.wasm.image", "io.katacontainers.config", "org.criu.config", "dev.gvisor.x" };
	static const char *const notes[] = { "", "run.oci", "Run.oci.x", " run.oci.x", "xrun.oci.x", "org.systemdx", "io.kubernetes.pod.name" };

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		ck_assert_msg(ocispec_annotation_commands(commands[i]) == 1, "%s", commands[i]);
	for (size_t i = 0; i < ARRAY_SIZE(notes); i++)
		ck_assert_msg(ocispec_annotation_commands(notes[i]) == 0, "%s", notes[i]);
	ck_assert_int_eq(ocispec_annotation_commands(NULL), 0);
}
END_TEST

#define MIXED "{\"annotations\":{\"a\":\"1\",\"org.systemd.property.CPUWeight\":\"2\",\"run.oci.seccomp_bpf_data\":\"3\"," \
	      "\"run.oci.keep_original_groups\":\"4\",\"x.unsafe\":\"5\",\"y.a\":\"6\",\"y\":\"7\"}}"

START_TEST(commands_are_dropped_unless_allowed_by_their_whole_name)
{
	static const char text[] = "{\"potentiallyUnsafeConfigAnnotations\":[\"x.unsafe\",\"y.\",\"\",\"a.b\"]}";
	const char *allowed[] = { "run.oci.keep_original_groups", "org.systemd.", "org.systemd.property.CPU", NULL };
	struct ocispec *features = NULL, *s = parsed(MIXED);

	ck_assert_int_eq(ocispec_parse_as(OCISPEC_FEATURES, text, strlen(text), &features, NULL), 0);
	ck_assert_int_eq(ocispec_drop_commands(s, allowed, features), 0);
	ck_prints(s, "{\"annotations\":{\"a\":\"1\",\"run.oci.keep_original_groups\":\"4\",\"y\":\"7\"}}");
	s = parsed(MIXED);
	ck_assert_int_eq(ocispec_drop_commands(s, NULL, NULL), 0);
	ck_prints(s, "{\"annotations\":{\"a\":\"1\",\"x.unsafe\":\"5\",\"y.a\":\"6\",\"y\":\"7\"}}");
	s = parsed("{\"annotations\":{\"krun.x\":\"y\"},\"hostname\":\"h\"}");
	ck_assert_int_eq(ocispec_drop_commands(s, NULL, NULL), 0);
	ck_prints(s, "{\"hostname\":\"h\"}");
	ocispec_free(features);
}
END_TEST

RUN_TESTS("annotations", annotations_are_counted_and_walked, the_last_one_removed_takes_the_map_along, empty_keys_are_refused,
	  commands_are_known_by_their_beginnings, commands_are_dropped_unless_allowed_by_their_whole_name)
