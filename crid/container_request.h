/* SPDX-License-Identifier: Apache-2.0 */
/* CreateContainer: what of a request is refused at once, and the container it describes. */
#ifndef CRID_CONTAINER_REQUEST_H
#define CRID_CONTAINER_REQUEST_H

#include "daemon.h"

/* E_INVALID, E_LIMIT, E_STATE (of the pod). */
int container_request_check(const struct pod *p, const Runtime__V1__CreateContainerRequest *q, struct cb_error *err);
/* Everything that is known before the container is made, with a new id; name is the k8s_... name. NULL: out of memory. */
struct container_info *container_request_info(const struct pod *p, const Runtime__V1__ContainerConfig *q, const char *name,
					      const struct image *image);
/*
 * Was the container made from this request? Its bytes are gone with the daemon that had them; the kubelet
 * puts a hash into the annotations.
 */
bool container_request_made(const Runtime__V1__ContainerConfig *q, const struct container_info *i);

#endif
