/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a container on the loop's thread: what is wanted of it (want_start, want_stop,
 * want_remove) and what is true of it (state, busy, end_hint), and container_advance(), which is called
 * after every change of either and starts the next operation, if there is one to start.
 */
#ifndef CRID_CONTAINERS_H
#define CRID_CONTAINERS_H

#include "daemon.h"

/*
 * CreateContainer: joins the same request that runs, or starts it. Takes over the call, the request
 * message and the request's bytes (malloc).
 */
void container_create(struct pod *p, struct crisvc_call *call, Runtime__V1__CreateContainerRequest *q,
		      void *bytes, size_t len);
void container_start(struct container *c, struct crisvc_call *call);
/* grace in ns; a later stop can only shorten it. call may be NULL. */
void container_stop(struct container *c, struct crisvc_call *call, int64_t grace);
/* Stops it first when it runs. */
void container_remove(struct container *c, struct crisvc_call *call, int64_t grace);
/* UpdateContainerResources. Takes over the call and the request. */
void container_update(struct container *c, struct crisvc_call *call, Runtime__V1__UpdateContainerResourcesRequest *q);
/* It may have ended: exit file seen, monitor or process gone. */
void container_hint(struct container *c);

void container_advance(struct container *c);

/* One that exists already (after a restart, or a pod's infra container); owns info. NULL: out of memory. */
struct container *container_add(struct pod *p, struct container_info *info, enum container_state state,
				const struct object_state *st, bool infra);
/* Watches its processes, if they live. */
void container_watch(struct container *c, int init_fd, int monitor_fd);
void container_free(struct container *c);	/* also from the pod's list */
bool container_visible(const struct container *c);

#endif
