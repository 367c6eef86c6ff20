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
