/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that become file names, environment variables and program names, by libcni's rules and within
 * the limits of file names; and bytes from outside, read as JSON or made fit for an error message.
 */
#include <limits.h>
#include <net/if.h>
#include "private.h"

static bool alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool name_valid(const char *s)
{
	if (!s || !alnum(*s) || strlen(s) > NAME_MAX)
		return false;
	for (; *s; s++)
		if (!alnum(*s) && *s != '_' && *s != '.' && *s != '-')
			return false;
	return true;
}

bool ifname_valid(const char *s)
{
	if (!s || !*s || strlen(s) >= IFNAMSIZ || streq(s, ".") || streq(s, ".."))
		return false;
	if (!utf8_valid(s, strlen(s)))
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= 0x20 || *s == 0x7f || *s == '/' || *s == ':')
			return false;
	return true;
}

bool plugin_type_valid(const char *s)
{
	if (!s || !*s || strlen(s) > NAME_MAX || streq(s, ".") || streq(s, ".."))
		return false;
	for (; *s; s++)
		if (*s <= 0x20 || *s >= 0x7f || *s == '/')
			return false;
	return true;
}

int text_parse_json(const char *p, size_t n, int flags, struct json_doc **ret, struct cb_error *why)
{
	/* before the parser, which lets some overlong sequences pass */
	if (!utf8_valid(p, n))
		return err_set(why, -EINVAL, "not UTF-8");
	return json_parse(p, n, flags, ret, why);
}

#define CLEAN_MAX 400 /* bytes of a plugin's words in one message, which holds 1023 */

void text_append_clean(struct str *out, const char *p, size_t n)
{
	_cleanup_str_ struct str utf8 = STR_INIT;
	bool space = true;
	size_t i;

	while (n > 0 && (unsigned char)p[n - 1] <= 0x20)
		n--;
	str_append_utf8(&utf8, p, n);
	for (i = 0; i < utf8.len; i++) {
		unsigned char c = (unsigned char)utf8.data[i];

		if (i >= CLEAN_MAX && (c & 0xc0) != 0x80)
			break;
		if (c > 0x20 && c != 0x7f) {
			str_append_char(out, (char)c);
			space = false;
		} else if (!space) {
			str_append_char(out, ' ');
			space = true;
		}
	}
	if (i < utf8.len)
		str_append(out, "...");
	out->failed |= utf8.failed;
}

/* Those of U+0080 and above that are no characters to look at, as far as they are at all common. */
static bool invisible(unsigned c)
{
	static const struct {
		unsigned from, to;
	} ranges[] = {
		{ 0x80, 0xa0 },	    { 0xad, 0xad },	{ 0x2000, 0x200f },
		{ 0x2028, 0x202f }, { 0x205f, 0x206f }, { 0x3000, 0x3000 },
		{ 0xe000, 0xf8ff }, { 0xfeff, 0xfeff }, { 0xfff0, 0xfffb },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (c >= ranges[i].from && c <= ranges[i].to)
			return true;
	return false;
}

static void quote_ascii(struct str *out, unsigned char c)
{
	static const char letters[] = "\a\b\t\n\v\f\r", names[] = "abtnvfr";
	const char *at = c ? strchr(letters, c) : NULL;

	if (c == '"' || c == '\\')
		str_appendf(out, "\\%c", c);
	else if (at)
		str_appendf(out, "\\%c", names[at - letters]);
	else if (c < 0x20 || c == 0x7f)
		str_appendf(out, "\\x%02x", c);
	else
		str_append_char(out, (char)c);
}

/* Length of the well-formed character of several bytes at p, or 0. */
static size_t wide_character(const char *p, size_t n, unsigned *ret)
{
	unsigned char c = (unsigned char)*p;
	size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

	if (len > n || !utf8_valid(p, len))
		return 0;
	*ret = c & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++)
		*ret = *ret << 6 | ((unsigned char)p[i] & 0x3f);
	return len;
}

void text_append_quoted(struct str *out, const char *p, size_t n)
{
	size_t end = n > CLEAN_MAX ? CLEAN_MAX : n;
	unsigned wide = 0;
	size_t len;

	str_append_char(out, '"');
	for (size_t i = 0; i < end; i += len) {
		len = (unsigned char)p[i] < 0x80 ? 1 : wide_character(p + i, n - i, &wide);
		if (len == 1) {
			quote_ascii(out, (unsigned char)p[i]);
		} else if (len == 0) {
			str_appendf(out, "\\x%02x", (unsigned char)p[i]);
			len = 1;
		} else if (invisible(wide)) {
			str_appendf(out, "\\u%04x", wide);
		} else {
			str_append_mem(out, p + i, len);
		}
	}
	str_append(out, end < n ? "...\"" : "\"");
}
