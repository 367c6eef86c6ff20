/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What signals ask of the daemon: SIGTERM and SIGINT to end in order, and at once when they come
 * again; SIGHUP to read the configuration again; SIGUSR1 to log what it does; SIGUSR2 to give
 * memory back.
 */
#ifndef CRID_SIGNALS_H
#define CRID_SIGNALS_H

#include "daemon.h"

/* Before any thread exists: from then on signals only come through the loop, SIGCHLD to spawn.c. */
void signals_block(void);
int signals_start(struct daemon *d, struct cb_error *err);
void signals_stop(struct daemon *d);

#endif
