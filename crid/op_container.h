/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocking halves of what happens to a container, for operation threads. Read op_container_make()
 * from top to bottom and you have read CreateContainer.
 */
#ifndef CRID_OP_CONTAINER_H
#define CRID_OP_CONTAINER_H

#include <crisvc-cri.h>
#include "records.h"
#include "state_file.h"
#include "services.h"

struct container_make {
	const Runtime__V1__ContainerConfig *config;
	const struct pod_info *pod;
	struct process_id infra;	/* of the pod's infra container; pid 0: none */
	struct process_id target;	/* init of the container whose pid namespace is shared; pid 0: none */
};

/*
 * Makes the container that info names (id, names, image ids, labels, times are filled; the rest is
 * filled here). On failure all is undone, and the log file removed.
 */
int op_container_make(const struct services *sv, const struct container_make *m, struct container_info *info,
		      struct object_state *ret_state, struct cb_error *err);
/* Runs the created process; st becomes running, on disk too. */
int op_container_start(const struct services *sv, const struct container_info *i, struct object_state *st,
		       struct cb_error *err);
/*
 * Has it ended? killed_by_us: it was sent SIGKILL, to stop it. E_NOT_FOUND: no exit code yet, and the
 * monitor (or, when that is gone, the process) lives. 0: st holds exit code and time, on disk too, and the root file system is unmounted.
 */
int op_container_ended(const struct services *sv, const struct container_info *i, bool killed_by_us, struct object_state *st,
		       struct cb_error *err);
/*
 * New limits for one that is created or running, at once and in config.json. What the request leaves out
 * stays. ret shows all of them, with texts in the arena. E_STATE: more memory is in use than it may have.
 */
int op_container_update(const struct services *sv, const struct container_info *i,
			const Runtime__V1__LinuxContainerResources *q, struct arena *a, struct resource_info *ret, struct cb_error *err);
/* Runtime, monitor's files, store's record (last). Idempotent. */
int op_container_delete(const struct services *sv, const struct container_info *i, struct cb_error *err);
/* The same for one that was never finished; what fails is logged. */
void op_container_undo(const struct services *sv, const struct container_info *i);

#endif
