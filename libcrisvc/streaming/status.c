/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two texts of remotecommand: how it ended (a metav1.Status from version 4 on, before that bare
 * text for a failure and nothing for success), and the size of the client's terminal.
 */
#include "private.h"

#include <ctype.h>

static void quote(struct str *out, const char *s)
{
	str_append_char(out, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			str_appendf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			str_appendf(out, "\\u%04x", c);
		else
			str_append_char(out, *s);
	}
	str_append_char(out, '"');
}

int status_text(int version, bool failed, int code, const char *message, struct str *out)
{
	_cleanup_str_ struct str text = STR_INIT;

	if (failed)
		str_appendf(&text, "Internal error occurred: error executing command in container: %s", message);
	else if (code)
		str_appendf(&text, "command terminated with non-zero exit code: exit status %d", code);
	if (text.failed)
		return -ENOMEM;
	if (version < 4) {
		str_append(out, text.data ? text.data : "");
		return out->failed ? -ENOMEM : 0;
	}
	if (!text.data) {
		str_append(out, "{\"metadata\":{},\"status\":\"Success\"}");
		return out->failed ? -ENOMEM : 0;
	}
	str_append(out, "{\"metadata\":{},\"status\":\"Failure\",\"message\":");
	quote(out, text.data);
	if (failed) {
		str_append(out, ",\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":");
		quote(out, message);
		str_append(out, "}]},\"code\":500}");
	} else {
		str_appendf(out, ",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\","
			    "\"message\":\"%d\"}]}}", code);
	}
	return out->failed ? -ENOMEM : 0;
}

/* ---- terminal size ---- */

/* Length of the object at p, 0 while it is not whole, -1 when it does not look like one. */
static ssize_t object_length(const char *p, size_t n)
{
	bool in_string = false;
	size_t depth = 0;

	for (size_t i = 0; i < n; i++) {
		if (in_string) {
			if (p[i] == '\\')
				i++;
			else if (p[i] == '"')
				in_string = false;
		} else if (p[i] == '{') {
			depth++;
		} else if (!depth) {
			return -1;
		} else if (p[i] == '"') {
			in_string = true;
		} else if (p[i] == '}' && --depth == 0) {
			return (ssize_t)i + 1;
		}
	}
	return 0;
}

/* The number behind "key":, 0 when there is none that a terminal can have. */
static unsigned member(const char *p, size_t n, const char *key)
{
	const char *at = memmem(p, n, key, strlen(key)), *end = p + n;
	unsigned v = 0;

	if (!at)
		return 0;
	for (at += strlen(key); at < end && isspace((unsigned char)*at); at++)
		;
	if (at == end || *at++ != ':')
		return 0;
	for (; at < end && isspace((unsigned char)*at); at++)
		;
	for (; at < end && isdigit((unsigned char)*at) && v <= UINT16_MAX; at++)
		v = 10 * v + (unsigned)(*at - '0');
	return v <= UINT16_MAX ? v : 0;
}

ssize_t resize_parse(const char *p, size_t n, unsigned *ret_width, unsigned *ret_height)
{
	size_t blank = 0;
	ssize_t len;

	while (blank < n && isspace((unsigned char)p[blank]))
		blank++;
	if (blank == n) {
		*ret_width = *ret_height = 0;
		return (ssize_t)n;
	}
	len = object_length(p + blank, n - blank);
	if (len <= 0)
		return len < 0 ? -EINVAL : 0;
	*ret_width = member(p + blank, (size_t)len, "\"Width\"");
	*ret_height = member(p + blank, (size_t)len, "\"Height\"");
	return (ssize_t)blank + len;
}
