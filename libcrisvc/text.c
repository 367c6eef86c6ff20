/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header values that gRPC defines on top of HTTP/2: content type, timeout, status message. Pure
 * functions on bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "text.h"

bool text_is_grpc(const char *p, size_t n)
{
	static const char type[] = "application/grpc";
	size_t len = sizeof(type) - 1;

	if (n < len || strncasecmp(p, type, len) != 0)
		return false;
	return n == len || p[len] == '+' || p[len] == ';';
}

/* Coarsest first. */
static const struct {
	char letter;
	int64_t ns;
} units[] = {
	{ 'H', 3600 * (int64_t)1000000000 },
	{ 'M', 60 * (int64_t)1000000000 },
	{ 'S', 1000000000 },
	{ 'm', 1000000 },
	{ 'u', 1000 },
	{ 'n', 1 },
};

#define UNITS (sizeof(units) / sizeof(units[0]))
#define TIMEOUT_DIGITS 8
#define TIMEOUT_VALUE_MAX 99999999

int text_parse_timeout(const char *p, size_t n, int64_t *ret_ns)
{
	int64_t v = 0;

	if (n < 2 || n > TIMEOUT_DIGITS + 1)
		return -EINVAL;
	for (size_t i = 0; i < n - 1; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -EINVAL;
		v = v * 10 + (p[i] - '0');
	}
	for (size_t i = 0; i < UNITS; i++) {
		if (units[i].letter != p[n - 1])
			continue;
		if (__builtin_mul_overflow(v, units[i].ns, ret_ns))
			*ret_ns = INT64_MAX;
		return 0;
	}
	return -EINVAL;
}

void text_format_timeout(int64_t ns, char out[TEXT_TIMEOUT_MAX])
{
	size_t i = UNITS - 1;
	int64_t v;

	if (ns < 0)
		ns = 0;
	while (i > 0 && ns / units[i].ns >= TIMEOUT_VALUE_MAX)
		i--;
	v = ns / units[i].ns + (ns % units[i].ns != 0);
	snprintf(out, TEXT_TIMEOUT_MAX, "%lld%c", (long long)v, units[i].letter);
}

/* Bytes of the UTF-8 character at p; a byte that starts none counts alone. */
static size_t char_len(const char *p)
{
	unsigned char c = *p;
	size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;

	for (size_t i = 1; i < n; i++)
		if (((unsigned char)p[i] & 0xc0) != 0x80) /* also stops at the NUL */
			return 1;
	return n;
}

void text_encode_message(struct str *out, const char *message, size_t max)
{
	size_t used = 0;

	for (const char *p = message; *p;) {
		size_t n = char_len(p);
		/* HTTP/2 peers refuse or strip spaces at both ends of a value */
		bool edge = *p == ' ' && (p == message || !p[1]);
		bool plain = *p >= 0x20 && *p <= 0x7e && *p != '%' && !edge;
		size_t need = plain ? 1 : 3 * n;

		if (need > max - used)
			return;
		used += need;
		for (; n; n--, p++) {
			if (plain)
				str_append_char(out, *p);
			else
				str_appendf(out, "%%%02X", (unsigned char)*p);
		}
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

void text_decode_message(struct str *out, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '%' && n - i > 2 && hex_value(p[i + 1]) >= 0 &&
		    hex_value(p[i + 2]) >= 0) {
			str_append_char(out,
					(char)(hex_value(p[i + 1]) << 4 | hex_value(p[i + 2])));
			i += 2;
		} else {
			str_append_char(out, p[i]);
		}
	}
}
