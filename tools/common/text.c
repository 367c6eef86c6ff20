/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as people read them. Much of what is printed comes from images, pods and servers, so
 * nothing reaches the terminal unchecked.
 */
#include <errno.h>
#include "tool.h"

void text_append_safe(struct str *out, const char *s, bool keep_lines)
{
	_cleanup_str_ struct str valid = STR_INIT;
	const unsigned char *p;

	str_append_utf8(&valid, s, strlen(s));
	for (p = (const unsigned char *)(valid.data ? valid.data : ""); *p; p++) {
		if (keep_lines && (*p == '\n' || *p == '\t'))
			str_append_char(out, (char)*p);
		else if (*p < 0x20 || *p == 0x7f)
			str_append_char(out, '?');
		else if (p[0] != 0xc2 || p[1] >= 0xa0)
			str_append_char(out, (char)*p);
		else { /* U+0080 to U+009F: control characters in two bytes */
			str_append_char(out, '?');
			p++;
		}
	}
}

void complain(const char *fmt, ...)
{
	_cleanup_str_ struct str raw = STR_INIT, safe = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_vappendf(&raw, fmt, ap);
	va_end(ap);
	text_append_safe(&safe, raw.data ? raw.data : "out of memory", true);
	fprintf(stderr, "%s: %s\n", program_invocation_short_name,
		safe.data ? safe.data : "out of memory");
}

void text_age(int64_t since_ns, int64_t now, struct str *out)
{
	static const struct {
		int64_t seconds;
		const char *unit;
	} units[] = {
		{ 365 * 86400, "year" }, { 30 * 86400, "month" }, { 86400, "day" },
		{ 3600, "hour" },	 { 60, "minute" },	  { 1, "second" },
	};
	int64_t age = now > since_ns ? (now - since_ns) / 1000000000 : 0, n;
	size_t i;

	if (since_ns <= 0) {
		str_append_char(out, '-');
		return;
	}
	for (i = 0; i + 1 < ARRAY_SIZE(units) && age < units[i].seconds; i++)
		;
	n = age / units[i].seconds;
	str_appendf(out, "%lld %s%s ago", (long long)n, units[i].unit, n == 1 ? "" : "s");
}

void text_size(uint64_t bytes, struct str *out)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double v = (double)bytes;
	size_t i;

	for (i = 0; v >= 999.5 && i + 1 < ARRAY_SIZE(units); i++)
		v /= 1000;
	str_appendf(out, "%.3g%s", v, units[i]);
}

const char *text_short_id(const char *id, char out[14])
{
	if (str_starts(id, "sha256:"))
		id += strlen("sha256:");
	snprintf(out, 14, "%s", id);
	return out;
}

void text_seconds(int64_t ns, struct str *out)
{
	str_appendf(out, "%lld.%03lld s", (long long)(ns / 1000000000),
		    (long long)(ns / 1000000 % 1000));
}

int json_print(struct json_doc *doc)
{
	_cleanup_str_ struct str out = STR_INIT;

	if (!doc || json_format(doc, json_root(doc), JSON_INDENT_TAB | JSON_NO_HTML, &out)) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	puts(out.data);
	return EXIT_SUCCESS;
}
