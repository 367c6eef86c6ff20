/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of a cgroup have open. */
#ifndef CRID_PROCESS_USAGE_H
#define CRID_PROCESS_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_USAGE_MAX 4096	/* processes that are looked at, each with up to so many descriptors */

struct process_usage {
	uint64_t processes, descriptors, sockets;
	uint64_t max_open_files;	/* soft limit of the first process; UINT64_MAX: none */
};

/* Also of the cgroups below it. false: it is gone. */
bool process_usage_read(const char *cgroup, pid_t init, struct process_usage *ret);

#endif
