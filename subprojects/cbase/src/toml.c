/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TOML 1.0 by recursive descent over one buffer. The tree is that of json.h; while parsing, the len
 * of a container node (unused there) remembers how it came to be, because TOML forbids to define a
 * table twice or to extend what was written inline.
 */
#include <ctype.h>
#include <stdarg.h>
#include "json_internal.h"
#include <cbase/toml.h>

enum {
	DEFINED = 1,	/* by a [header] */
	CLOSED = 2,	/* inline table or plain array */
	DOTTED = 4,	/* by a dotted key */
};

struct toml {
	const char *p, *end;
	int line, depth;
	struct json_doc *doc;
	struct cb_error *err;
};

static int parse_value(struct toml *t, struct json **ret);
static int parse_keyval(struct toml *t, struct json *table);

PRINTF_LIKE(2, 3) static int bad(struct toml *t, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(t->err, 0, "line %d: %s", t->line, text);
	return -EINVAL;
}

static int peek(const struct toml *t)
{
	return t->p < t->end ? (unsigned char)*t->p : -1;
}

static bool looking_at(const struct toml *t, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(t->end - t->p) >= n && !memcmp(t->p, text, n);
}

static void skip_space(struct toml *t)
{
	while (peek(t) == ' ' || peek(t) == '\t')
		t->p++;
}

/* A comment may hold anything but control bytes. */
static int skip_comment(struct toml *t)
{
	if (peek(t) != '#')
		return 0;
	while (peek(t) != -1 && peek(t) != '\n') {
		if ((peek(t) < 0x20 && peek(t) != '\t' && peek(t) != '\r') || peek(t) == 0x7f)
			return bad(t, "control byte in a comment");
		t->p++;
	}
	return 0;
}

static bool skip_newline(struct toml *t)
{
	if (looking_at(t, "\r\n"))
		t->p++;
	if (peek(t) != '\n')
		return false;
	t->p++;
	t->line++;
	return true;
}

static int skip_blank(struct toml *t)
{
	do {
		skip_space(t);
		if (skip_comment(t))
			return -EINVAL;
	} while (skip_newline(t));
	return 0;
}

static int end_of_line(struct toml *t)
{
	skip_space(t);
	if (skip_comment(t))
		return -EINVAL;
	if (peek(t) != -1 && !skip_newline(t))
		return bad(t, "unexpected text after the value");
	return 0;
}

