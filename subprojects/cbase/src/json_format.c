/* SPDX-License-Identifier: Apache-2.0 */
/* Tree to JSON text, byte for byte as Go's encoding/json prints it. */
#include "json_internal.h"

static void escape(struct str *out, unsigned c)
{
	const char *two = c == '"' ? "\\\"" : c == '\\' ? "\\\\" : c == '\n' ? "\\n" : c == '\r' ? "\\r" :
		c == '\t' ? "\\t" : NULL;

	if (two)
		str_append(out, two);
	else
		str_appendf(out, "\\u%04x", c);
}

void json_quote(struct str *out, const char *s, size_t n, int flags)
{
	_cleanup_str_ struct str fixed = STR_INIT;
	bool html = !(flags & JSON_NO_HTML);
	const unsigned char *p;
	size_t i, plain = 0;
	unsigned c;

	if (!utf8_valid(s, n)) {
		/* a NUL is valid in JSON but not in utf8_valid(): only what is really broken is replaced */
		for (i = 0; i < n; i = plain + 1) {
			plain = i + strnlen(s + i, n - i);
			str_append_utf8(&fixed, s + i, plain - i);
			if (plain < n)
				str_append_mem(&fixed, "", 1);
		}
		if (fixed.failed) {
			out->failed = true;
			return;
		}
		s = fixed.data ? fixed.data : "";
		n = fixed.len;
	}
	p = (const unsigned char *)s;
	str_append_char(out, '"');
	for (plain = i = 0; i < n; i++) {
		c = p[i];
		if (html && c == 0xe2 && i + 2 < n && p[i + 1] == 0x80 && (p[i + 2] | 1) == 0xa9) {
			str_append_mem(out, s + plain, i - plain);
			str_append(out, p[i + 2] == 0xa8 ? "\\u2028" : "\\u2029");
			i += 2;
			plain = i + 1;
		} else if (c < 0x20 || c == '"' || c == '\\' || (html && (c == '<' || c == '>' || c == '&'))) {
			str_append_mem(out, s + plain, i - plain);
			escape(out, c);
			plain = i + 1;
		}
	}
	str_append_mem(out, s + plain, n - plain);
	str_append_char(out, '"');
}

static void newline(struct str *out, int flags, int depth)
{
	if (!(flags & JSON_INDENT_TAB))
		return;
	str_append_char(out, '\n');
	while (depth--)
		str_append_char(out, '\t');
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(struct json *const *)a)->key, (*(struct json *const *)b)->key);
}

static void format(const struct json *v, int flags, int depth, struct str *out);

static void format_child(const struct json *item, int flags, int depth, bool first, struct str *out)
{
	if (!first)
		str_append_char(out, ',');
	newline(out, flags, depth);
	if (item->key) {
		json_quote(out, item->key, strlen(item->key), flags);
		str_append(out, flags & JSON_INDENT_TAB ? ": " : ":");
	}
	format(item, flags, depth, out);
}

static void format_children(const struct json *v, int flags, int depth, struct str *out)
{
	_cleanup_free_ struct json **sorted = NULL;
	bool first = true;
	size_t n = 0, i;

	if (!(flags & JSON_SORT_KEYS) || v->type != JSON_OBJECT) {
		json_foreach(item, v) {
			format_child(item, flags, depth, first, out);
			first = false;
		}
		return;
	}
	sorted = malloc(v->count * sizeof(struct json *));
	if (!sorted) {
		out->failed = true;
		return;
	}
	json_foreach(item, v)
		sorted[n++] = item;
	qsort(sorted, n, sizeof(struct json *), by_key);
	for (i = 0; i < n; i++)
		format_child(sorted[i], flags, depth, i == 0, out);
}

static void format(const struct json *v, int flags, int depth, struct str *out)
{
	bool object = v->type == JSON_OBJECT;

	switch (v->type) {
	case JSON_NULL:
		str_append(out, "null");
		break;
	case JSON_BOOL:
		str_append(out, v->boolean ? "true" : "false");
		break;
	case JSON_NUMBER:
		str_append_mem(out, v->string, v->len);
		break;
	case JSON_STRING:
		json_quote(out, v->string, v->len, flags);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		str_append_char(out, object ? '{' : '[');
		if (v->first) {
			format_children(v, flags, depth + 1, out);
			newline(out, flags, depth);
		}
		str_append_char(out, object ? '}' : ']');
		break;
	}
}

int json_format(const struct json_doc *doc, const struct json *v, int flags, struct str *out)
{
	if (!v || (doc && json_failed(doc)))
		return -ENOMEM;
	format(v, flags, 0, out);
	return out->failed ? -ENOMEM : 0;
}
