/* SPDX-License-Identifier: Apache-2.0 */
/* One image as it is fetched: verified bytes and what they say. */
#ifndef CIMAGE_IMAGE_H
#define CIMAGE_IMAGE_H

#include <cbase/digest.h>
#include "manifest.h"

/* Verified bytes. */
struct document {
	char *bytes;
	size_t len;
	char digest[DIGEST_STR_MAX];
};

struct cimage_image {
	struct document manifest, list, config;	/* list.bytes NULL: there was none */
	struct manifest *parsed;
	struct cimage_config *parsed_config;
	struct cimage_layer *layers;
	struct cimage_signatures signatures;
};

struct cimage_image *image_free(struct cimage_image *i);
CB_DEFINE_CLEANUP(struct cimage_image *, image_free)
/* Once manifest and config are there: checks that they belong together, and fills layers. */
int image_complete(struct cimage_image *i, struct cimage_error *err);

#endif
