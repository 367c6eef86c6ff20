/* SPDX-License-Identifier: Apache-2.0 */
/* The resources of a container as its config.json has them: linux.resources and process.oomScoreAdj. */
#ifndef CRID_CONTAINER_RESOURCES_H
#define CRID_CONTAINER_RESOURCES_H

#include <crisvc-cri.h>
#include <cbase/err.h>
#include <ocispec.h>

/*
 * Sets what the request gives; what it leaves out (0, "") stays as it is. min_memory is the handler's.
 * E_INVALID: negative, or a limit that is too low.
 */
int container_resources_set(struct ocispec *s, const Runtime__V1__LinuxContainerResources *q, int64_t min_memory,
			    struct cb_error *err);
#endif
