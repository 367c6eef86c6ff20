/* SPDX-License-Identifier: Apache-2.0 */
#include "ref.h"
#include "unit.h"

static void parses(const char *text, int default_tag, const char *string)
{
	struct cimage_error err = { 0 };
	struct cimage_ref *r = NULL;

	ck_assert_msg(cimage_ref_parse(text, default_tag, &r, &err) == 0, "%s: %s", text, err.message);
	ck_assert_str_eq(cimage_ref_string(r), string);
	cimage_ref_free(r);
}

static void refused(const char *text)
{
	struct cimage_ref *r = (void *)1;
	struct cimage_error err = { 0 };

	ck_assert_msg(cimage_ref_parse(text, 1, &r, &err) == CIMAGE_E_INVALID, "%s", text);
	ck_assert_ptr_eq(r, (void *)1);
	ck_assert_int_eq(err.code, CIMAGE_E_INVALID);
	ck_assert(utf8_valid(err.message, strlen(err.message)));
	for (const char *p = err.message; *p; p++)
		ck_assert_int_ge(*p, 0x20);
}

START_TEST(names_are_normalised_as_docker_does)
{
	parses("busybox", 0, "docker.io/library/busybox");
	parses("busybox", 1, "docker.io/library/busybox:latest");
	parses("busybox:1.36", 1, "docker.io/library/busybox:1.36");
	parses("team/app", 1, "docker.io/team/app:latest");
	parses("docker.io/busybox", 0, "docker.io/library/busybox");
	parses("index.docker.io/busybox", 0, "docker.io/library/busybox");
	parses("localhost/x", 0, "localhost/x");
	parses("localhost:5000/x/y/z:t", 0, "localhost:5000/x/y/z:t");
	parses("host.example/x@" SHA, 1, "host.example/x@" SHA);
	parses("host.example/x:t@" SHA, 1, "host.example/x:t@" SHA);
	parses("127.0.0.1:80/x", 0, "127.0.0.1:80/x");
	parses("host:5000", 0, "docker.io/library/host:5000");	/* a tag: there is no '/' */
	parses("Host.Example/x", 0, "Host.Example/x");
	parses("a.b-c.d/a_b/a__b/a---b/a.b/1", 0, "a.b-c.d/a_b/a__b/a---b/a.b/1");
	parses("x:_T.-9", 0, "docker.io/library/x:_T.-9");
}
END_TEST

START_TEST(parts_can_be_asked_for)
{
	struct cimage_ref *r = ref_of("h.io:1/a/b:t@" SHA);

	ck_assert_str_eq(cimage_ref_domain(r), "h.io:1");
	ck_assert_str_eq(cimage_ref_path(r), "a/b");
	ck_assert_str_eq(cimage_ref_name(r), "h.io:1/a/b");
	ck_assert_str_eq(cimage_ref_tag(r), "t");
	ck_assert_str_eq(cimage_ref_digest(r), SHA);
	cimage_ref_free(r);
	r = ref_of("x");
	ck_assert_ptr_null(cimage_ref_tag(r));
	ck_assert_ptr_null(cimage_ref_digest(r));
	ck_assert_ptr_null(cimage_ref_free(r));
	ck_assert_ptr_null(cimage_ref_free(NULL));
}
END_TEST

