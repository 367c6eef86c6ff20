/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

START_TEST(one_mount_per_destination)
{
	struct ocispec *s =
		parsed("{\"mounts\":[{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"x\":1},"
		       "{\"destination\":\"/a\"}]}");
	const char *options[] = { "bind", "ro", NULL };

	ck_assert_int_eq(ocispec_set_mount(s, "/dev/", "bind", "/src", options), 0);
	ck_assert_int_eq(ocispec_set_mount(s, "/b", NULL, NULL, NULL), 0);
	ck_assert(ocispec_has_mount(s, "//dev"));
	ck_assert(!ocispec_has_mount(s, "/de"));
	ck_prints(s, "{\"mounts\":[{\"destination\":\"/dev/\",\"type\":\"bind\",\"source\":\"/"
		     "src\",\"options\":"
		     "[\"bind\",\"ro\"]},{\"destination\":\"/a\"},{\"destination\":\"/b\"}]}");
}
END_TEST

START_TEST(removing_takes_every_spelling)
{
	struct ocispec *s = parsed("{\"mounts\":[{\"destination\":\"/p\"},{\"destination\":\"/"
				   "q\"},{\"destination\":\"/p/\"}]}");

	ck_assert_int_eq(ocispec_remove_mount(s, "/x"), OCISPEC_E_NOT_FOUND);
	ck_assert_int_eq(ocispec_remove_mount(s, "/p"), 0);
	ck_assert_int_eq(ocispec_remove_mount(s, "/p"), OCISPEC_E_NOT_FOUND);
	ck_prints(s, "{\"mounts\":[{\"destination\":\"/q\"}]}");
}
END_TEST

START_TEST(sorting_puts_parents_first_and_keeps_ties)
{
	struct ocispec *s =
		parsed("{\"mounts\":[{\"destination\":\"/a/b/c\"},{\"destination\":\"/z\"},"
		       "{\"destination\":\"/a/x\"},{\"destination\":\"/a\"},{},{\"destination\":\"/"
		       "a/b/../q\"}]}");

	ck_assert_int_eq(ocispec_sort_mounts(s), 0);
	ck_assert_int_eq(ocispec_set_mount(s, "/last", NULL, NULL, NULL), 0);
	ck_prints(s, "{\"mounts\":[{},{\"destination\":\"/z\"},{\"destination\":\"/"
		     "a\"},{\"destination\":\"/a/x\"},"
		     "{\"destination\":\"/a/b/../q\"},{\"destination\":\"/a/b/"
		     "c\"},{\"destination\":\"/last\"}]}");
	s = parsed("{}");
	ck_assert_int_eq(ocispec_sort_mounts(s), 0);
	ck_prints(s, "{}");
}
END_TEST

START_TEST(privileged_mounts_become_writable)
{
	struct ocispec *s = parsed("{\"mounts\":[{\"options\":[\"ro\",\"nosuid\"]},{},{\"options\":"
				   "[\"rro\",\"x\",\"ro\"]}]}");

	ck_assert_int_eq(ocispec_mounts_writable(s), 0);
	ck_prints(s, "{\"mounts\":[{\"options\":[\"rw\",\"nosuid\"]},{},{\"options\":[\"rro\","
		     "\"x\",\"rw\"]}]}");
}
END_TEST

