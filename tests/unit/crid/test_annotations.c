/* SPDX-License-Identifier: Apache-2.0 */
/* Which annotations of CRI-O a pod keeps, and their values. */
#include <cbase/str.h>
#include "annotations.h"
#include "errors.h"
#include "unit.h"

static struct cb_error error;
#define T(s) ((char[]){ s })

START_TEST(only_allowed_ones_stay)
{
	char *pairs[] = { T("a"), T("1"), T("devices.crio.io"), T("2"), T("shm-size.crio.io"), T("3"), T("io.kubernetes.cri-o.umask"),
			  T("4"), T("unified-cgroup.crio.io/c"), T("5"), T("userns-mode.crio.io"), T("6"), T("devices.crio.iox"), T("7"),
			  T("link-logs.crio.io"), T("x"), NULL };
	char *allowed[] = { T("umask.crio.io"), T("io.kubernetes.cri-o.UnifiedCgroup"), T("link-logs.crio.io"), T("devices.crio.io/x"), NULL };

	annotations_drop(NULL, allowed);
	annotations_drop(pairs, allowed);
	ck_assert_uint_eq(strv_len(pairs), 8);
	ck_assert_str_eq(pairs[0], "a");
	ck_assert_str_eq(pairs[2], "io.kubernetes.cri-o.umask");
	ck_assert_str_eq(pairs[4], "unified-cgroup.crio.io/c");
	ck_assert_str_eq(pairs[6], "devices.crio.iox");
	ck_assert_str_eq(pairs[7], "7");
	annotations_drop(pairs, NULL);
	ck_assert_uint_eq(strv_len(pairs), 4);
}
END_TEST

START_TEST(new_spelling_wins)
{
	char *pairs[] = { T("io.kubernetes.cri-o.umask"), T("old"), T("umask.crio.io"), T("new"), T("io.kubernetes.cri-o.UnifiedCgroup/c"),
			  T("of c"), T("unified-cgroup.crio.io"), T("of the pod"), T("umask.crio.iox"), T("no"), NULL };

	ck_assert_str_eq(annotation_get(pairs, ANNOTATION_UMASK, ""), "new");
	ck_assert_str_eq(annotation_get(pairs, ANNOTATION_UNIFIED_CGROUP, "c"), "of c");
	ck_assert_str_eq(annotation_get(pairs, ANNOTATION_UNIFIED_CGROUP, ""), "of the pod");
	ck_assert_ptr_null(annotation_get(pairs, ANNOTATION_UNIFIED_CGROUP, "d"));
	ck_assert_ptr_null(annotation_get(pairs, ANNOTATION_DEVICES, ""));
	ck_assert_ptr_null(annotation_get(NULL, ANNOTATION_DEVICES, ""));
}
END_TEST

START_TEST(sizes)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} good[] = { { "1", 1 }, { "100b", 100 }, { "64m", 64 << 20 }, { "64Mi", 64 << 20 }, { "2GiB", 2ll << 30 }, { "3KB", 3 << 10 } };
	static const char *const bad[] = { "", "0", "-1", "+1", " 1", "1 m", "1q", "1mm", "m", "1bb1", "9223372036854775808", "99999999999g" };
	int64_t v = 0;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert_msg(!annotation_parse_size(good[i].text, &v, &error), "%s", good[i].text);
		ck_assert_int_eq(v, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(annotation_parse_size(bad[i], &v, &error) == E_INVALID, "%s", bad[i]);
}
END_TEST

START_TEST(umasks)
{
	static const char *const bad[] = { "", "8", "1000", "00777", "-1", "0x7", "77 " };
	uint32_t v = 0;

	ck_assert_int_eq(annotation_parse_umask("0027", &v, &error), 0);
	ck_assert_uint_eq(v, 027);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(annotation_parse_umask(bad[i], &v, &error) == E_INVALID, "%s", bad[i]);
}
END_TEST

UNIT_MAIN("annotations", only_allowed_ones_stay, new_spelling_wins, sizes, umasks)
