/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ctrl-C for a command that has to clean up. Its steps cannot be broken off half-way without
 * leaving something behind, so a thread of its own takes the signals: the first one is a
 * request, which the command honours between its steps, the second one ends the program.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "tool.h"

static atomic_bool asked;
static int event_fd = -1;
static const char *leaves;
static sigset_t signals;

static void *wait_for_signals(void *unused)
{
	static const uint64_t one = 1;
	int sig;

	for (;;) {
		if (sigwait(&signals, &sig))
			continue;
		if (atomic_exchange(&asked, true)) {
			complain("giving up; %s", leaves);
			_exit(128 + sig);
		}
		if (write(event_fd, &one, sizeof(one)) < 0)
			_exit(128 + sig);
	}
	return NULL;
}

int interrupt_init(int *ret_fd, const char *left_behind)
{
	pthread_t thread;
	int r;

	leaves = left_behind;
	event_fd = eventfd(0, EFD_CLOEXEC);
	if (event_fd < 0) {
		complain("eventfd: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	r = pthread_create(&thread, NULL, wait_for_signals, NULL);
	if (r) {
		complain("start a thread: %s", strerror(r));
		return EXIT_FAILURE;
	}
	pthread_detach(thread);
	*ret_fd = event_fd;
	return 0;
}

bool interrupted(void)
{
	return atomic_load(&asked);
}
