/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the configuration again while the daemon runs. What is wrong in it is told to the log and
 * nothing changes.
 */
#ifndef CRID_RELOAD_H
#define CRID_RELOAD_H

#include "daemon.h"

void reload(struct daemon *d);
void reload_stop(struct daemon *d);	/* nothing may use a configuration of before any more */

#endif
