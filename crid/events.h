/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GetContainerEvents: what happens to containers, and to pods under their own id, told to whoever asked.
 * The events are made where the states change, so their order is that of the changes.
 */
#ifndef CRID_EVENTS_H
#define CRID_EVENTS_H

#include "daemon.h"

/* Of what waits for a subscriber beyond the 1 MiB that libcrisvc keeps. One that lets more wait is cut off. */
#define EVENTS_QUEUED_MAX 1000
#define EVENTS_BYTES_MAX (16u << 20)

/* Owns the call. Without enable_pod_events it ends at once and well. */
void events_subscribe(struct daemon *d, struct crisvc_call *call);
void events_container(const struct container *c, enum container_event ev);
void events_pod(const struct pod *p, enum pod_event ev);
/* At the daemon's end: nobody is told any more. */
void events_end(struct daemon *d);

#endif
