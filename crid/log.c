/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message is made whole in a buffer on the stack and leaves with one write(), so lines of
 * several threads never mix and no lock is held over a slow stderr. Messages carry text that
 * pods, images and registries chose: what could steer a terminal or fake another line is
 * escaped, and the cut never leaves half an escape.
 */
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "log.h"

static const struct {
	const char *name;
	enum log_level level;
} level_names[] = {
	/* the first name of a level is the one log_level_name() gives */
	{ "fatal", LOG_FATAL }, { "panic", LOG_FATAL },	 { "error", LOG_ERROR },
	{ "warn", LOG_WARN },	{ "warning", LOG_WARN }, { "info", LOG_INFO },
	{ "debug", LOG_DEBUG }, { "trace", LOG_TRACE },
};

static _Atomic int current_level = LOG_INFO;

static const char *level_name(int level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
		if ((int)level_names[i].level == level)
			return level_names[i].name;
	return "info";
}

int log_set_level(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (streq(level_names[i].name, name)) {
			atomic_store(&current_level, (int)level_names[i].level);
			return 0;
		}
	}
	return -EINVAL;
}

const char *log_level_name(void)
{
	return level_name(atomic_load(&current_level));
}

/*
 * Length of the UTF-8 character at p, 0 when it has to be escaped: control (also C1) or
 * malformed.
 */
static size_t printable(const unsigned char *p, size_t n)
{
	size_t len = *p < 0x80 ? 1 : *p < 0xc0 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

	if (*p < 0x20 || *p == 0x7f || !len || len > n || !utf8_valid((const char *)p, len))
		return 0;
	return *p == 0xc2 && p[1] < 0xa0 ? 0 : len;
}

/* Appends text at *at, as far as it fits below size; false when it did not all fit. */
static bool append_escaped(char *out, size_t *at, size_t size, const char *text, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)text;
	size_t len, k;
	char esc[4];

	for (; n; p += len, n -= len) {
		const void *from = p;

		len = k = printable(p, n);
		if (!len) {
			len = 1;
			esc[0] = '\\';
			esc[1] = *p == '\n' ? 'n' : *p == '\t' ? 't' : 'x';
			esc[2] = hex[*p >> 4];
			esc[3] = hex[*p & 15];
			from = esc;
			k = esc[1] == 'x' ? 4 : 2;
		}
		if (*at + k > size)
			return false;
		memcpy(out + *at, from, k);
		*at += k;
	}
	return true;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	static const char cut[] = " [cut]";
	char text[LOG_LINE_MAX], line[LOG_LINE_MAX], when[TIME_MAX_LEN];
	int saved = errno, head, n;
	size_t at;
	bool whole;
	va_list ap;

	if ((int)level > atomic_load(&current_level))
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	time_format(now_ns(), when);
	head = snprintf(line, sizeof(line), "%s %s ", when, level_name((int)level));
	if (n < 0 || head < 0)
		return;
	at = (size_t)head;
	whole = append_escaped(line, &at, sizeof(line) - sizeof(cut), text, strlen(text));
	if (!whole || (size_t)n >= sizeof(text)) {
		memcpy(line + at, cut, sizeof(cut) - 1);
		at += sizeof(cut) - 1;
	}
	line[at++] = '\n';
	(void)!write_all(STDERR_FILENO, line, at);
	errno = saved;
}
