/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See notify.h. The protocol is one datagram; libsystemd would bring liblzma, libgcrypt and more into
 * a process that otherwise maps none of them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cbase/str.h>
#include "log.h"
#include "notify.h"

#define MESSAGE_MAX 512

static struct sockaddr_un address;
static socklen_t address_len;		/* 0: nobody listens */
static int64_t watchdog_ns;

static void take_socket(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	if (!n)
		return;
	if ((*path != '/' && *path != '@') || n < 2 || n >= sizeof(address.sun_path)) {
		log_warn("NOTIFY_SOCKET=%s is no address of a socket", path);
		return;
	}
	address.sun_family = AF_UNIX;
	memcpy(address.sun_path, path, n);
	if (*path == '@')
		address.sun_path[0] = '\0';
	/* an abstract name has no end but its length */
	address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*path == '/'));
}

static void take_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	long long n;

	if (pid && (str_to_i64(pid, &n) || n != getpid()))
		return;		/* meant for another process */
	if (usec && !str_to_i64(usec, &n) && n > 0 && n <= INT64_MAX / 1000)
		watchdog_ns = n * 1000;
}

void notify_init(void)
{
	take_socket();
	take_watchdog();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify(const char *fmt, ...)
{
	_cleanup_close_ int fd = -1;
	char text[MESSAGE_MAX];
	va_list ap;
	int n;

	if (!address_len)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* the service manager reads it when it can; the loop does not wait for that */
	if (fd < 0 || n < 0 || n >= (int)sizeof(text) ||
	    sendto(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&address, address_len) < 0)
		log_warn("tell the service manager: %s", strerror(errno));
}

int64_t notify_watchdog_ns(void)
{
	return watchdog_ns;
}
