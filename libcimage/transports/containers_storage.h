/* SPDX-License-Identifier: Apache-2.0 */
/* The containers-storage transport, between its files. */
#ifndef CIMAGE_CONTAINERS_STORAGE_H
#define CIMAGE_CONTAINERS_STORAGE_H

#include <cstorage.h>
#include "local.h"

/* What a store's error is here. */
int storage_error(int r, const struct cstore_error *from, struct cimage_error *err);
/* The store a place is in. */
int storage_open(const struct cimage_place *place, struct cstore **ret, struct cimage_error *err);
/* The layer's tar as a stream, made by a thread. */
int storage_layer_stream(struct cstore *s, const char *layer_id, struct cimage_stream **ret, struct cimage_error *err);
/* [owned] id of a layer with this diff id; NULL when there is none. */
int storage_find_diff(struct cstore *s, const char *diff_id, char **ret, struct cimage_error *err);

extern const struct cimage_destination_ops storage_destination;

#endif
