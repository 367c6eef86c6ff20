/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server may answer to a client: the input is all that it says, whatever the client asks.
 * Byte 0: odd for a stream of messages.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "limit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct crisvc_error err = { 0 };
	struct exchange x;
	struct channel ch;
	void *message;
	size_t len;
	int fds[2];

	if (!size || size > 100000)
		return 0;
	channel_init(&ch, "/nowhere");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) ||
	    channel_open(&ch, fds[0], &err))
		abort();
	if (exchange_init(&x, "request", 7, 10000, 1000, 100000, &err))
		abort();
	x.unary = !(data[0] & 1);
	if (channel_submit(&ch, &x, "/a.B/C", &err))
		abort();
	if (send(fds[1], data + 1, size - 1, MSG_NOSIGNAL) != (ssize_t)size - 1)
		abort();
	shutdown(fds[1], SHUT_WR);
	while (!channel_run(&ch, &x, 0, &err) && exchange_take(&x, &message, &len)) {
		free(message);
		channel_resume(&ch, &x);
	}
	if (x.done)
		exchange_conclude(&x, &err);
	channel_drop(&ch, &x);
	exchange_done(&x);
	channel_done(&ch);
	close(fds[1]);
	return 0;
}
