/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocking halves of what happens to a pod, for operation threads. Read op_pod_make() from top to
 * bottom and you have read RunPodSandbox.
 */
#ifndef CRID_OP_POD_H
#define CRID_OP_POD_H

#include <crisvc-cri.h>
#include "records.h"
#include "state_file.h"
#include "services.h"

/*
 * Makes the pod that info names (id, names, labels, modes, times are filled; paths, addresses and
 * namespaces are filled here). With an infra container ret_infra tells its processes. On failure all
 * is undone, or ret_half says that its network could not be: then it is left to op_pod_network_down() and
 * the following.
 */
int op_pod_make(const struct services *sv, const Runtime__V1__PodSandboxConfig *c, struct pod_info *info,
		struct object_state *ret_state, bool *ret_half, struct cb_error *err);

/* CNI DEL and the marker that it is done. Idempotent; completes also when plugins or namespace are gone. */
int op_pod_network_down(const struct services *sv, const struct pod_info *i, struct cb_error *err);
/* After containers and network are gone: shm, namespace pins, infra root file system, markers, state.json. Idempotent. */
int op_pod_stopped(const struct services *sv, const struct pod_info *i, struct object_state *st, struct cb_error *err);
/* The infra container in the runtime, the cgroup, and the store's record, which goes last. Idempotent. */
int op_pod_delete(const struct services *sv, const struct pod_info *i, struct cb_error *err);
/*
 * All of the above for a pod that was never finished. Not 0: its network could not be taken down. An
 * address without a pod would be lost for good, so the pod stays.
 */
int op_pod_undo(const struct services *sv, const struct pod_info *i);

#endif
