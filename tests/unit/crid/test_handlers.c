/* SPDX-License-Identifier: Apache-2.0 */
/* What a runtime can do, from what it says of itself. The kernel here is new enough for both kinds of mounts. */
#include <string.h>
#include <cbase/str.h>
#include <ocispec.h>
#include "handlers.h"
#include "unit.h"

static struct runtime_handler ask(const char *version, const char *text)
{
	struct runtime_handler h = { 0 };
	struct ocispec *f = NULL;

	if (text)
		ck_assert_int_eq(ocispec_parse_as(OCISPEC_FEATURES, text, strlen(text), &f, NULL), 0);
	handler_set_mounts(&h, version, f);
	ocispec_free(f);
	return h;
}

static void check(const char *version, const char *text, bool idmap, bool rro)
{
	struct runtime_handler h = ask(version, text);

	ck_assert_msg(h.idmap_mounts == idmap, "id-mapped mounts of %s", version);
	ck_assert_msg(h.recursive_ro == rro, "recursive read-only mounts of %s", version);
}

START_TEST(crun_without_features_is_known_by_its_version)
{
	check("crun version 1.8.1\ncommit: f8a09\n", NULL, true, true);
	check("crun version 1.8.4\n", NULL, true, true);
	check("crun version 2.0\n", NULL, true, true);
	check("crun version 1.8\n", NULL, false, false);
	check("crun version 1.7.2\n", NULL, false, false);
	check("crun version 0.20.1\n", NULL, false, false);
	check("crun version UNKNOWN\n", NULL, false, false);
}
END_TEST

START_TEST(features_are_believed)
{
	check("runc version 1.1.5+ds1\n", "{\"mountOptions\":[\"ro\",\"rro\"]}", false, true);
	check("runc version 1.2.0\n", "{\"mountOptions\":[\"rro\"],\"linux\":{\"mountExtensions\":{\"idmap\":{\"enabled\":true}}}}", true, true);
	check("crun version 1.9\n", "{\"mountOptions\":[\"ro\"],\"linux\":{\"mountExtensions\":{\"idmap\":{\"enabled\":false}}}}", false, false);
	check("crun version 1.9\n", "{}", false, false);
}
END_TEST

START_TEST(who_says_nothing_can_nothing)
{
	check(NULL, NULL, false, false);
	check("runc version 1.0.0\n", NULL, false, false);
	check("my crun version 1.9\n", NULL, false, false);
}
END_TEST

UNIT_MAIN("handlers", crun_without_features_is_known_by_its_version, features_are_believed, who_says_nothing_can_nothing)
