/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Killing a program with everything it started: for a monitor that is itself a child subreaper, so
 * that none of its descendants outside a container's PID namespace can leave the tree below it.
 */
#ifndef CRID_PROCTREE_H
#define CRID_PROCTREE_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Kills the descendants of the process and their process groups, then the process, and waits
 * until they are dead, at most some seconds: one in uninterruptible sleep is left behind. pidfd
 * names the process and pid is its number; nothing happens when it is dead already.
 */
void proctree_kill(int pidfd, pid_t pid);
/*
 * The same for a process known by number only; it has to be a child of this process, else
 * nothing happens.
 */
void proctree_kill_child(pid_t pid);

#endif
