/* SPDX-License-Identifier: Apache-2.0 */
/* See err.h: error texts are built in place, in the caller's fixed-size buffer. */
#include <stdarg.h>
#include <string.h>
#include <cbase/err.h>

/* Cuts at a UTF-8 boundary, so that a long path never makes the text invalid. */
static void trim(char *buf, size_t size, size_t wanted)
{
	size_t n;

	if (wanted < size)
		return;
	n = strlen(buf);
	while (n > 0 && ((unsigned char)buf[n - 1] & 0xc0) == 0x80)
		n--;
	if (n > 0 && (unsigned char)buf[n - 1] >= 0xc0)
		buf[n - 1] = '\0';
}

int err_fill(int *code, int *sys_errno, char *buf, size_t size, int r, const char *fmt, ...)
{
	va_list ap;
	char text[128];
	int n;

	if (!code)
		return r;
	*code = r > 0 ? r : 0;
	*sys_errno = r < 0 ? -r : 0;
	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	if (n < 0) {
		buf[0] = '\0';
		n = 0;
	}
	trim(buf, size, (size_t)n);
	if (r < 0 && (size_t)n + 2 < size)
		snprintf(buf + n, size - (size_t)n, ": %s", strerror_r(-r, text, sizeof(text)));
	return r;
}

int err_prefix(char *buf, size_t size, int r, const char *fmt, ...)
{
	char old[CB_ERROR_MESSAGE_MAX];
	va_list ap;
	int n;

	if (!buf || !r)
		return r;
	snprintf(old, sizeof(old), "%s", buf);
	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if ((size_t)n < size)
		n += snprintf(buf + n, size - (size_t)n, ": %s", old);
	trim(buf, size, (size_t)n);
	return r;
}

void err_transfer(int *code, int *sys_errno, char *buf, size_t size, int from_code, int from_errno,
		  const char *from)
{
	int n;

	if (!code)
		return;
	*code = from_code;
	*sys_errno = from_errno;
	n = snprintf(buf, size, "%s", from);
	trim(buf, size, n < 0 ? 0 : (size_t)n);
}
