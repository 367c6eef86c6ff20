/* SPDX-License-Identifier: Apache-2.0 */
/* See privileges.h. Read once: neither changes while the daemon runs. */
#include <linux/capability.h>
#include <pthread.h>
#include <stdatomic.h>
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

uint64_t privileges_caps(uint64_t wanted)
{
	static atomic_bool told;
	uint64_t caps = 0;
	unsigned c;

	/* past the last one the kernel knows there are none */
	for (c = 0; c < 64 && prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++) {
		if (!(wanted >> c & 1))
			continue;
		if (privileges_have_cap(c))
			caps |= 1ull << c;
		else if (!atomic_exchange(&told, true))
			log_warn("the daemon lacks capability %u, and maybe others: containers that ask for it do not get it", c);
	}
	return caps;
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
