/* SPDX-License-Identifier: Apache-2.0 */
/* RunPodSandbox: what of a request is refused at once, and the pod it describes. */
#ifndef CRID_POD_REQUEST_H
#define CRID_POD_REQUEST_H

#include "daemon.h"

/* E_INVALID, E_LIMIT, E_NOT_FOUND (the handler). */
int pod_request_check(struct daemon *d, const Runtime__V1__RunPodSandboxRequest *q, struct cb_error *err);
/* Everything that is known before the pod is made; name is the k8s_... name. E_INVALID, negative errno. */
int pod_request_fill(struct daemon *d, struct pod_info *i, const Runtime__V1__RunPodSandboxRequest *q, const char *name,
		     struct cb_error *err);

#endif
