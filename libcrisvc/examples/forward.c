/* SPDX-License-Identifier: Apache-2.0 */
/* Lets one client of port-forward reach the ports of 127.0.0.1; prints the URL and ends with the client. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <crisvc-streaming.h>

/* For each connection that the client forwards. */
static void start(void *user, struct crisvc_stream *s)
{
	struct sockaddr_in to = { AF_INET, htons((uint16_t)crisvc_stream_port(s)), { htonl(INADDR_LOOPBACK) } };
	struct crisvc_stream_io io = { .size = sizeof(io), .err = -1 };

	io.in = io.out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(io.in, (struct sockaddr *)&to, sizeof(to))) { /* at once, on the loopback */
		crisvc_stream_fail(s, strerror(errno));
		close(io.in);
		return;
	}
	crisvc_stream_run(s, &io); /* from here on the library has the socket */
}

int main(void)
{
	struct crisvc_stream_backend backend = { .size = sizeof(backend), .start = start };
	struct crisvc_stream_request request = { .size = sizeof(request), .kind = CRISVC_STREAM_PORT_FORWARD };
	struct sockaddr_in a = { AF_INET, 0, { htonl(INADDR_LOOPBACK) } };
	char token[CRISVC_STREAMING_TOKEN_SIZE];
	struct crisvc_streaming *server = NULL;
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	r = bind(fd, (struct sockaddr *)&a, n) || listen(fd, 16) || getsockname(fd, (struct sockaddr *)&a, &n) ||
	    crisvc_streaming_new(&backend, NULL, &server) || crisvc_streaming_listen(server, fd) ||
	    crisvc_streaming_expect(server, &request, token, NULL);
	if (!r)
		printf("http://127.0.0.1:%u/portforward/%s\n", ntohs(a.sin_port), token);
	fflush(stdout);
	while (!r && crisvc_streaming_busy(server)) {
		struct pollfd p = { .fd = crisvc_streaming_get_fd(server), .events = POLLIN };

		r = poll(&p, 1, -1) < 0 || crisvc_streaming_dispatch(server);
	}
	crisvc_streaming_free(server);
	return r ? 1 : 0;
}
