/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a port of a pod. A socket belongs to the network namespace of the thread that made
 * it, for good; so a child that shares memory and descriptors with us enters the pod's namespace, makes
 * one socket for each family, and is gone. None of our threads ever leaves the host's.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <cbase/cleanup.h>
#include "errors.h"
#include "streaming_private.h"

#define STACK_SIZE (32u << 10)
#define CONNECT_SECONDS 10

struct enter {
	int ns;
	int fd[2];	/* AF_INET, AF_INET6 */
	int error[2];
};

static const int families[] = { AF_INET, AF_INET6 };

/* System calls only. */
__attribute__((no_sanitize("address", "thread", "undefined"))) static int enter_main(void *arg)
{
	struct enter *e = arg;
	int left = e->ns >= 0 ? setns(e->ns, CLONE_NEWNET) : 0;

	for (int i = 0; i < 2; i++) {
		if (left == 0)
			e->fd[i] = socket(families[i], SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
		e->error[i] = e->fd[i] < 0 ? errno : 0;
	}
	_exit(0);
}

static int make_sockets(struct enter *e)
{
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	sigset_t all, old;
	int r = 0;

	if (stack == MAP_FAILED)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	/* held until it is gone; the thread that collects children collects it */
	if (clone(enter_main, stack + STACK_SIZE, CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD, e) < 0)
		r = -errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	munmap(stack, STACK_SIZE);
	return r;
}

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
	struct enter e = { -1, { -1, -1 }, { 0, 0 } };
	_cleanup_close_ int ns = -1;
	int r, first = 0;

	if (*b->target->netns) {
		ns = e.ns = open(b->target->netns, O_RDONLY | O_CLOEXEC);
		if (ns < 0)
			return err_sys(err, "open %s", b->target->netns);
	}
	r = make_sockets(&e);
	if (r)
		return err_sysr(err, r, "enter %s", b->target->netns);
	for (int i = 0; i < 2; i++) {
		r = e.fd[i] < 0 ? -e.error[i] : b->io.in >= 0 ? 0 : connect_to(e.fd[i], families[i], b->port);
		if (!r && b->io.in < 0)
			b->io.in = b->io.out = e.fd[i];
		else
			close_fd(e.fd[i]);
		first = first ? first : r;
	}
	if (b->io.in >= 0)
		return 0;
	return err_sysr(err, first, "failed to connect to localhost:%u inside of pod %s", b->port, b->target->id);
}
