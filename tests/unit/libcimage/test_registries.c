/* SPDX-License-Identifier: Apache-2.0 */
#include "ref.h"
#include "registries.h"
#include "unit.h"

static struct registries *conf(const char *text)
{
	struct cimage_error err = { 0 };
	struct registries *r = NULL;

	ck_assert_msg(registries_parse(text, strlen(text), "t.conf", true, &r, &err) == 0, "%s: %s", text, err.message);
	return r;
}

static void refused(const char *text, const char *said)
{
	struct registries *r = (void *)1;
	struct cimage_error err = { 0 };
	int k = registries_parse(text, strlen(text), "t.conf", true, &r, &err);

	ck_assert_msg(k == CIMAGE_E_INVALID || k == CIMAGE_E_UNSUPPORTED, "%s", text);
	ck_assert_ptr_eq(r, (void *)1);
	ck_assert_msg(strstr(err.message, said) && strstr(err.message, "t.conf"), "%s: %s", text, err.message);
}

/* The places for name, joined by ' ', '!' before an insecure one. */
static void gives(struct registries *r, const char *name, const char *expected)
{
	struct cimage_ref *ref = ref_of(name);
	_cleanup_str_ struct str s = STR_INIT;
	struct cimage_error err = { 0 };
	struct pull_source *sources;
	size_t n, i;
	int k = registries_sources(r, ref, &sources, &n, &err);

	ck_assert_msg(k == 0, "%s: %s", name, err.message);
	for (i = 0; i < n; i++) {
		ck_assert_int_eq(sources[i].mirror, i + 1 < n);
		str_appendf(&s, "%s%s%s", i ? " " : "", sources[i].insecure ? "!" : "", cimage_ref_string(sources[i].ref));
	}
	ck_assert_str_eq(s.data, expected);
	pull_sources_free(sources, n);
	cimage_ref_free(ref);
}

static int fails(struct registries *r, const char *name, const char *said)
{
	struct cimage_ref *ref = ref_of(name);
	struct cimage_error err = { 0 };
	struct pull_source *sources;
	size_t n;
	int k = registries_sources(r, ref, &sources, &n, &err);

	ck_assert_int_gt(k, 0);
	ck_assert_msg(strstr(err.message, said), "%s", err.message);
	cimage_ref_free(ref);
	return k;
}

START_TEST(prefixes_end_where_a_part_ends)
{
	ck_assert_uint_eq(registry_match("example.com/a/b:t", "example.com"), 11);
	ck_assert_uint_eq(registry_match("example.com:5000/a", "example.com"), 11);
	ck_assert_uint_eq(registry_match("example.com/a/b:t", "example.com/a"), 13);
	ck_assert_uint_eq(registry_match("example.com/a/b:t", "example.com/a/b"), 15);
	ck_assert_uint_eq(registry_match("example.com/a/b:t", "example.com/a/b:t"), 17);
	ck_assert_uint_eq(registry_match("example.com/a@" SHA, "example.com/a"), 13);
	ck_assert_uint_eq(registry_match("example.com/ab", "example.com/a"), 0);
	ck_assert_uint_eq(registry_match("example.com.evil/a", "example.com"), 0);
	ck_assert_uint_eq(registry_match("example.co", "example.com"), 0);
}
END_TEST

START_TEST(wildcards_match_subdomains_of_any_depth)
{
	ck_assert_uint_eq(registry_match("a.example.com/x", "*.example.com"), 13);
	ck_assert_uint_eq(registry_match("b.a.example.com:5/x", "*.example.com"), 15);
	ck_assert_uint_eq(registry_match("a.example.com.b.example.com/x", "*.example.com"), 27);
	ck_assert_uint_eq(registry_match("example.com/x", "*.example.com"), 0);
	ck_assert_uint_eq(registry_match(".example.com/x", "*.example.com"), 0);
	ck_assert_uint_eq(registry_match("other.io/a.example.com", "*.example.com"), 0);
	ck_assert_uint_eq(registry_match("aexample.com/x", "*.example.com"), 0);
	ck_assert_uint_eq(registry_match("a.example.com.evil/x", "*.example.com"), 0);
}
END_TEST

START_TEST(the_longest_prefix_wins)
{
	struct registries *r = conf(
		"[[registry]]\nlocation='h.io'\ninsecure=true\n"
		"[[registry]]\nprefix='h.io/team'\nlocation='team.io'\n"
		"[[registry]]\nprefix='h.io/team/app:old'\nlocation='attic.io/app:1'\n"
		"[[registry]]\nprefix='h.io/team'\nlocation='second.io'\n");

	gives(r, "h.io/x:t", "!h.io/x:t");
	gives(r, "h.io/team/x:t", "team.io/x:t");
	gives(r, "h.io/team/app:old", "attic.io/app:1");
	gives(r, "h.io/team/app:older", "team.io/app:older");
	gives(r, "other.io/team/app:older", "other.io/team/app:older");
	registries_free(r);
}
END_TEST

