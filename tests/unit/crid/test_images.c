/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up in a table made by hand. */
#include <cbase/str.h>
#include "images.h"
#include "unit.h"

#define A "aaa0000000000000000000000000000000000000000000000000000000000001"
#define B "aaa0000000000000000000000000000000000000000000000000000000000002"
#define C "bbb0000000000000000000000000000000000000000000000000000000000003"
#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"

static char busybox[] = "docker.io/library/busybox:latest", local[] = "localhost:5000/x/y:1";
static char busybox_digest[] = "docker.io/library/busybox@" D1, bbb0[] = "docker.io/library/bbb0:latest";
static char *names_a[] = { busybox, local, NULL };
static char *digests_a[] = { busybox_digest, NULL };
static char *names_b[] = { bbb0, NULL };
static char *none[] = { NULL };

static struct image list[] = {
	{ .id = A, .names = names_a, .tags = names_a, .repo_digests = digests_a },
	{ .id = B, .names = names_b, .tags = names_b, .repo_digests = none },
	{ .id = C, .names = none, .tags = none, .repo_digests = none },
};
static struct image_table table = { .refs = 1, .images = list, .n = 3 };

static const char *found(const char *text)
{
	const struct image *i = image_table_find(&table, text);

	return i ? i->id : "";
}

START_TEST(found_by_id_and_by_unique_prefix)
{
	ck_assert_str_eq(found(A), A);
	ck_assert_str_eq(found("sha256:" B), B);
	ck_assert_str_eq(found("bbb"), C);
	ck_assert_str_eq(found("aaa"), "");
	ck_assert_str_eq(found("bb"), "");
	ck_assert_str_eq(found("bbb1"), "");
	ck_assert_str_eq(found(A "0"), "");
	ck_assert_str_eq(found("sha256:bbb"), "");
}
END_TEST

START_TEST(found_by_name_with_docker_defaults)
{
	ck_assert_str_eq(found("busybox"), A);
	ck_assert_str_eq(found("docker.io/library/busybox:latest"), A);
	ck_assert_str_eq(found("localhost:5000/x/y:1"), A);
	ck_assert_str_eq(found("localhost:5000/x/y"), "");
	ck_assert_str_eq(found("busybox:2"), "");
	ck_assert_str_eq(found("busybox@" D1), A);
	ck_assert_str_eq(found("other@" D1), "");
	/* a name wins over a prefix of another's id */
	ck_assert_str_eq(found("bbb0"), B);
}
END_TEST

START_TEST(nonsense_finds_nothing)
{
	static const char *const bad[] = { "", "/", ":", "@", "UPPER/x", "a b", "sha256:", "../../etc/passwd", "x@sha256:12", "\xff" };

	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++)
		ck_assert_str_eq(found(bad[n]), "");
}
END_TEST

START_TEST(image_ref_is_a_digest_else_the_id)
{
	struct arena a = ARENA_INIT;

	ck_assert_str_eq(image_ref(&list[0], &a), digests_a[0]);
	ck_assert_str_eq(image_ref(&list[2], &a), C);
	ck_assert_str_eq(image_repo_digests_text(&list[0], &a), digests_a[0]);
	ck_assert_str_eq(image_repo_digests_text(&list[2], &a), "");
	arena_done(&a);
}
END_TEST

UNIT_MAIN("images", found_by_id_and_by_unique_prefix, found_by_name_with_docker_defaults, nonsense_finds_nothing,
	  image_ref_is_a_digest_else_the_id)
