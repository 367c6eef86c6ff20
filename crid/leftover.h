/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a daemon that was killed left running. A finished container belongs to its monitor and stays;
 * a monitor that is still creating one goes on without a daemon, and would finish a container whose
 * record the next start has removed.
 */
#ifndef CRID_LEFTOVER_H
#define CRID_LEFTOVER_H

/* Kills the monitors of that container and all they started. Looks through /proc: only for the unfinished. */
void leftover_kill_monitors(const char *id);

#endif