static int unicode_escape(struct toml *t, int n, struct str *out)
{
	unsigned long c = 0;
	int d;

	for (; n; n--, t->p++) {
		if (!isxdigit(peek(t)))
			return bad(t, "malformed \\u escape");
		d = tolower(peek(t));
		c = c << 4 | (unsigned long)(d <= '9' ? d - '0' : d - 'a' + 10);
	}
	if (!c || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return bad(t, "\\u escape is no character");
	if (c < 0x80) {
		str_append_char(out, (char)c);
	} else if (c < 0x800) {
		str_append_char(out, (char)(0xc0 | c >> 6));
	} else if (c < 0x10000) {
		str_append_char(out, (char)(0xe0 | c >> 12));
		str_append_char(out, (char)(0x80 | (c >> 6 & 63)));
	} else {
		str_append_char(out, (char)(0xf0 | c >> 18));
		str_append_char(out, (char)(0x80 | (c >> 12 & 63)));
		str_append_char(out, (char)(0x80 | (c >> 6 & 63)));
	}
	if (c >= 0x80)
		str_append_char(out, (char)(0x80 | (c & 63)));
	return 0;
}

static int escape(struct toml *t, bool multi, struct str *out)
{
	static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
	const char *p;
	int c = peek(t);

	if (multi && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
		skip_space(t);
		if (!skip_newline(t))
			return bad(t, "backslash before blanks must end the line");
		do
			skip_space(t);
		while (skip_newline(t));
		return 0;
	}
	t->p++;
	if (c == 'u' || c == 'U')
		return unicode_escape(t, c == 'u' ? 4 : 8, out);
	p = c > 0 ? strchr(from, c) : NULL;
	if (!p)
		return bad(t, "unknown escape in a string");
	str_append_char(out, to[p - from]);
	return 0;
}

/* The four kinds of strings: quote is ' or ", multi for three of them. */
static int parse_string(struct toml *t, bool allow_multi, struct str *out)
{
	int quote = peek(t), c, n;
	bool multi = looking_at(t, "\"\"\"") || looking_at(t, "'''");

	if (multi && !allow_multi)
		return bad(t, "a key cannot be a multi-line string");
	t->p += multi ? 3 : 1;
	if (multi)
		skip_newline(t);
	for (;;) {
		c = peek(t);
		if (c == -1 || (c == '\n' && !multi))
			return bad(t, "string does not end");
		if (c == quote) {
			for (n = 0; n < 5 && t->p + n < t->end && t->p[n] == quote; n++)
				;
			if (!multi || n >= 3) {
				for (; multi && n > 3; n--)
					str_append_char(out, (char)quote);
				while (multi && t->p + 3 < t->end && t->p[3] == quote)
					t->p++;
				t->p += multi ? 3 : 1;
				break;
			}
		}
		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
			return bad(t, "control byte in a string");
		t->p++;
		if (c == '\n')
			t->line++;
		if (c == '\\' && quote == '"') {
			if (escape(t, multi, out))
				return -EINVAL;
			continue;
		}
		str_append_char(out, (char)c);
	}
	str_append_mem(out, "", 0);
	return out->failed ? -ENOMEM : 0;
}

static bool bare_key_char(int c)
{
	return c > 0 && (isalnum(c) || c == '_' || c == '-');
}

static int parse_key_part(struct toml *t, struct str *out)
{
	str_reset(out);
	if (peek(t) == '"' || peek(t) == '\'')
		return parse_string(t, false, out);
	if (!bare_key_char(peek(t)))
		return bad(t, "expected a key");
	while (bare_key_char(peek(t)))
		str_append_char(out, *t->p++);
	return out->failed ? -ENOMEM : 0;
}

/* The table that key names below parent: made when missing, the last one of an array of tables. */
static int descend(struct toml *t, struct json *parent, const char *key, size_t mark, struct json **ret)
{
	struct json *v = json_get(parent, key);

	if (!v) {
		v = json_set_object(t->doc, parent, key);
		if (!v)
			return -ENOMEM;
		v->len = mark;
	} else if (v->type == JSON_ARRAY && !(v->len & CLOSED) && mark != DOTTED) {
		v = v->last;
	} else if (v->type != JSON_OBJECT || (v->len & CLOSED) || (mark == DOTTED && (v->len & DEFINED))) {
		return bad(t, "%s is not a table that can be extended here", key);
	}
	*ret = v;
	return 0;
}

/* [a.b] or [[a.b]]: leaves the table that the following lines fill. */
static int parse_header(struct toml *t, struct json **ret)
{
	_cleanup_str_ struct str key = STR_INIT;
	struct json *at = json_root(t->doc), *v;
	bool array;
	int r;

	t->p++;
	array = peek(t) == '[';
	t->p += array;
	for (;;) {
		skip_space(t);
		r = parse_key_part(t, &key);
		if (r)
			return r;
		skip_space(t);
		if (peek(t) != '.')
			break;
		t->p++;
		r = descend(t, at, key.data, 0, &at);
		if (r)
			return r;
	}
	if (!looking_at(t, array ? "]]" : "]"))
		return bad(t, "table header does not end");
	t->p += array ? 2 : 1;
	v = json_get(at, key.data);
	if (array) {
		if (v && (v->type != JSON_ARRAY || (v->len & CLOSED)))
			return bad(t, "%s is not an array of tables", key.data);
		if (!v)
			v = json_set_array(t->doc, at, key.data);
		at = json_new_object(t->doc);
		json_append(t->doc, v, at);
	} else {
		if (v && (v->type != JSON_OBJECT || (v->len & (DEFINED | CLOSED | DOTTED))))
			return bad(t, "table %s is defined twice", key.data);
		if (!v)
			v = json_set_object(t->doc, at, key.data);
		if (v)
			v->len = DEFINED;
		at = v;
	}
	*ret = at;
	return json_failed(t->doc) ? -ENOMEM : end_of_line(t);
}

static int parse_array(struct toml *t, struct json **ret)
{
	struct json *arr = json_new_array(t->doc), *v;
	int r;

	t->p++;
	for (;;) {
		r = skip_blank(t);
		if (r)
			return r;
		if (peek(t) == ']')
			break;
		r = parse_value(t, &v);
		if (r)
			return r;
		json_append(t->doc, arr, v);
		r = skip_blank(t);
		if (r)
			return r;
		if (peek(t) == ',')
			t->p++;
		else if (peek(t) != ']')
			return bad(t, "expected , or ] in an array");
	}
	t->p++;
	if (arr)
		arr->len = CLOSED;
	*ret = arr;
	return 0;
}

static int parse_inline_table(struct toml *t, struct json **ret)
{
	struct json *obj = json_new_object(t->doc);
	int r;

	t->p++;
	skip_space(t);
	while (obj && peek(t) != '}') {
		r = parse_keyval(t, obj);
		if (r)
			return r;
		skip_space(t);
		if (peek(t) == '}')
			break;
		if (peek(t) != ',')
			return bad(t, "expected , or } in an inline table");
		t->p++;
		skip_space(t);
		if (peek(t) == '}')
			return bad(t, "comma before } in an inline table");
	}
	t->p++;
	if (obj)
		obj->len = CLOSED;
	*ret = obj;
	return 0;
}

/* text of a number without its underscores; each must stand between digits */
static int strip_underscores(struct toml *t, const char *s, size_t n, char *out)
{
	size_t i, o = 0;

	for (i = 0; i < n; i++) {
		if (s[i] != '_')
			out[o++] = s[i];
		else if (i == 0 || i + 1 == n || !isxdigit((unsigned char)s[i - 1]) || !isxdigit((unsigned char)s[i + 1]))
			return bad(t, "misplaced _ in a number");
	}
	out[o] = '\0';
	return 0;
}

static int parse_integer(struct toml *t, const char *s, struct json **ret)
{
	int base = s[0] != '0' ? 10 : s[1] == 'x' ? 16 : s[1] == 'o' ? 8 : s[1] == 'b' ? 2 : 10;
	const char *digits = base == 10 ? s : s + 2;
	const char *unsign = s + (*s == '+' || *s == '-');
	long long v;
	char *end;

	if (base == 10 && (!isdigit((unsigned char)*unsign) || (unsign[0] == '0' && unsign[1])))
		return bad(t, "malformed value %s", s);
	if (base != 10 && !isxdigit((unsigned char)*digits))
		return bad(t, "malformed value %s", s);
	errno = 0;
	v = strtoll(digits, &end, base);
	if (*end)
		return bad(t, "malformed value %s", s);
	if (errno)
		return bad(t, "number %s is out of range", s);
	*ret = json_new_int(t->doc, v);
	return 0;
}

static bool is_float(const char *s)
{
	const char *p = s + strspn(s, "+-");
	size_t whole = strspn(p, "0123456789"), frac;

	if (p - s > 1 || !whole || (p[0] == '0' && whole > 1))
		return false;
	p += whole;
	if (*p == '.') {
		frac = strspn(p + 1, "0123456789");
		if (!frac)
			return false;
		p += 1 + frac;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '+' || *p == '-';
		frac = strspn(p, "0123456789");
		if (!frac)
			return false;
		p += frac;
	}
	return !*p;
}

/* Dates and times are kept as they are spelled. */
static bool is_datetime(const char *s)
{
	bool date = strlen(s) >= 10 && s[4] == '-' && s[7] == '-';
	bool time = strlen(s) >= 8 && s[2] == ':' && s[5] == ':';

	return (date || time) && strspn(s, "0123456789-:.TtZz+ ") == strlen(s);
}

static int parse_scalar(struct toml *t, struct json **ret)
{
	char text[80], number[80];
	size_t n = 0;

	while (t->p + n < t->end && (isalnum((unsigned char)t->p[n]) || strchr("+-_.:", t->p[n])))
		n++;
	/* "1979-05-27 07:32:00": the one place where a space belongs to a value */
	if (n == 10 && t->end - t->p > 13 && t->p[4] == '-' && t->p[10] == ' ' && isdigit((unsigned char)t->p[11]))
		for (n = 11; t->p + n < t->end && (isalnum((unsigned char)t->p[n]) || strchr("+-.:", t->p[n])); n++)
			;
	if (!n || n >= sizeof(text))
		return bad(t, "expected a value");
	memcpy(text, t->p, n);
	text[n] = '\0';
	t->p += n;
	if (streq(text, "true") || streq(text, "false")) {
		*ret = json_new_bool(t->doc, *text == 't');
		return 0;
	}
	if (is_datetime(text)) {
		*ret = json_new_string(t->doc, text);
		return 0;
	}
	if (strip_underscores(t, text, n, number))
		return -EINVAL;
	if (strpbrk(number, ".eE") && !str_starts(number, "0x") && is_float(number)) {
		*ret = json_new_number(t->doc, number + (*number == '+'));
		return 0;
	}
	return parse_integer(t, number, ret);
}

static int parse_value_of(struct toml *t, struct json **ret)
{
	_cleanup_str_ struct str s = STR_INIT;
	int r;

	switch (peek(t)) {
	case '"':
	case '\'':
		r = parse_string(t, true, &s);
		if (!r)
			*ret = json_new_string_n(t->doc, s.data, s.len);
		return r;
	case '[':
		return parse_array(t, ret);
	case '{':
		return parse_inline_table(t, ret);
	default:
		return parse_scalar(t, ret);
	}
}

static int parse_value(struct toml *t, struct json **ret)
{
	struct json *v = NULL;
	int r;

	if (t->depth == JSON_DEPTH_MAX)
		return bad(t, "nested too deeply");
	t->depth++;
	r = parse_value_of(t, &v);
	t->depth--;
	if (r)
		return r;
	if (!v)
		return -ENOMEM;
	*ret = v;
	return 0;
}

static int parse_keyval(struct toml *t, struct json *table)
{
	_cleanup_str_ struct str key = STR_INIT;
	struct json *v;
	int r, parts = 0;

	for (;;) {
		r = parse_key_part(t, &key);
		if (r)
			return r;
		skip_space(t);
		if (peek(t) != '.')
			break;
		if (++parts == JSON_DEPTH_MAX)
			return bad(t, "nested too deeply");
		t->p++;
		skip_space(t);
		r = descend(t, table, key.data, DOTTED, &table);
		if (r)
			return r;
	}
	if (peek(t) != '=')
		return bad(t, "expected = after key %s", key.data);
	t->p++;
	skip_space(t);
	if (json_get(table, key.data))
		return bad(t, "key %s is defined twice", key.data);
	r = parse_value(t, &v);
	if (r)
		return r;
	json_set(t->doc, table, key.data, v);
	return 0;
}

static int parse_document(struct toml *t)
{
	struct json *table = json_root(t->doc);
	int r;

	if (looking_at(t, "\xef\xbb\xbf"))
		t->p += 3;
	for (;;) {
		r = skip_blank(t);
		if (r)
			return r;
		if (peek(t) == -1)
			return 0;
		if (peek(t) == '[') {
			r = parse_header(t, &table);
		} else {
			r = parse_keyval(t, table);
			if (!r)
				r = end_of_line(t);
		}
		if (r)
			return r;
	}
}

int toml_parse(const char *p, size_t n, struct json_doc **ret, struct cb_error *err)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct toml t = { .p = p, .end = p + n, .line = 1, .doc = doc, .err = err };
	int r;

	if (!doc)
		return err_oom(err);
	if (memchr(p, 0, n) || !utf8_valid(p, n))
		return err_set(err, 0, "not valid UTF-8 text"), -EINVAL;
	r = parse_document(&t);
	if (r == -ENOMEM || (!r && json_failed(doc)))
		return err_oom(err);
	if (!r)
		*ret = take(doc);
	return r;
}