START_TEST(mirrors_come_first_and_may_be_limited)
{
	struct registries *r = conf(
		"[[registry]]\nprefix='example.com/foo'\nlocation='internal.net/bar'\n"
		"[[registry.mirror]]\nlocation='m0.local/mirror-for-foo/'\n"
		"[[registry.mirror]]\nlocation='m1.local:99'\ninsecure=true\npull-from-mirror='tag-only'\n"
		"[[registry.mirror]]\nlocation='m2.local'\npull-from-mirror='digest-only'\n"
		"[[registry.mirror]]\nlocation='m3.local'\npull-from-mirror='all'\n"
		"[[registry]]\nlocation='d.io'\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation='m.io/d'\n");

	gives(r, "example.com/foo/image:latest", "m0.local/mirror-for-foo/image:latest !m1.local:99/image:latest "
	      "m3.local/image:latest internal.net/bar/image:latest");
	gives(r, "example.com/foo/image@" SHA, "m0.local/mirror-for-foo/image@" SHA " m2.local/image@" SHA
	      " m3.local/image@" SHA " internal.net/bar/image@" SHA);
	gives(r, "d.io/x:t", "d.io/x:t");
	gives(r, "d.io/x@" SHA, "m.io/d/x@" SHA " d.io/x@" SHA);
	registries_free(r);
}
END_TEST

START_TEST(a_wildcard_without_location_keeps_the_name)
{
	struct registries *r = conf("[[registry]]\nprefix='*.example.com'\ninsecure=true\n"
				    "[[registry.mirror]]\nlocation='cache.io/e'\n"
				    "[[registry]]\nprefix='*.deep.example.com'\nlocation='deep.io'\n");

	gives(r, "a.example.com/x:t", "cache.io/e/x:t !a.example.com/x:t");
	gives(r, "b.deep.example.com/x:t", "deep.io/x:t");
	registries_free(r);
}
END_TEST

START_TEST(a_rewrite_that_gives_no_full_name_is_an_error)
{
	struct registries *r = conf("[[registry]]\nprefix='h.io/x'\nlocation='single'\n"
				    "[[registry]]\nprefix='i.io'\nlocation='UPPER.io/X'\n");

	ck_assert_int_eq(fails(r, "h.io/x/y:t", "not a full name"), CIMAGE_E_INVALID);
	ck_assert_int_eq(fails(r, "i.io/y:t", "lower case"), CIMAGE_E_INVALID);
	registries_free(r);
}
END_TEST

START_TEST(blocked_says_where)
{
	struct registries *r = conf("[[registry]]\nlocation='bad.io'\nblocked=true\n");

	ck_assert_int_eq(fails(r, "bad.io/x:t", "registry bad.io is blocked in t.conf"), CIMAGE_E_BLOCKED);
	gives(r, "good.io/x:t", "good.io/x:t");
	registries_free(r);
}
END_TEST

START_TEST(malformed_files_are_refused)
{
	refused("[[registry]", "line 1");
	refused("[[registry]]\ninsecure=true\n", "neither prefix nor location");
	refused("[[registry]]\nprefix='h.io'\n", "no location");
	refused("[[registry]]\nlocation='https://h.io'\n", "not a URL");
	refused("[[registry]]\nlocation=5\n", "not a string");
	refused("[[registry]]\nlocation='h.io'\ninsecure='yes'\n", "true or false");
	refused("[[registry]]\nlocation='h.io'\nblocked=1\n", "true or false");
	refused("[registry]\nlocation='h.io'\n", "array of tables");
	refused("registry=[1]\n", "array of tables");
	refused("[[registry]]\nprefix='*.h.io/x'\nlocation='l.io'\n", "subdomains only");
	refused("[[registry]]\nprefix='*.h.io:5'\n", "subdomains only");
	refused("[[registry]]\nlocation='h.io'\n[[registry.mirror]]\ninsecure=true\n", "no location");
	refused("[[registry]]\nlocation='h.io'\npull-from-mirror='all'\n", "belongs to a mirror");
	refused("[[registry]]\nlocation='h.io'\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation='m'\n"
		"pull-from-mirror='all'\n", "belongs to a mirror");
	refused("[[registry]]\nlocation='h.io'\n[[registry.mirror]]\nlocation='m'\npull-from-mirror='some'\n", "none of");
	refused("[[registry]]\nlocation='h.io'\n[[registry]]\nprefix='p.io'\nlocation='h.io'\ninsecure=true\n", "differing");
	refused("unqualified-search-registries='x'\n", "list of strings");
	refused("unqualified-search-registries=['x']\n", "host[:port]");
	refused("unqualified-search-registries=['a.io/x']\n", "host[:port]");
	refused("short-name-mode='loose'\n", "short-name-mode");
	refused("aliases=1\n", "not a table");
	refused("[aliases]\n'a'=1\n", "not a string");
	refused("[aliases]\n'a:t'='h.io/x'\n", "without registry");
	refused("[aliases]\n'h.io/a'='h.io/x'\n", "without registry");
	refused("[aliases]\n'a'='x'\n", "with registry");
	refused("[aliases]\n'a'='h.io/x:t'\n", "without tag");
	refused("[aliases]\n'a'='h.io/X'\n", "lower case");
	refused("[registries.search]\nregistries=['a.io']\n[[registry]]\nlocation='h.io'\n", "mixing");
	refused("unqualified-search-registries=['b.io']\n[registries.block]\nregistries=['a.io']\n", "mixing");
	refused("registries=['a.io']\n", "not a table");
	refused("[registries]\nsearch=['a.io']\n", "not a table");
	refused("[registries.block]\nregistries='a.io'\n", "list of strings");
	refused("[registries.block]\nregistries=['https://a.io']\n", "not a URL");
}
END_TEST

