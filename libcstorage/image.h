/* SPDX-License-Identifier: Apache-2.0 */
/* Image records and data, as other files of the library need them. */
#ifndef CSTORAGE_IMAGE_H
#define CSTORAGE_IMAGE_H

#include "private.h"

/* File name of a piece of data below overlay-images/<id>; [owned]. CSTORE_E_INVALID: the key cannot be stored. */
int image_data_name(const char *key, char **ret, struct cstore_error *err);
/* As image_get(), with the place the record is in. */
int image_find(struct cstore *s, const char *id, struct record **ret, struct cstore_error *err);
/* Is it the top layer, or a mapped copy of it, of an image other than except? images.lock is held. */
bool image_uses_layer(struct cstore *s, const char *layer, const char *except);
/* Bytes of one layer: from its record, or by walking it. layers.lock is held. */
int layer_size(struct cstore *s, const struct json *layer, uint64_t *ret, struct cstore_error *err);

#endif
