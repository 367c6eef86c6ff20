/* SPDX-License-Identifier: Apache-2.0 */
/* Names: parents of CRI, paths, and what config.json says. Nothing is looked at. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <cbase/str.h>
#include "cgroup_path.h"
#include "errors.h"

static struct cb_error error;

static const char *path_for(bool systemd, const char *parent)
{
	static char out[4096];
	char *path;
	int r = cgroup_path(systemd, parent, "ab12", &path, &error);

	if (r) {
		snprintf(out, sizeof(out), "E%d", r);
		return out;
	}
	snprintf(out, sizeof(out), "%s", path);
	free(path);
	return out;
}

START_TEST(path_is_parent_and_id)
{
	ck_assert_str_eq(path_for(false, ""), "/crio/crio-ab12");
	ck_assert_str_eq(path_for(false, "/"), "/crio-ab12");
	ck_assert_str_eq(path_for(false, "/kubepods/burstable/pod1"), "/kubepods/burstable/pod1/crio-ab12");
	ck_assert_str_eq(path_for(false, "/kubepods//pod1/"), "/kubepods/pod1/crio-ab12");
	ck_assert_str_eq(path_for(false, "/a.slice/b"), "/a.slice/b/crio-ab12");
	ck_assert_str_eq(path_for(false, "/..a"), "/..a/crio-ab12");
}
END_TEST

START_TEST(slices_are_in_their_parents)
{
	ck_assert_str_eq(path_for(true, ""), "/system.slice/crio-ab12.scope");
	ck_assert_str_eq(path_for(true, "a.slice"), "/a.slice/crio-ab12.scope");
	ck_assert_str_eq(path_for(true, "/test.slice"), "/test.slice/crio-ab12.scope");
	ck_assert_str_eq(path_for(true, "-.slice"), "/crio-ab12.scope");
	ck_assert_str_eq(path_for(true, "kubepods-burstable-pod1_2.slice"),
			 "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/crio-ab12.scope");
	ck_assert_str_eq(path_for(true, "/kubepods.slice/kubepods-x.slice"),
			 "/kubepods.slice/kubepods-x.slice/crio-ab12.scope");
}
END_TEST

START_TEST(hostile_parents_are_invalid)
{
	static const char *const paths[] = { "kubepods", "/kubepods/pod.slice", "/pod.slice/", "/..", "/a/../b", "/a/..",
		"/./a", "/a/.", "..", "/a\nb", "/a\x7f", "/\x01" };
	static const char *const slices[] = { "/", "a", "/kubepods", "a.scope", ".slice", "-a.slice", "a-.slice",
		"a--b.slice", "--.slice", "a b.slice", "a\n.slice", "../a.slice", "a'.slice", "a\xc3\xa4.slice" };
	static char deep[3000], wide[300];

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		ck_assert_msg(streq(path_for(false, paths[i]), "E2"), "%s", paths[i]);
	for (size_t i = 0; i < ARRAY_SIZE(slices); i++)
		ck_assert_msg(streq(path_for(true, slices[i]), "E2"), "%s", slices[i]);
	for (size_t i = 0; i < sizeof(deep) - 1; i++)
		deep[i] = i % 2 ? 'a' : '/';
	ck_assert_str_eq(path_for(false, deep), "E2");
	memset(wide, 'a', sizeof(wide) - 1);
	wide[0] = '/';
	ck_assert_str_eq(path_for(false, wide), "E2");
	memcpy(wide + sizeof(wide) - 7, ".slice", 6);
	ck_assert_str_eq(path_for(true, wide), "E2");
}
END_TEST

START_TEST(only_whole_names_are_slices)
{
	ck_assert(slice_is_valid("system.slice"));
	ck_assert(slice_is_valid("-.slice"));
	ck_assert(slice_is_valid("a\\x2db-c.slice"));
	ck_assert(!slice_is_valid("/system.slice"));
	ck_assert(!slice_is_valid("system.slice/"));
	ck_assert(!slice_is_valid(""));
}
END_TEST

static void there_and_back(const char *path, const char *spec)
{
	char *to = cgroup_to_spec(path), *from = cgroup_from_spec(spec);

	ck_assert_str_eq(to, spec);
	ck_assert_str_eq(from, path);
	free(to);
	free(from);
}

START_TEST(config_json_has_slice_prefix_and_id)
{
	there_and_back("/a.slice/a-b.slice/crio-ab12.scope", "a-b.slice:crio:ab12");
	there_and_back("/crio-ab12.scope", "-.slice:crio:ab12");
	there_and_back("/kubepods/x/crio-ab12", "/kubepods/x/crio-ab12");
	there_and_back("", "");
}
END_TEST

START_TEST(text_of_another_form_stays)
{
	static const char *const texts[] = { "a:b", "/x:y:z", "no slice:crio:ab12", "a--b.slice:crio:x", ":crio:x" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char *s = cgroup_from_spec(texts[i]);

		ck_assert_str_eq(s, texts[i]);
		free(s);
	}
}
END_TEST

START_TEST(above_and_slice_of_a_path)
{
	char *above = cgroup_above("/a.slice/a-b.slice/crio-x.scope"), *slice = cgroup_slice("/a.slice/a-b.slice/crio-x.scope"),
	     *root = cgroup_above("/crio-x"), *top = cgroup_slice("/crio-x.scope");

	ck_assert_str_eq(above, "/a.slice/a-b.slice");
	ck_assert_str_eq(slice, "a-b.slice");
	ck_assert_str_eq(root, "");
	ck_assert_str_eq(top, "-.slice");
	free(above);
	free(slice);
	free(root);
	free(top);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cgroup_path");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, path_is_parent_and_id);
	tcase_add_test(t, slices_are_in_their_parents);
	tcase_add_test(t, hostile_parents_are_invalid);
	tcase_add_test(t, only_whole_names_are_slices);
	tcase_add_test(t, config_json_has_slice_prefix_and_id);
	tcase_add_test(t, text_of_another_form_stays);
	tcase_add_test(t, above_and_slice_of_a_path);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
