/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: Docker's v2s2 and list, OCI's manifest and index; for copying also Docker's v2s1. */
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
	MANIFEST_V1,
	MANIFEST_V1_SIGNED,
	MANIFEST_TYPES,
};

struct descriptor {
	const char *media_type;		/* "" when missing */
	const char *digest;		/* valid */
	int64_t size;			/* >= 0; -1 in v2s1, which does not say */
	const struct json *node;	/* it, with all its members; of v2s1: its history entry, parsed */
	bool empty;			/* v2s1: an entry of the history without content */
};

struct manifest {
	enum manifest_type type;
	struct json_doc *doc;		/* the strings below are its */
	/* images */
	struct descriptor config;
	struct descriptor *layers;	/* base layer first */
	size_t layer_count;
};

#define OCI_CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define DOCKER_CONFIG_TYPE "application/vnd.docker.container.image.v1+json"

/*
 * content_type is what the registry said (NULL or "" when nothing). CIMAGE_E_INVALID, _UNSUPPORTED,
 * _ARTIFACT (an OCI manifest that is no container image), _LIMIT.
 */
int manifest_parse(const char *bytes, size_t n, const char *content_type, struct manifest **ret,
		   struct cimage_error *err);
struct manifest *manifest_free(struct manifest *m);
CB_DEFINE_CLEANUP(struct manifest *, manifest_free)

/*
 * The same for copying: v2s1 as well, artifacts, and layers of any media type. v2s1 has no config
 * (digest NULL).
 */
int manifest_parse_any(const char *bytes, size_t n, const char *content_type, struct manifest **ret,
		       struct cimage_error *err);

bool manifest_is_list(const struct manifest *m);
const char *manifest_type_name(enum manifest_type t);
/* Has it a config and layers of containers? If not it is an artifact. */
bool manifest_is_image(const struct manifest *m);
/* MANIFEST_NONE for a type that is not one of these. */
enum manifest_type manifest_type_of(const char *media_type);
/* The entry of a list for this platform, or CIMAGE_E_PLATFORM. */
int manifest_choose(const struct manifest *m, const struct platform *p, struct descriptor *ret,
		    struct cimage_error *err);

/*
 * The bytes that the digest of a manifest is of: all, but for v2s1 without the signatures that are in it.
 * *ret is [owned], NULL: all.
 */
int manifest_signed_part(const char *bytes, size_t n, char **ret, size_t *ret_len);

/* schema1.c */
int schema1_read(struct manifest *m, struct cimage_error *err);
/* The config of v2s2 that it stands for; diff_ids: one per layer that is not empty, base first. [owned] */
int schema1_config(const struct manifest *m, const char *const *diff_ids, char **ret, size_t *ret_len,
		   struct cimage_error *err);

#endif
