/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/challenge.h"
#include "transports/url.h"
#include <strings.h>
#include "unit.h"

/* The challenges as text: SCHEME[realm|service|scope|error] ... */
static void gives(const char *header, const char *expected)
{
	static const char *const names[] = { "other", "basic", "bearer" };
	char *copy = strdup(header), *headers[] = { copy, NULL };
	struct str s = STR_INIT;
	struct challenge *c;
	size_t n, i;

	ck_assert_int_eq(challenges_parse(headers, &c, &n), 0);
	str_append(&s, "");
	for (i = 0; i < n; i++)
		str_appendf(&s, "%s[%s|%s|%s|%s]", names[c[i].scheme], c[i].realm ? c[i].realm : "", c[i].service ? c[i].service : "",
			    c[i].scope ? c[i].scope : "", c[i].error ? c[i].error : "");
	ck_assert_str_eq(s.data ? s.data : "", expected);
	challenges_free(c, n);
	str_done(&s);
	free(copy);
}

START_TEST(challenges_of_real_registries)
{
	gives("Basic realm=\"Registry\"", "basic[Registry|||]");
	gives("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull,push\"",
	      "bearer[https://auth.docker.io/token|registry.docker.io|repository:a/b:pull,push|]");
	gives("bearer REALM=\"https://a/b\" , error=\"insufficient_scope\"", "bearer[https://a/b|||insufficient_scope]");
	gives("Bearer realm=https://a/t,service=s", "bearer[https://a/t|s||]");
	gives("Negotiate, Basic realm=\"x\", Bearer realm=\"y\"", "other[|||]basic[x|||]bearer[y|||]");
	gives("Basic", "basic[|||]");
}
END_TEST

START_TEST(odd_challenges_are_harmless)
{
	gives("", "");
	gives(",,, ,", "");
	gives("realm=\"x\"", "");
	gives("Bearer realm=\"unfinished", "bearer[|||]");
	gives("Bearer realm=\"a\\\"b\\\\\"", "bearer[a\"b\\|||]");
	gives("Bearer realm=\"a\\", "bearer[|||]");
	gives("Bearer realm=", "bearer[|||]");
	gives("Bearer realm=\"first\",realm=\"second\"", "bearer[first|||]");
	gives("Bearer \xff\xfe", "bearer[|||]");
	gives("Bearer realm=\"x\" ( ) Basic", "bearer[x|||]");
	gives("Negotiate abc==, Basic realm=x", "other[|||]basic[x|||]");
	gives("a b c d e f g h i j k", "other[|||]other[|||]other[|||]other[|||]other[|||]other[|||]other[|||]other[|||]");
}
END_TEST

static int url(const char *base, const char *text, struct url *ret)
{
	struct url b = { 0 };
	int r;

	*ret = (struct url){ 0 };
	if (base)
		ck_assert_int_eq(url_parse(NULL, base, &b, NULL), 0);
	r = url_parse(base ? &b : NULL, text, ret, NULL);
	url_done(&b);
	return r;
}

START_TEST(urls_are_taken_apart)
{
	struct url u, v;

	ck_assert_int_eq(url("https://h.io/v2/x/blobs/1", "/a?b=c#d", &u), 0);
	ck_assert_str_eq(u.text, "https://h.io/a?b=c");
	ck_assert_str_eq(u.shown, "https://h.io/a");
	ck_assert_str_eq(u.port, "443");
	ck_assert(url_is_https(&u));
	ck_assert_int_eq(url(NULL, "https://H.IO:443/other", &v), 0);
	ck_assert(url_same_origin(&u, &v));
	url_done(&v);
	static const char *const others[] = { "http://h.io/a", "https://h.io:444/a", "https://i.io/a", "https://h.io.evil/a" };

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		ck_assert_int_eq(url(NULL, others[i], &v), 0);
		ck_assert(!url_same_origin(&u, &v));
		url_done(&v);
	}
	ck_assert_int_eq(url_add_query(&u, "scope", "a b&c=d"), 0);
	ck_assert_int_eq(strcasecmp(u.text, "https://h.io/a?b=c&scope=a+b%26c%3Dd"), 0);
	url_done(&u);
}
END_TEST

START_TEST(urls_that_are_not_for_us_are_refused)
{
	static const char *const bad[] = {
		"ftp://h.io/x", "file:///etc/passwd", "https://user@h.io/", "https://u:p@h.io/", "https://", "http://h.io:99999/",
		"gopher://x", "https://h.io/\nX: y", "https://h .io/",
	};
	struct url u;
	char *longest = calloc(1, URL_MAX + 2);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(url(NULL, bad[i], &u) == CIMAGE_E_INVALID, "%s", bad[i]);
	ck_assert_int_eq(url("https://h.io/a", "file:///etc/passwd", &u), CIMAGE_E_INVALID);
	memset(longest, 'a', URL_MAX + 1);
	ck_assert_int_eq(url("https://h.io/a", longest, &u), CIMAGE_E_INVALID);
	free(longest);
}
END_TEST

RUN_TESTS("challenge", challenges_of_real_registries, odd_challenges_are_harmless, urls_are_taken_apart,
	  urls_that_are_not_for_us_are_refused)
