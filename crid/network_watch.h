/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the pod network is ready, and what follows from it. Configuration and plugin directories are
 * watched; plugins that know STATUS are asked again from time to time. Pods that need the network wait
 * here until it is ready. What pods that are gone have left in it is released at the start and tried
 * again until nothing is left. All of this is for the loop's thread.
 */
#ifndef CRID_NETWORK_WATCH_H
#define CRID_NETWORK_WATCH_H

#include "daemon.h"

/* After the first network_reload(). Directories that cannot be watched are looked at every few seconds. */
int network_watch_start(struct daemon *d, struct cb_error *err);
/* Who waits is told that the daemon ends. */
void network_watch_stop(struct daemon *d);

/* Calls fn once, later: 0 when the network is ready; E_UNAVAILABLE and the reason at the deadline. */
typedef void (*network_ready_fn)(void *user, int r, const struct cb_error *err);
int network_wait(struct daemon *d, int64_t deadline, network_ready_fn fn, void *user);

/* Something was left by a teardown that failed: it is tried again after a while. */
void network_collect_later(struct daemon *d);

#endif
