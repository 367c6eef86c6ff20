/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the daemon's loop that children need, for tests: SIGCHLD calls spawn_reap(). */
#ifndef TEST_REAPER_H
#define TEST_REAPER_H

#include <check.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <cbase/cleanup.h>
#include "spawn.h"

static void *reaper_main(void *arg)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	while (sigwait(&set, &sig) == 0)
		spawn_reap();
	return NULL;
}

/* In each case's own process: check forks, and threads do not survive that. */
static inline void reaper_start(void)
{
	pthread_t t;
	sigset_t set;

	spawn_init();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pthread_create(&t, NULL, reaper_main, NULL), 0);
	pthread_detach(t);
}

static inline size_t open_fds(void)
{
	_cleanup_closedir_ DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d))
		n++;
	return n;
}

#endif