START_TEST(version_1_says_the_same_in_other_words)
{
	struct registries *r = conf("[registries.search]\nregistries=['a.io','b.io:5']\n[registries.insecure]\nregistries=['b.io:5','c.io/']\n"
				    "[registries.block]\nregistries=['d.io']\n"), *drop_in = (void *)1;
	static const char old[] = "[registries.block]\nregistries=['d.io']\n", empty[] = "[registries.block]\nregistries=[]\n";
	struct cimage_ref *ref = ref_of("d.io/x:t");
	struct cimage_error err = { 0 };
	struct pull_source *sources;
	size_t n;

	ck_assert_str_eq(r->search[0], "a.io");
	ck_assert_str_eq(r->search[1], "b.io:5");
	ck_assert_ptr_null(r->search[2]);
	gives(r, "a.io/x:t", "a.io/x:t");
	gives(r, "b.io:5/x:t", "!b.io:5/x:t");
	gives(r, "c.io/x:t", "!c.io/x:t");
	ck_assert_int_eq(registries_sources(r, ref, &sources, &n, &err), CIMAGE_E_BLOCKED);
	registries_free(r);
	cimage_ref_free(ref);
	/* drop-ins are of version 2, but lists without content say nothing */
	ck_assert_int_eq(registries_parse(old, strlen(old), "t.conf", false, &drop_in, &err), CIMAGE_E_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "version 1"));
	ck_assert_int_eq(registries_parse(empty, strlen(empty), "t.conf", false, &drop_in, &err), 0);
	ck_assert_uint_eq(drop_in->count, 0);
	registries_free(drop_in);
}
END_TEST

START_TEST(later_files_go_over_earlier_ones)
{
	struct registries *r = conf("unqualified-search-registries=['a.io']\nshort-name-mode='permissive'\n"
				    "[[registry]]\nlocation='h.io'\ninsecure=true\n[aliases]\n'one'='a.io/1'\n'two'='a.io/2'\n");
	struct registries *next = conf("unqualified-search-registries=[]\n[[registry]]\nlocation='h.io'\n"
				       "[[registry]]\nlocation='i.io'\n[aliases]\n'one'=''\n'two'='b.io/2'\n'three'='b.io/3'\n");

	ck_assert_int_eq(registries_merge(r, next), 0);
	registries_free(next);
	ck_assert_uint_eq(r->count, 2);
	ck_assert(!r->items[0].insecure);
	ck_assert_str_eq(r->mode, "permissive");
	ck_assert(!r->search || !r->search[0]);
	ck_assert_ptr_null(registries_alias(r, "one"));
	ck_assert_str_eq(registries_alias(r, "two"), "b.io/2");
	ck_assert_str_eq(registries_alias(r, "three"), "b.io/3");
	ck_assert_ptr_null(registries_alias(r, "four"));
	registries_free(r);
}
END_TEST

START_TEST(drop_ins_are_read_in_bytewise_order)
{
	struct registries *r = calloc(1, sizeof(*r));
	struct cimage_error err = { 0 };
	struct scratch s;

	scratch_make(&s);
	free(scratch_write(&s, "10.conf", "[aliases]\n'a'='x.io/1'\n"));
	free(scratch_write(&s, "9.conf", "[aliases]\n'a'='x.io/2'\n"));
	free(scratch_write(&s, "99.toml", "not read"));
	ck_assert_int_eq(registries_load_dir(r, s.path, &err), 0);
	ck_assert_str_eq(registries_alias(r, "a"), "x.io/2");
	free(scratch_write(&s, "a.conf", "broken"));
	ck_assert_int_eq(registries_load_dir(r, s.path, &err), CIMAGE_E_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "a.conf"));
	scratch_remove(&s);
	ck_assert_int_eq(registries_load_dir(r, s.path, &err), 0);
	registries_free(r);
}
END_TEST

RUN_TESTS("registries", prefixes_end_where_a_part_ends, wildcards_match_subdomains_of_any_depth, the_longest_prefix_wins,
	  mirrors_come_first_and_may_be_limited, a_wildcard_without_location_keeps_the_name,
	  a_rewrite_that_gives_no_full_name_is_an_error, blocked_says_where, malformed_files_are_refused,
	  version_1_says_the_same_in_other_words,
	  later_files_go_over_earlier_ones, drop_ins_are_read_in_bytewise_order)
