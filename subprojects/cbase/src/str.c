/* SPDX-License-Identifier: Apache-2.0 */
/* See str.h: the first failed allocation sticks, so that building text needs one check at its end. */
#include <stdarg.h>
#include <stdint.h>
#include <sys/random.h>
#include <cbase/str.h>

void str_done(struct str *s)
{
	int saved = errno;

	free(s->data);
	errno = saved;
	*s = (struct str)STR_INIT;
}

void str_reset(struct str *s)
{
	s->len = 0;
	s->failed = false;
	if (s->data)
		s->data[0] = '\0';
}

char *str_reserve(struct str *s, size_t n)
{
	size_t need, size;
	char *p;

	if (s->failed)
		return NULL;
	if (__builtin_add_overflow(s->len, n, &need) || __builtin_add_overflow(need, 1, &need))
		goto fail;
	if (need > s->size) {
		size = s->size ? s->size : 64;
		while (size < need)
			if (__builtin_mul_overflow(size, 2, &size))
				goto fail;
		p = realloc(s->data, size);
		if (!p)
			goto fail;
		s->data = p;
		s->size = size;
	}
	return s->data + s->len;
fail:
	s->failed = true;
	return NULL;
}

void str_append_mem(struct str *s, const void *p, size_t n)
{
	char *to = str_reserve(s, n);

	if (!to)
		return;
	if (n)
		memcpy(to, p, n);
	s->len += n;
	s->data[s->len] = '\0';
}

void str_append(struct str *s, const char *text)
{
	str_append_mem(s, text, strlen(text));
}

void str_append_char(struct str *s, char c)
{
	str_append_mem(s, &c, 1);
}

void str_vappendf(struct str *s, const char *fmt, va_list ap)
{
	va_list again;
	char *to;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0)
		s->failed = true;
	to = n < 0 ? NULL : str_reserve(s, (size_t)n);
	if (to) {
		vsnprintf(to, (size_t)n + 1, fmt, again);
		s->len += (size_t)n;
	}
	va_end(again);
}

void str_appendf(struct str *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_vappendf(s, fmt, ap);
	va_end(ap);
}

char *str_take(struct str *s, size_t *ret_len)
{
	char *p;

	str_append_mem(s, "", 0);
	if (s->failed) {
		str_done(s);
		return NULL;
	}
	p = s->data;
	if (ret_len)
		*ret_len = s->len;
	*s = (struct str)STR_INIT;
	return p;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && streq(s + n - m, suffix);
}

bool str_is_hex(const char *s, size_t n)
{
	return strspn(s, "0123456789abcdef") == n && s[n] == '\0';
}

char *strf(const char *fmt, ...)
{
	struct str s = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_vappendf(&s, fmt, ap);
	va_end(ap);
	return str_take(&s, NULL);
}

int str_to_i64(const char *s, long long *ret)
{
	long long v;
	char *end;

	if (s[0] != '-' && !(s[0] >= '0' && s[0] <= '9'))
		return -EINVAL;
	errno = 0;
	v = strtoll(s, &end, 10);
	if (end == s || *end || (s[0] == '-' && end == s + 1))
		return -EINVAL;
	if (errno)
		return -ERANGE;
	*ret = v;
	return 0;
}