START_TEST(bad_mounts_are_refused)
{
	struct ocispec *s = parsed("{}");
	const char *options[] = { "\xfe", NULL };

	ck_assert_int_eq(ocispec_set_mount(s, "rel", NULL, NULL, NULL), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_mount(s, "", NULL, NULL, NULL), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_mount(s, "/a", "x\n", NULL, NULL), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_mount(s, "/a", NULL, "\xff", NULL), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_mount(s, "/a", NULL, NULL, options), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_mount(s, NULL, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(ocispec_set_rootfs_propagation(s, "both"), OCISPEC_E_INVALID);
	ck_prints(s, "{}");
}
END_TEST

START_TEST(propagation_and_label_are_set_and_removed)
{
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_set_mount_label(s, "l"), 0);
	ck_assert_int_eq(ocispec_set_rootfs_propagation(s, "rslave"), 0);
	ck_assert_int_eq(ocispec_set_mount_label(s, ""), 0);
	ck_prints(s, "{\"linux\":{\"rootfsPropagation\":\"rslave\"}}");
}
END_TEST

#define MANY 10000

/* Each found again among the others; with a list searched from its beginning this would take seconds. */
START_TEST(ten_thousand_mounts)
{
	struct ocispec *s = parsed("{}"), *again = NULL;
	struct ocispec_error err = { 0 };
	const char *options[] = { "rbind", "ro", NULL };
	char path[64], *text = NULL;
	size_t len;

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < MANY; i++) {
			snprintf(path, sizeof(path), round ? "//volumes/./%d/" : "/volumes/%d", i);
			ck_assert_int_eq(ocispec_set_mount(s, path, "bind", "/srv", options), 0);
		}
	ck_assert_uint_eq(ocispec_count(s, "mounts"), MANY);
	ck_assert_int_eq(ocispec_has_mount(s, "/volumes/9999"), 1);
	ck_assert_int_eq(ocispec_has_mount(s, "/volumes/10000"), 0);
	ck_assert_int_eq(ocispec_remove_mount(s, "/volumes/5000"), 0);
	ck_assert_int_eq(ocispec_has_mount(s, "/volumes/5000"), 0);
	ck_assert_int_eq(ocispec_sort_mounts(s), 0);
	ck_assert_int_eq(ocispec_format(s, 0, &text, &len), 0);
	ck_assert_int_eq(ocispec_parse(text, len, &again, &err), 0);
	ck_assert_uint_eq(ocispec_count(again, "mounts"), MANY - 1);
	ck_assert_int_eq(ocispec_validate(again, NULL, NULL), OCISPEC_E_INVALID);	/* no root */
	free(text);
	ocispec_free(again);
	ocispec_free(s);
}
END_TEST

START_TEST(mounts_set_by_other_ways_are_found)
{
	static const char list[] = "[{\"destination\":\"/b\"}]", one[] = "{\"destination\":\"/c\"}";
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_set_mount(s, "/a", NULL, NULL, NULL), 0);
	ck_assert_int_eq(ocispec_set_json(s, "mounts", list, strlen(list), NULL), 0);
	ck_assert_int_eq(ocispec_has_mount(s, "/a"), 0);
	ck_assert_int_eq(ocispec_set_mount(s, "/b/", "tmpfs", NULL, NULL), 0);
	ck_assert_int_eq(ocispec_append_json(s, "mounts", one, strlen(one), NULL), 0);
	ck_assert_int_eq(ocispec_set_mount(s, "/c", "proc", NULL, NULL), 0);
	ck_assert_int_eq(ocispec_add_mount_id_mapping(s, "/c", 0, 0, 1000, 1), 0);
	ck_assert_int_eq(ocispec_add_mount_id_mapping(s, "/c", 1, 0, 1000, 0), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_add_mount_id_mapping(s, "/x", 1, 0, 1000, 1), OCISPEC_E_NOT_FOUND);
	ck_prints(s, "{\"mounts\":[{\"destination\":\"/b/\",\"type\":\"tmpfs\"},{\"destination\":\"/c\",\"type\":\"proc\","
		     "\"uidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":1}]}]}");
}
END_TEST

RUN_TESTS("mounts", one_mount_per_destination, ten_thousand_mounts, mounts_set_by_other_ways_are_found, removing_takes_every_spelling,
	  sorting_puts_parents_first_and_keeps_ties, privileged_mounts_become_writable,
	  bad_mounts_are_refused, propagation_and_label_are_set_and_removed)
