/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a daemon that was killed left running. A finished container belongs to its monitor and stays;
 * a monitor that is still creating one goes on without a daemon, and would finish a container whose
 * record the next start has removed. A CNI plugin that goes on with its ADD after the next daemon's
 * DEL would leak an address, a runtime's start or delete would change what has just been looked at.
 */
#ifndef CRID_LEFTOVER_H
#define CRID_LEFTOVER_H

#include <stdbool.h>
#include "config.h"

/*
 * Waits until the runtime commands, CNI plugins and makers of namespaces that work for one of our
 * objects have ended: some seconds for all of them together, then they are killed. Streams and execs
 * are their callers' and not touched. Looks through /proc once when there are none.
 */
void leftover_settle(const struct config *c, bool (*is_ours)(void *user, const char *id), void *user);
/*
 * Kills the runtime commands for that container with all they started: of a monitor that died before
 * them. Looks through /proc.
 */
void leftover_kill_commands(const struct config *c, const char *id);
/* Kills the monitors of that container and all they started. Looks through /proc: only for the unfinished. */
void leftover_kill_monitors(const char *id);

#endif
