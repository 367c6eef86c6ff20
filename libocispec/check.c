/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values from outside, before they enter a document: text that JSON could not carry unchanged is
 * refused rather than repaired, because a repaired path names another file. Paths are compared by
 * what they mean lexically, so that "/proc/" cannot slip in beside "/proc".
 */
#include "private.h"

bool text_valid(const char *s)
{
	return s && utf8_valid(s, strlen(s));
}

bool text_printable(const char *s)
{
	if (!text_valid(s))
		return false;
	for (; *s; s++)
		if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
			return false;
	return true;
}

bool text_list_valid(const char *const *list)
{
	for (; list && *list; list++)
		if (!text_valid(*list))
			return false;
	return true;
}

bool path_absolute(const char *path)
{
	return path && *path == '/' && text_valid(path);
}

/* The next component that is not empty or "."; NULL at the end. */
static const char *component(const char **p, size_t *ret_len)
{
	for (;;) {
		const char *start;

		*p += strspn(*p, "/");
		if (!**p)
			return NULL;
		start = *p;
		*ret_len = strcspn(start, "/");
		*p += *ret_len;
		if (*ret_len != 1 || *start != '.')
			return start;
	}
}

static bool is_dotdot(const char *c, size_t len)
{
	return len == 2 && c[0] == '.' && c[1] == '.';
}

size_t path_depth(const char *path)
{
	size_t depth = 0, len;
	const char *c;

	while ((c = component(&path, &len))) {
		if (!is_dotdot(c, len))
			depth++;
		else if (depth > 0)
			depth--;
	}
	return depth;
}

/* Like component(), but components that a later ".." takes back are passed over. */
static const char *component_kept(const char **p, size_t *ret_len)
{
	const char *c, *look;
	size_t len, balance;

	while ((c = component(p, ret_len))) {
		if (is_dotdot(c, *ret_len))
			continue;	/* at the top: ".." of "/" is "/" */
		balance = 1;
		look = *p;
		for (const char *d; balance > 0 && (d = component(&look, &len));)
			balance += is_dotdot(d, len) ? (size_t)-1 : 1;
		if (balance > 0)
			return c;
		*p = look;
	}
	return NULL;
}

bool path_equal(const char *a, const char *b)
{
	const char *ca, *cb;
	size_t la, lb;

	do {
		ca = component_kept(&a, &la);
		cb = component_kept(&b, &lb);
		if (!ca || !cb)
			return ca == cb;
	} while (la == lb && memcmp(ca, cb, la) == 0);
	return false;
}
