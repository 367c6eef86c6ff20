/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of the CRI log format: "TIME STREAM TAGS TEXT", one blank between the parts. TAGS are
 * separated by colons, the first is P (more of the line follows) or F (its end). TEXT may be empty
 * and the blank before it missing.
 */
#include "ctl.h"

/* The next word up to a blank, and the blank; false when there is none. */
static bool word(const char **p, const char *end, const char **ret, size_t *ret_len)
{
	const char *space = memchr(*p, ' ', (size_t)(end - *p));

	*ret = *p;
	*ret_len = (size_t)((space ? space : end) - *p);
	*p = space ? space + 1 : end;
	return *ret_len > 0;
}

/* 2026-11-23T20:00:00.000000000+00:00: only its beginning is looked at. */
static bool is_time(const char *p, size_t n)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd";
	size_t i;

	if (n < sizeof(shape) - 1)
		return false;
	for (i = 0; shape[i]; i++)
		if (shape[i] == 'd' ? p[i] < '0' || p[i] > '9' : p[i] != shape[i])
			return false;
	return true;
}

bool log_line_parse(const char *p, size_t n, struct log_line *ret)
{
	const char *end = p + n, *stream, *tag;
	struct log_line l = { 0 };
	size_t stream_len, tag_len;

	if (!word(&p, end, &l.time, &l.time_len) || !is_time(l.time, l.time_len))
		return false;
	if (!word(&p, end, &stream, &stream_len) || stream_len != 6)
		return false;
	l.stream = !memcmp(stream, "stdout", 6) ? 1 : !memcmp(stream, "stderr", 6) ? 2 : 0;
	if (!l.stream || !word(&p, end, &tag, &tag_len))
		return false;
	if ((tag[0] != 'P' && tag[0] != 'F') || (tag_len > 1 && tag[1] != ':'))
		return false;
	l.partial = tag[0] == 'P';
	l.text = p;
	l.len = (size_t)(end - p);
	*ret = l;
	return true;
}
