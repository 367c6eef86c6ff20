/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal of a command in a container, as the OCI runtime hands it over: the runtime connects to a socket that
 * it finds by name, and sends the terminal's master (--console-socket). What is done to the master, such as
 * changing its size, is done to the command's terminal itself. The socket is in the container's run directory, under a
 * name of its own, and reached through a descriptor of that, as its whole path may be longer than a socket's may be.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cbase/io.h>
#include "errors.h"
#include "streaming_private.h"

#define CONSOLE_WAIT_NS 30000000000ll /* for the runtime to come, as long as it lives */

int console_open(struct console *c, const char *dir, struct cb_error *err)
{
	static atomic_uint number;
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	c->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	c->fd = c->dir < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return err_sys(err, "open %s", dir);
	snprintf(c->name, sizeof(c->name), "console-%u", atomic_fetch_add(&number, 1));
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", c->dir, c->name);
	unlinkat(c->dir, c->name, 0); /* of a daemon before us */
	if (bind(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(c->fd, 1) < 0) {
		*c->name = '\0';
		return err_sys(err, "listen for the terminal in %s", dir);
	}
	return 0;
}

void console_close(struct console *c)
{
	if (*c->name)
		unlinkat(c->dir, c->name, 0);
	close_fd(c->fd);
	close_fd(c->dir);
	*c = CONSOLE_NONE;
}

static int receive_master(int fd, int *ret, struct cb_error *err)
{
	char byte[64], room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec v = { byte, sizeof(byte) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room) };
	struct cmsghdr *h;

	if (recvmsg(fd, &m, MSG_CMSG_CLOEXEC) < 0)
		return err_sys(err, "receive the terminal");
	h = CMSG_FIRSTHDR(&m);
	if (!h || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS || h->cmsg_len != CMSG_LEN(sizeof(int)))
		return err_set(err, E_FAILED, "the runtime sends no terminal");
	memcpy(ret, CMSG_DATA(h), sizeof(int));
	return 0;
}

int console_receive(struct console *c, int runtime, int *ret, struct cb_error *err)
{
	struct pollfd p[] = { { .fd = c->fd, .events = POLLIN }, { .fd = runtime, .events = POLLIN } };
	int64_t left, deadline = mono_ns() + CONSOLE_WAIT_NS;
	_cleanup_close_ int fd = -1;

	while ((left = deadline - mono_ns()) > 0) {
		if (poll(p, 2, (int)(left / 1000000) + 1) < 0)
			continue;
		/* one that connects and says nothing dies soon, or of its deadline */
		if (fd < 0 && p[0].revents) {
			fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
			p[0].fd = fd;
		} else if (p[0].revents) {
			return receive_master(fd, ret, err);
		} else if (p[1].revents) {
			return 0;
		}
	}
	return err_set(err, E_DEADLINE, "the runtime sends no terminal");
}
