/* SPDX-License-Identifier: Apache-2.0 */
/* What of the daemon children need, for tests. */
#ifndef TEST_REAPER_H
#define TEST_REAPER_H

#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <cbase/cleanup.h>
#include "spawn.h"

/* In each case's own process: check forks, and threads do not survive that. */
static inline void reaper_start(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(spawn_init(), 0);
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
