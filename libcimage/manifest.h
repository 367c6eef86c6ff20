/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: Docker's v2s2 and list, OCI's manifest and index. */
#ifndef CIMAGE_MANIFEST_H
#define CIMAGE_MANIFEST_H

#include "common.h"
#include "platform.h"

#define LAYERS_MAX 512		/* overlayfs cannot stack more */

enum manifest_type {
	MANIFEST_NONE,
	MANIFEST_DOCKER,
	MANIFEST_DOCKER_LIST,
	MANIFEST_OCI,
	MANIFEST_OCI_INDEX,
};

struct descriptor {
	const char *media_type;		/* "" when missing */
	const char *digest;		/* valid */
	int64_t size;			/* >= 0 */
};

struct manifest {
	enum manifest_type type;
	struct json_doc *doc;		/* the strings below are its */
	/* images */
	struct descriptor config;
	struct descriptor *layers;	/* base layer first */
	size_t layer_count;
};

/*
 * content_type is what the registry said (NULL or "" when nothing). CIMAGE_E_INVALID, _UNSUPPORTED,
 * _ARTIFACT (an OCI manifest that is no container image), _LIMIT.
 */
int manifest_parse(const char *bytes, size_t n, const char *content_type, struct manifest **ret,
		   struct cimage_error *err);
struct manifest *manifest_free(struct manifest *m);
CB_DEFINE_CLEANUP(struct manifest *, manifest_free)

bool manifest_is_list(const struct manifest *m);
const char *manifest_type_name(enum manifest_type t);
/* MANIFEST_NONE for a type that is not one of the four. */
enum manifest_type manifest_type_of(const char *media_type);
/* The entry of a list for this platform, or CIMAGE_E_PLATFORM. */
int manifest_choose(const struct manifest *m, const struct platform *p, struct descriptor *ret,
		    struct cimage_error *err);

#endif
