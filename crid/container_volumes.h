/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts that a request asks for: host paths and images. */
#ifndef CRID_CONTAINER_VOLUMES_H
#define CRID_CONTAINER_VOLUMES_H

#include "container_spec.h"
#include "images.h"

/*
 * Fills i->mounts; on the loop's thread, before the container is made, so that an image is in use from
 * then on. E_INVALID: contradictions; E_UNSUPPORTED: not with this handler; E_NOT_FOUND: no such image.
 */
int container_volumes_plan(struct container_info *i, const Runtime__V1__ContainerConfig *q, const struct runtime_handler *h,
			   const struct image_table *images, struct cb_error *err);
/* Mounts images and puts all mounts into the document. */
int container_spec_volumes(struct container_spec *b, struct cb_error *err);
/* What the images are mounted on; again is no harm. */
void container_volumes_unmount(const struct container_info *i);

#endif
