/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as people read them. What comes from the server may come from an image or a pod, so
 * nothing of it reaches the terminal unchecked.
 */
#include <ctype.h>
#include "ctl.h"

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
	fprintf(stderr, "crid-ctl: %s\n", safe.data ? safe.data : "out of memory");
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

/* CONTAINER_RUNNING becomes Running, SANDBOX_NOTREADY becomes Notready */
void text_state(const ProtobufCEnumDescriptor *d, int value, struct str *out)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);
	const char *p = v ? strrchr(v->name, '_') : NULL;

	if (!v) {
		str_appendf(out, "%d", value);
		return;
	}
	p = p ? p + 1 : v->name;
	if (streq(p, "NOTREADY")) {
		str_append(out, "NotReady");
		return;
	}
	str_append_char(out, *p);
	for (p++; *p; p++)
		str_append_char(out, (char)tolower((unsigned char)*p));
}
