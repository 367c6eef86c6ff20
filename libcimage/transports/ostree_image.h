/* SPDX-License-Identifier: Apache-2.0 */
/* The ostree transport, between its files. */
#ifndef CIMAGE_OSTREE_IMAGE_H
#define CIMAGE_OSTREE_IMAGE_H

#include <ostree.h>
#include "local.h"

#define OSTREE_PREFIX "ociimage/"	/* of all branches */
#define OSTREE_MANIFEST "docker.manifest"
#define OSTREE_DIGEST "docker.digest"
#define OSTREE_SIGNATURES "signatures"
#define OSTREE_SIZE "docker.size"
#define OSTREE_INNER_SIZE "docker.uncompressed_size"
#define OSTREE_INNER_DIGEST "docker.uncompressed_digest"
#define OSTREE_SPLIT "tarsplit.output"

/* Takes the GError. */
int ostree_error(GError *e, const char *what, struct cimage_error *err);
int ostree_open(const char *path, OstreeRepo **ret, struct cimage_error *err);
/* [owned] of an image; NULL: no memory. */
char *ostree_branch(const char *image);
/* What a commit says of itself: *ret [owned], NULL when there is no such branch or it does not say. */
int ostree_metadata(OstreeRepo *repo, const char *branch, const char *key, char **ret, struct cimage_error *err);

extern const struct cimage_destination_ops ostree_destination;

#endif
