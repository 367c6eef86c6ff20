/* SPDX-License-Identifier: Apache-2.0 */
/* Plain HTTP on the socket of CRI: what crid tells besides CRI (docs/inspect.md). */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cbase/io.h>
#include "ctl.h"

#define ANSWER_MAX (4u << 20)

int unix_connect(const char *endpoint)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;

	if (str_starts(endpoint, "unix://"))
		endpoint += strlen("unix://");
	if (strlen(endpoint) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.sun_path, endpoint, strlen(endpoint));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return -errno;
	return take_fd(fd);
}

/* To the end of the connection. */
static int read_answer(int fd, int stop_fd, struct str *out)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = stop_fd, .events = POLLIN } };
	char buf[16384];
	ssize_t n;

	for (;;) {
		if (poll(p, 2, -1) < 0)
			return -errno;
		if (p[1].revents)
			return -ECANCELED;
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			return n ? -errno : 0;
		str_append_mem(out, buf, (size_t)n);
		if (out->failed || out->len > ANSWER_MAX)
			return -EMSGSIZE;
	}
}

int http_get(const char *endpoint, const char *path, int stop_fd, struct str *ret)
{
	static const char ok[] = "HTTP/1.1 200 ";
	_cleanup_str_ struct str answer = STR_INIT;
	_cleanup_close_ int fd = unix_connect(endpoint);
	char request[256];
	const char *body;
	int r;

	if (fd < 0)
		return fd;
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	r = write_all(fd, request, strlen(request));
	if (!r)
		r = read_answer(fd, stop_fd, &answer);
	if (r)
		return r;
	body = answer.len ? memmem(answer.data, answer.len, "\r\n\r\n", 4) : NULL;
	if (!body || !str_starts(answer.data, ok))
		return -EPROTO;
	body += 4;
	str_append_mem(ret, body, answer.len - (size_t)(body - answer.data));
	return ret->failed ? -ENOMEM : 0;
}
