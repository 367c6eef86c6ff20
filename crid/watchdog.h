/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service manager is told regularly that the daemon works, each time after it has been asked a
 * question of CRI over its own socket and has answered.
 */
#ifndef CRID_WATCHDOG_H
#define CRID_WATCHDOG_H

#include "daemon.h"

void watchdog_start(struct daemon *d);		/* nothing, when nobody expects to hear */
void watchdog_stop(struct daemon *d);

#endif
