/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to a port of a pod: to its localhost, over a socket of its network namespace. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <cbase/cleanup.h>
#include "errors.h"
#include "netns_socket.h"
#include "streaming_private.h"

#define CONNECT_SECONDS 10

static const int families[] = { AF_INET, AF_INET6 };

static int connect_to(int fd, int family, unsigned port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct timeval limit = { .tv_sec = CONNECT_SECONDS };
	int r;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	r = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof(v4)) : connect(fd, (struct sockaddr *)&v6, sizeof(v6));
	return r < 0 ? -(errno == EINPROGRESS ? ETIMEDOUT : errno) : 0;
}

int stream_port_start(struct backend_stream *b, struct cb_error *err)
{
	_cleanup_close_ int ns = -1;
	int r, first = 0;

	if (*b->target->netns) {
		ns = open(b->target->netns, O_RDONLY | O_CLOEXEC);
		if (ns < 0)
			return err_sys(err, "open %s", b->target->netns);
	}
	for (size_t i = 0; i < ARRAY_SIZE(families) && b->io.in < 0; i++) {
		_cleanup_close_ int fd = -1;

		r = netns_socket(ns, families[i], SOCK_STREAM, IPPROTO_TCP, &fd);
		if (!r)
			r = connect_to(fd, families[i], b->port);
		if (!r)
			b->io.in = b->io.out = take_fd(fd);
		first = first ? first : r;
	}
	if (b->io.in >= 0)
		return 0;
	return err_sysr(err, first, "failed to connect to localhost:%u inside of pod %s", b->port, b->target->id);
}