START_TEST(bad_names_are_refused)
{
	static const char *const bad[] = {
		"", "/", "a/", "/a", "a//b", "A", "a/B", "a b", " a", "a ", "a\n", "a\tb", "-a", "a-", "a..b", "a._b", "a___b",
		"_a", "a.", ".", "..", "../x", "x/../y", "x/./y", "h.io/", "h.io//x", "-h.io/x", "h-.io/x", "h..io/x", ".io/x",
		"h.io:/x", "h.io:p/x", "h.io:1:2/x", ":5/x", "h_o.io/x", "[::1]/x", "[::1]:5/x", "http://h.io/x", "h.io/x?y",
		"h.io/x#y", "h.io/%2e", "x\xc3\xa9", "\xff", "x\x7f", "user@h.io/x", HEX64,
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refused(bad[i]);
}
END_TEST

START_TEST(bad_tags_are_refused)
{
	char longest[2 + 129 + 1] = "x:";

	refused("x:");
	refused("x:.a");
	refused("x:-a");
	refused("x:a b");
	refused("x:a:b");
	refused("x:a/b");
	memset(longest + 2, 't', 129);
	refused(longest);
	longest[2 + 128] = '\0';
	parses(longest, 0, strcat((char[200]){ "docker.io/library/" }, longest));
}
END_TEST

START_TEST(bad_digests_are_refused)
{
	refused("x@");
	refused("x@sha256:");
	refused("x@sha256:" "0123");
	refused("x@" SHA "0");
	refused("x@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef");
	refused("x@sha256:../3456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	refused("x@md5:0123456789abcdef0123456789abcdef");
	refused("x@SHA256:" HEX64);
	refused("x@" SHA "@" SHA);
	refused("@" SHA);
	parses("x@sha512:" HEX64 HEX64, 0, "docker.io/library/x@sha512:" HEX64 HEX64);
	parses("x@sha384:" HEX64 "0123456789abcdef0123456789abcdef", 0,
	       "docker.io/library/x@sha384:" HEX64 "0123456789abcdef0123456789abcdef");
}
END_TEST

START_TEST(long_names_are_refused)
{
	char text[2000] = "h.io/";
	struct cimage_ref *r;

	memset(text + 5, 'a', 250);
	r = ref_of(text);
	ck_assert_uint_eq(strlen(cimage_ref_name(r)), 255);
	cimage_ref_free(r);
	text[255] = 'a';
	refused(text);
	memset(text + 5, 'a', 1990);
	refused(text);
	/* docker.io/library/ counts too */
	memset(text, 'a', 238);
	text[238] = '\0';
	refused(text);
	text[237] = '\0';
	cimage_ref_free(ref_of(text));
}
END_TEST

START_TEST(short_names_have_no_registry)
{
	ck_assert_int_eq(cimage_ref_is_short("busybox"), 1);
	ck_assert_int_eq(cimage_ref_is_short("busybox:1"), 1);
	ck_assert_int_eq(cimage_ref_is_short("team/app"), 1);
	ck_assert_int_eq(cimage_ref_is_short("host:5000"), 1);
	ck_assert_int_eq(cimage_ref_is_short("localhost/x"), 0);
	ck_assert_int_eq(cimage_ref_is_short("example.com/x"), 0);
	ck_assert_int_eq(cimage_ref_is_short("h:5000/x"), 0);
	ck_assert_int_eq(cimage_ref_is_short("localhosts/x"), 1);
	ck_assert_int_eq(cimage_ref_is_short(NULL), 0);
}
END_TEST

START_TEST(fetching_asks_for_a_digest_or_a_tag)
{
	static const char *const pairs[][2] = {
		{ "h.io/x", "h.io/x:latest" },
		{ "h.io/x:t", "h.io/x:t" },
		{ "h.io/x:t@" SHA, "h.io/x@" SHA },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct cimage_ref *r = ref_of(pairs[i][0]), *asked;

		ck_assert_int_eq(ref_for_fetch(r, &asked), 0);
		ck_assert_str_eq(cimage_ref_string(asked), pairs[i][1]);
		cimage_ref_free(asked);
		cimage_ref_free(r);
	}
}
END_TEST

START_TEST(null_arguments_are_einval)
{
	struct cimage_ref *r;

	ck_assert_int_eq(cimage_ref_parse(NULL, 0, &r, NULL), -EINVAL);
	ck_assert_int_eq(cimage_ref_parse("x", 0, NULL, NULL), -EINVAL);
	ck_assert_int_eq(cimage_ref_parse("X", 0, &r, NULL), CIMAGE_E_INVALID);
}
END_TEST

RUN_TESTS("ref", names_are_normalised_as_docker_does, parts_can_be_asked_for, bad_names_are_refused, bad_tags_are_refused,
	  bad_digests_are_refused, long_names_are_refused, short_names_have_no_registry, fetching_asks_for_a_digest_or_a_tag,
	  null_arguments_are_einval)
