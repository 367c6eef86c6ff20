/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To the process of a container by conmon's socket ATTACH_DIR/ID/attach, where ID is a symlink to the
 * bundle; it is reached through a descriptor of that directory, as the whole path may be longer than a
 * socket's may be.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cbase/io.h>
#include "errors.h"
#include "streaming_private.h"

static int connect_monitor(const struct backend_stream *b, int *ret, struct cb_error *err)
{
	_cleanup_free_ char *path = strf("%s/%s", b->t->config->container_attach_socket_dir, b->target->id);
	_cleanup_close_ int dir = -1, fd = -1;
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (!path)
		return err_oom(err);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = dir < 0 ? -1 : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/attach", dir);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(err, "connect to %s/attach", path);
	*ret = take_fd(fd);
	return 0;
}

int stream_attach_start(struct backend_stream *b, struct cb_error *err)
{
	const struct stream_target *t = b->target;
	_cleanup_free_ char *ctl = strf("%s/ctl", t->run_dir);
	int fd = -1, r;

	if (!ctl)
		return err_oom(err);
	/* without a monitor at the other end this would block for ever */
	b->control = open(ctl, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (b->control < 0)
		return err_sys(err, "open %s", ctl);
	r = connect_monitor(b, &fd, err);
	if (r)
		return r;
	b->io.in = b->io.out = fd;
	b->io.flags = CRISVC_STREAM_IO_PACKETS;
	if (t->tty)
		b->io.flags |= CRISVC_STREAM_IO_DETACH_KEYS;
	else if ((t->flags & CRISVC_STREAM_STDIN) && t->stdin && !t->stdin_once)
		b->io.flags |= CRISVC_STREAM_IO_ENDS_WITH_STDIN;
	return 0;
}
