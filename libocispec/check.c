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

/* Walks the components of a path from its end, so that ".." is known before what it takes back. */
struct walk {
	const char *start, *end;
	size_t taken_back;
};

static struct walk walk_start(const char *path)
{
	return (struct walk){ path, path + strlen(path), 0 };
}

/* The component before; NULL at the start. ".." at the top is the top, as in the kernel. */
static const char *walk_back(struct walk *w, size_t *ret_len)
{
	while (w->end > w->start) {
		const char *c = w->end;

		while (c > w->start && c[-1] != '/')
			c--;
		*ret_len = (size_t)(w->end - c);
		w->end = c > w->start ? c - 1 : c;
		if (*ret_len == 0 || (*ret_len == 1 && c[0] == '.'))
			continue;
		if (*ret_len == 2 && c[0] == '.' && c[1] == '.')
			w->taken_back++;
		else if (w->taken_back > 0)
			w->taken_back--;
		else
			return c;
	}
	return NULL;
}

size_t path_depth(const char *path)
{
	struct walk w = walk_start(path);
	size_t depth = 0, len;

	while (walk_back(&w, &len))
		depth++;
	return depth;
}

/* The same for paths that are equal. */
size_t path_hash(const char *path)
{
	struct walk w = walk_start(path);
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
	const char *c;
	size_t len;

	while ((c = walk_back(&w, &len))) {
		for (size_t i = 0; i < len; i++)
			hash = (hash ^ (unsigned char)c[i]) * 0x100000001b3;
		hash = (hash ^ '/') * 0x100000001b3;
	}
	return (size_t)(hash ^ hash >> 32);
}

bool path_equal(const char *a, const char *b)
{
	struct walk wa = walk_start(a), wb = walk_start(b);
	const char *ca, *cb;
	size_t la, lb;

	do {
		ca = walk_back(&wa, &la);
		cb = walk_back(&wb, &lb);
		if (!ca || !cb)
			return ca == cb;
	} while (la == lb && memcmp(ca, cb, la) == 0);
	return false;
}
