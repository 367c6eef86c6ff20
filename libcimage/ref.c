/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker references.
 *
 *	reference := name [":" tag] ["@" digest]
 *	name      := [domain "/"] component ("/" component)*
 *
 * The text is cut from its ends: the digest behind the first '@', the tag behind the last ':' that
 * has no '/' after it, the domain before the first '/' if it looks like one. What is left is the
 * path. Every part is then checked against its own grammar, so what a struct cimage_ref holds can be
 * put into URLs and file names. All parts live in one allocation and never change.
 */
#include <cbase/digest.h>
#include "ref.h"

struct cimage_ref {
	const char *string, *name, *domain, *path, *tag, *digest;
	char text[];
};

/* A piece of the input. */
struct part {
	const char *p;
	size_t n;
};

struct parts {
	struct part domain, path, tag, digest; /* p NULL: not there */
};

static bool lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool letter_or_digit(char c)
{
	return lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

/* One label of a host name: letters and digits, '-' inside. */
static bool label_valid(const char *s, size_t n)
{
	size_t i;

	if (!n || s[0] == '-' || s[n - 1] == '-')
		return false;
	for (i = 0; i < n; i++)
		if (!letter_or_digit(s[i]) && s[i] != '-')
			return false;
	return true;
}

static bool digits_valid(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return n > 0;
}

/* Is the first part of a name (up to its first '/') a registry? */
static bool looks_like_domain(const char *s, size_t n)
{
	return memchr(s, '.', n) || memchr(s, ':', n) || (n == 9 && !memcmp(s, "localhost", 9));
}

bool ref_domain_valid(const char *s, size_t n)
{
	const char *colon = memchr(s, ':', n);
	const char *end = colon ? colon : s + n;
	const char *dot;

	if (!looks_like_domain(s, n))
		return false;
	if (colon && !digits_valid(colon + 1, (size_t)(s + n - colon - 1)))
		return false;
	for (; (dot = memchr(s, '.', (size_t)(end - s))); s = dot + 1)
		if (!label_valid(s, (size_t)(dot - s)))
			return false;
	return label_valid(s, (size_t)(end - s));
}

/* Runs of [a-z0-9] joined by one '.', one or two '_', or any number of '-'. */
static bool component_valid(const char *s, size_t n)
{
	size_t i = 0, sep;

	for (;;) {
		if (i == n || !lower_or_digit(s[i]))
			return false;
		while (i < n && lower_or_digit(s[i]))
			i++;
		if (i == n)
			return true;
		sep = i;
		while (i < n && s[i] == s[sep])
			i++;
		switch (s[sep]) {
		case '.':
			if (i - sep > 1)
				return false;
			break;
		case '_':
			if (i - sep > 2)
				return false;
			break;
		case '-':
			break;
		default:
			return false;
		}
	}
}

static bool path_valid(const char *s, size_t n)
{
	const char *end = s + n, *slash;

	for (; (slash = memchr(s, '/', (size_t)(end - s))); s = slash + 1)
		if (!component_valid(s, (size_t)(slash - s)))
			return false;
	return component_valid(s, (size_t)(end - s));
}

static bool tag_valid(const char *s, size_t n)
{
	size_t i;

	if (!n || n > REF_TAG_MAX || s[0] == '.' || s[0] == '-')
		return false;
	for (i = 0; i < n; i++)
		if (!letter_or_digit(s[i]) && !strchr("_.-", s[i]))
			return false;
	return true;
}

static void split(const char *text, struct parts *ret)
{
	size_t n = strlen(text), i;
	const char *at = memchr(text, '@', n), *slash;
	struct parts s = { .path = { text, n } };

	if (at) {
		s.digest = (struct part){ at + 1, n - (size_t)(at + 1 - text) };
		s.path.n = (size_t)(at - text);
	}
	for (i = s.path.n; i > 0 && text[i - 1] != '/'; i--) {
		if (text[i - 1] != ':')
			continue;
		s.tag = (struct part){ text + i, s.path.n - i };
		s.path.n = i - 1;
		break;
	}
	slash = memchr(text, '/', s.path.n);
	if (slash && looks_like_domain(text, (size_t)(slash - text))) {
		s.domain = (struct part){ text, (size_t)(slash - text) };
		s.path = (struct part){ slash + 1, s.path.n - s.domain.n - 1 };
	}
	*ret = s;
}

static const char *problem_of(const char *text, const struct parts *s)
{
	size_t i;

	if (strlen(text) == 64 && str_is_hex(text, 64))
		return "64 hex digits are an image id, not a name";
	if (s->domain.p && !ref_domain_valid(s->domain.p, s->domain.n))
		return "bad registry name";
	for (i = 0; i < s->path.n; i++)
		if (s->path.p[i] >= 'A' && s->path.p[i] <= 'Z')
			return "the repository name must be lower case";
	if (!path_valid(s->path.p, s->path.n))
		return "bad repository name";
	if (s->tag.p && !tag_valid(s->tag.p, s->tag.n))
		return "bad tag";
	if (s->digest.p && !digest_valid(s->digest.p))
		return "bad or unsupported digest";
	return NULL;
}

static char *append(char *at, const char *p, size_t n)
{
	memcpy(at, p, n);
	at[n] = '\0';
	return at + n;
}

/* Lays out "domain\0path\0name\0tag\0digest\0string\0" behind the struct. */
static int build(const struct parts *s, struct cimage_ref **ret)
{
	size_t name = s->domain.n + 1 + s->path.n;
	struct cimage_ref *r;
	char *at;

	r = malloc(sizeof(*r) + 3 * (name + s->tag.n + s->digest.n) + 16);
	if (!r)
		return -ENOMEM;
	*r = (struct cimage_ref){ .domain = r->text };
	at = append(r->text, s->domain.p, s->domain.n) + 1;
	r->path = at;
	at = append(at, s->path.p, s->path.n) + 1;
	r->name = at;
	at = append(append(append(at, s->domain.p, s->domain.n), "/", 1), s->path.p, s->path.n) + 1;
	if (s->tag.p) {
		r->tag = at;
		at = append(at, s->tag.p, s->tag.n) + 1;
	}
	if (s->digest.p) {
		r->digest = at;
		at = append(at, s->digest.p, s->digest.n) + 1;
	}
	r->string = at;
	at = append(at, r->name, name);
	if (s->tag.p)
		at = append(append(at, ":", 1), s->tag.p, s->tag.n);
	if (s->digest.p)
		append(append(at, "@", 1), s->digest.p, s->digest.n);
	*ret = r;
	return 0;
}

static bool part_is(const struct part *s, const char *text)
{
	return s->n == strlen(text) && !memcmp(s->p, text, s->n);
}

PUBLIC int cimage_ref_parse(const char *text, int default_tag, struct cimage_ref **ret,
			    struct cimage_error *err)
{
	char path[sizeof("library/") + REF_NAME_MAX];
	const char *problem;
	struct parts s;
	int r;

	if (!text || !ret)
		return -EINVAL;
	if (strlen(text) > REF_TEXT_MAX)
		return err_set(err, CIMAGE_E_INVALID, "image reference \"%s\": too long",
			       SHOW(text));
	split(text, &s);
	problem = problem_of(text, &s);
	if (problem)
		return err_set(err, CIMAGE_E_INVALID, "image reference \"%s\": %s", SHOW(text),
			       problem);

	if (!s.domain.p || part_is(&s.domain, "index.docker.io"))
		s.domain = (struct part){ REF_DEFAULT_DOMAIN, strlen(REF_DEFAULT_DOMAIN) };
	if (s.path.n <= REF_NAME_MAX && part_is(&s.domain, REF_DEFAULT_DOMAIN) &&
	    !memchr(s.path.p, '/', s.path.n)) {
		append(append(path, "library/", 8), s.path.p, s.path.n);
		s.path = (struct part){ path, strlen(path) };
	}
	if (s.domain.n + 1 + s.path.n > REF_NAME_MAX)
		return err_set(err, CIMAGE_E_INVALID,
			       "image reference \"%s\": the name is too long", SHOW(text));
	if (default_tag && !s.tag.p && !s.digest.p)
		s.tag = (struct part){ REF_DEFAULT_TAG, strlen(REF_DEFAULT_TAG) };
	r = build(&s, ret);
	return r ? err_oom(err) : 0;
}

int ref_with(const struct cimage_ref *r, const char *tag, const char *digest,
	     struct cimage_ref **ret)
{
	struct parts s = {
		.domain = { r->domain, strlen(r->domain) },
		.path = { r->path, strlen(r->path) },
		.tag = { tag, tag ? strlen(tag) : 0 },
		.digest = { digest, digest ? strlen(digest) : 0 },
	};

	return build(&s, ret);
}

int ref_for_fetch(const struct cimage_ref *r, struct cimage_ref **ret)
{
	if (r->digest)
		return ref_with(r, NULL, r->digest, ret);
	return ref_with(r, r->tag ? r->tag : REF_DEFAULT_TAG, NULL, ret);
}

PUBLIC struct cimage_ref *cimage_ref_free(struct cimage_ref *r)
{
	free(r);
	return NULL;
}

/* clang-format off */
PUBLIC const char *cimage_ref_string(const struct cimage_ref *r) { return r->string; }
PUBLIC const char *cimage_ref_name(const struct cimage_ref *r) { return r->name; }
PUBLIC const char *cimage_ref_domain(const struct cimage_ref *r) { return r->domain; }
PUBLIC const char *cimage_ref_path(const struct cimage_ref *r) { return r->path; }
PUBLIC const char *cimage_ref_tag(const struct cimage_ref *r) { return r->tag; }
PUBLIC const char *cimage_ref_digest(const struct cimage_ref *r) { return r->digest; }
/* clang-format on */

PUBLIC int cimage_ref_is_short(const char *text)
{
	const char *slash;

	if (!text)
		return 0;
	slash = strchr(text, '/');
	return !slash || !looks_like_domain(text, (size_t)(slash - text));
}
