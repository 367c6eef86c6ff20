/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a sandbox: what an infra container runs with, and in any case the pod's record. */
#ifndef CRID_POD_SPEC_H
#define CRID_POD_SPEC_H

#include <ocispec.h>
#include "info.h"
#include "services.h"

/* A pod without process has a process object all the same: CRI-O cannot load one without. */
int pod_spec_build(const struct services *sv, const struct pod_info *i, struct ocispec **ret,
		   struct cb_error *err);

static inline void pod_spec_freep(struct ocispec **s)
{
	ocispec_free(*s);
}

#endif
