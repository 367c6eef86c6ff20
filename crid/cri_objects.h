/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of replies that more than one file of RPCs makes. Messages are in the arena; NULL when out of memory. */
#ifndef CRID_CRI_OBJECTS_H
#define CRID_CRI_OBJECTS_H

#include "cri_pairs.h"
#include "daemon.h"
#include "stats.h"

Runtime__V1__PodSandboxMetadata *cri_pod_metadata(struct arena *a, const struct pod_info *i);
Runtime__V1__PodSandboxStatus *cri_pod_status(struct arena *a, const struct pod *p);
Runtime__V1__ContainerMetadata *cri_container_metadata(struct arena *a, const struct container_info *i);
Runtime__V1__ContainerStatus *cri_container_status(struct arena *a, const struct container *c);

/* Of all that the pod has; *ret_n of them. */
Runtime__V1__ContainerStatus **cri_container_statuses(struct arena *a, const struct pod *p, size_t *ret_n);
/* Does it use anything: created or running? */
bool cri_is_measured(const struct container *c);
bool cri_pod_is_measured(const struct pod *p);
/* Asks for a pod and what it has of those. */
void cri_ask_pod(struct stats_question *s, struct pod *p);

#endif
