/* SPDX-License-Identifier: Apache-2.0 */
/* See netns_socket.h. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "netns_socket.h"

#define STACK_SIZE (32u << 10)

struct enter {
	int ns, family, type, protocol;
	int fd, error;
};

/* System calls only. */
__attribute__((no_sanitize("address", "thread", "undefined"))) static int enter_main(void *arg)
{
	struct enter *e = arg;

	if (e->ns < 0 || setns(e->ns, CLONE_NEWNET) == 0)
		e->fd = socket(e->family, e->type | SOCK_CLOEXEC, e->protocol);
	e->error = e->fd < 0 ? errno : 0;
	_exit(0);
}

int netns_socket(int ns, int family, int type, int protocol, int *ret_fd)
{
	struct enter e = { .ns = ns, .family = family, .type = type, .protocol = protocol, .fd = -1 };
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	sigset_t all, old;

	if (stack == MAP_FAILED)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	/* held until it is gone; the thread that collects children collects it */
	if (clone(enter_main, stack + STACK_SIZE, CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD, &e) < 0)
		e.error = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	munmap(stack, STACK_SIZE);
	if (e.error)
		return -e.error;
	*ret_fd = e.fd;
	return 0;
}