/* Length of the valid UTF-8 sequence at p, or 0. */
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
	unsigned char c = p[0];
	size_t len, i;

	if (c == 0)
		return 0;
	if (c < 0x80)
		return 1;
	len = c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
	if (!len || n < len)
		return 0;
	for (i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) ||
	    (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

/* Are these eight bytes from 1 to 127 each? Nearly all text is, and lists of it are long. */
static bool ascii8(const unsigned char *p)
{
	const uint64_t high = 0x8080808080808080, seven = 0x7f7f7f7f7f7f7f7f;
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return !(w & high) && ((w + seven) & high) == high;
}

bool utf8_valid(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t len;

	for (; n; p += len, n -= len) {
		len = n >= 8 && ascii8(p) ? 8 : utf8_sequence(p, n);
		if (!len)
			return false;
	}
	return true;
}

void utf8_copy(char *buf, size_t size, const char *s)
{
	size_t n = strlen(s);

	if (n >= size)
		for (n = size - 1; n && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
			;
	memcpy(buf, s, n);
	buf[n] = '\0';
}

void str_append_utf8(struct str *s, const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len;

	for (; n; p += len, n -= len) {
		len = utf8_sequence(p, n);
		if (len)
			str_append_mem(s, p, len);
		else
			str_append(s, "\xef\xbf\xbd");
		len = len ? len : 1;
	}
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void str_append_base64(struct str *s, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	char q[4];
	uint32_t v;
	size_t k;

	for (; n; p += k, n -= k) {
		k = n < 3 ? n : 3;
		v = (uint32_t)p[0] << 16 | (k > 1 ? (uint32_t)p[1] << 8 : 0) | (k > 2 ? p[2] : 0);
		q[0] = base64_digits[v >> 18];
		q[1] = base64_digits[v >> 12 & 63];
		q[2] = k > 1 ? base64_digits[v >> 6 & 63] : '=';
		q[3] = k > 2 ? base64_digits[v & 63] : '=';
		str_append_mem(s, q, 4);
	}
	str_append_mem(s, "", 0);
}

static int base64_value(char c)
{
	const char *p = c ? strchr(base64_digits, c) : NULL;

	return p ? (int)(p - base64_digits) : -1;
}

int base64_decode(const char *s, size_t n, char **ret, size_t *ret_len)
{
	size_t pad = n && s[n - 1] == '=' ? (n > 1 && s[n - 2] == '=' ? 2 : 1) : 0;
	_cleanup_free_ char *out = NULL;
	size_t i, o = 0;
	uint32_t v = 0;
	int d;

	if (n % 4)
		return -EINVAL;
	out = malloc(n / 4 * 3 + 1);
	if (!out)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		d = i >= n - pad ? 0 : base64_value(s[i]);
		if (d < 0)
			return -EINVAL;
		v = v << 6 | (uint32_t)d;
		if (i % 4 < 3)
			continue;
		out[o++] = (char)(v >> 16);
		out[o++] = (char)(v >> 8);
		out[o++] = (char)v;
		v = 0;
	}
	o -= pad;
	out[o] = '\0';
	*ret_len = o;
	*ret = take(out);
	return 0;
}

void hex_encode(const unsigned char *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * n] = '\0';
}

int random_hex(size_t bytes, char *out)
{
	unsigned char buf[64];

	if (bytes > sizeof(buf))
		return -EINVAL;
	if (getrandom(buf, bytes, 0) != (ssize_t)bytes)
		return -errno;
	hex_encode(buf, bytes, out);
	return 0;
}

char **strv_free(char **v)
{
	size_t i;

	for (i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
	return NULL;
}

size_t strv_len(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

int strv_take(char ***v, char *s)
{
	size_t n = strv_len(*v);
	char **w = *v;

	if (!s)
		return -ENOMEM;
	/* Room doubles: it is re-allocated when the count reaches a power of two. */
	if ((n & (n + 1)) == 0) {
		w = realloc(*v, (2 * n + 2) * sizeof(*w));
		if (!w) {
			free(s);
			return -ENOMEM;
		}
		*v = w;
	}
	w[n] = s;
	w[n + 1] = NULL;
	return 0;
}

int strv_push(char ***v, const char *s)
{
	return strv_take(v, strdup(s));
}

int strv_pushf(char ***v, const char *fmt, ...)
{
	struct str s = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_vappendf(&s, fmt, ap);
	va_end(ap);
	return strv_take(v, str_take(&s, NULL));
}

char **strv_copy(char *const *v)
{
	_cleanup_strv_ char **w = calloc(1, 2 * sizeof(*w));
	size_t i;

	if (!w)
		return NULL;
	for (i = 0; v && v[i]; i++)
		if (strv_push(&w, v[i]))
			return NULL;
	return take(w);
}

bool strv_has(char *const *v, const char *s)
{
	size_t i;

	for (i = 0; v && v[i]; i++)
		if (streq(v[i], s))
			return true;
	return false;
}

int strv_split(const char *s, char sep, char ***ret)
{
	_cleanup_strv_ char **v = strv_copy(NULL);
	size_t n;

	if (!v)
		return -ENOMEM;
	while (*s) {
		n = strcspn(s, (char[]){ sep, '\0' });
		if (n && strv_take(&v, strndup(s, n)))
			return -ENOMEM;
		s += n + (s[n] != '\0');
	}
	*ret = take(v);
	return 0;
}

char *strv_join(char *const *v, const char *sep)
{
	struct str s = STR_INIT;
	size_t i;

	for (i = 0; v && v[i]; i++) {
		if (i)
			str_append(&s, sep);
		str_append(&s, v[i]);
	}
	return str_take(&s, NULL);
}
