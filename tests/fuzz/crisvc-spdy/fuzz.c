/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole streaming server and one client that upgrades and then sends the input. The first byte says
 * what was asked for, so that exec, attach and port-forward are all met. Another harness that includes
 * this one chooses what comes before the input.
 */
#include <stdio.h>
#include <sys/socket.h>
#include "streaming/private.h"

#ifndef FUZZ_REQUEST
#define FUZZ_REQUEST                                                                               \
	"POST /%s/%s HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"                       \
	"X-Stream-Protocol-Version: v4.channel.k8s.io, portforward.k8s.io\r\n\r\n"
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void start(void *user, struct crisvc_stream *s)
{
	struct crisvc_stream_io io = { .size = sizeof(io), .in = -1, .out = -1, .err = -1 };
	int pair[2], kind = crisvc_stream_kind(s);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		abort();
	/* nobody reads what comes, and there is something to send */
	if (write(pair[1], "output", 6) != 6)
		abort();
	shutdown(pair[1], SHUT_WR);
	crisvc_stream_set_user(s, (void *)(intptr_t)pair[1]);
	io.in = io.out = pair[0];
	crisvc_stream_run(s, &io);
	if (kind == CRISVC_STREAM_EXEC)
		crisvc_stream_exit(s, 0);
}

static void done(void *user, struct crisvc_stream *s)
{
	close((int)(intptr_t)crisvc_stream_user(s));
}

static void drain(struct crisvc_streaming *s, int fd)
{
	static char buf[1 << 16];

	for (int i = 0; i < 4; i++) {
		if (crisvc_streaming_dispatch(s))
			abort();
		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = { "exec", "attach", "portforward" };
	static const uint16_t ports[] = { 80, 81 };
	struct crisvc_stream_backend backend = { .size = sizeof(backend), .start = start, .done = done };
	int which = size ? data[0] % 3 : 0;
	struct crisvc_stream_request q = { .size = sizeof(q), .kind = CRISVC_STREAM_EXEC + which, .ports = ports,
		.n_ports = 2, .flags = CRISVC_STREAM_STDIN | CRISVC_STREAM_STDOUT | CRISVC_STREAM_TTY };
	char token[CRISVC_STREAMING_TOKEN_SIZE], head[1024];
	struct crisvc_streaming *s;
	int pair[2], n;

	if (crisvc_streaming_new(&backend, NULL, &s) || crisvc_streaming_expect(s, &q, token, NULL) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) || conn_new(s, pair[0]))
		abort();
	n = snprintf(head, sizeof(head), FUZZ_REQUEST, paths[which], token);
	if (n > 0 && send(pair[1], head, (size_t)n, MSG_NOSIGNAL) != n)
		abort();
	drain(s, pair[1]);
	for (size_t at = 1; at < size; at += 4096) {
		send(pair[1], data + at, size - at < 4096 ? size - at : 4096, MSG_NOSIGNAL | MSG_DONTWAIT);
		drain(s, pair[1]);
	}
	close(pair[1]);
	crisvc_streaming_dispatch(s);
	crisvc_streaming_free(s);
	return 0;
}
