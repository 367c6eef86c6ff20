/* SPDX-License-Identifier: Apache-2.0 */
/* Container records, as other files of the library need them. */
#ifndef CSTORAGE_CONTAINER_H
#define CSTORAGE_CONTAINER_H

#include "private.h"

#define METADATA_MAX (1u << 20)

/* With containers.lock held: is there a container of this image? Of this layer? Out of memory counts as yes. */
bool container_uses_image(struct cstore *s, const char *image);
bool container_uses_layer(struct cstore *s, const char *layer);
/* Its writable layer; [owned], "" when none. Takes and releases containers.lock. */
int container_layer(struct cstore *s, const char *id, char **ret, struct cstore_error *err);

#endif
