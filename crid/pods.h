/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a pod on the loop's thread; like containers.h: what is wanted, what is true, and
 * pod_advance() to start the next step.
 */
#ifndef CRID_PODS_H
#define CRID_PODS_H

#include "daemon.h"

/* RunPodSandbox. Takes over the call, the message and the request's bytes. */
void pod_run(struct daemon *d, struct crisvc_call *call, Runtime__V1__RunPodSandboxRequest *q, void *bytes, size_t len);
/* grace in ns for its containers. call may be NULL. */
void pod_stop(struct pod *p, struct crisvc_call *call, int64_t grace);
void pod_remove(struct pod *p, struct crisvc_call *call, int64_t grace);
void pod_advance(struct pod *p);

/* One of its containers cannot be removed, so neither can the pod, if that is wanted. */
void pod_remove_failed(struct pod *p, int r, const struct cb_error *err);

/* One that exists already; owns info. NULL: out of memory. */
struct pod *pod_add(struct daemon *d, struct pod_info *info, enum pod_state state, const struct object_state *st);
/* The infra container as an object of its own, so that its end is noticed like any other's; owns the pidfds (-1: gone). */
void pod_add_infra(struct pod *p, int init_fd, int monitor_fd);
/* Out of the table and of memory, with its containers; what is on disk stays. */
void pod_release(struct pod *p);
bool pod_visible(const struct pod *p);

#endif
