/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's one inotify instance: exit files, the store's image records, CNI configuration and
 * plugins.
 */
#ifndef CRID_WATCH_H
#define CRID_WATCH_H

#include "daemon.h"

int watch_start(struct daemon *d, struct cb_error *err);
void watch_stop(struct daemon *d);
/* Asks the network whether it is ready, on an operation thread; many calls at once make one or two. */
void watch_network(struct daemon *d);

#endif
