/* SPDX-License-Identifier: Apache-2.0 */
/* See privileges.h. Read once: neither changes while the daemon runs. */
#include <linux/capability.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <cbase/io.h>
#include "log.h"
#include "privileges.h"

bool privileges_have_cap(unsigned number)
{
	return prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1;
}

static int lowest = -1000;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Without CAP_SYS_RESOURCE nobody goes below where he is. */
static void find_lowest(void)
{
	_cleanup_free_ char *text = NULL;

	if (privileges_have_cap(CAP_SYS_RESOURCE) || read_file("/proc/self/oom_score_adj", 64, &text, NULL))
		return;
	lowest = atoi(text);
	log_warn("without CAP_SYS_RESOURCE oom_score_adj of containers is at least %d", lowest);
}

int privileges_oom_score_adj(int64_t adj)
{
	pthread_once(&once, find_lowest);
	return adj < lowest ? lowest : adj > 1000 ? 1000 : (int)adj;
}
