/* SPDX-License-Identifier: Apache-2.0 */
/* Copying an image, between the files that do it. */
#ifndef CIMAGE_COPY_H
#define CIMAGE_COPY_H

#include <pthread.h>
#include <cbase/json.h>
#include "reading.h"

#define COPY_PARALLEL 6
#define COPY_PARALLEL_MAX 32

struct cimage_copy_options {
	enum manifest_type format;	/* MANIFEST_NONE: as it is */
	bool all, preserve_digests, remove_signatures;
	char **instances;
	char *compression;		/* "gzip", "zstd", "none"; NULL: as the destination likes it */
	int level, parallel;
	char *sign_identity;
	void (*progress)(void *user, const struct cimage_progress *p);
	void *progress_user;
};

struct copy {
	const struct cimage_copy_options *options;
	struct reading from;
	struct cimage_context *to_context;
	const struct cimage_place *to;
	const struct cimage_destination_ops *ops;
	struct cimage_destination *dest;
	int flags;			/* CIMAGE_DEST_* */
	const char *const *types;	/* of manifests that dest takes; NULL: all */
	struct blob_cache *cache;	/* or NULL */
	pthread_mutex_t lock;		/* for progress() */
};

void copy_progress(struct copy *c, int event, int kind, const char *digest, uint64_t done, int64_t size);

/* ---- what media types of layers say ---- */

enum layer_form { FORM_PLAIN, FORM_GZIP, FORM_ZSTD, FORM_UNKNOWN };
struct layer_kind {
	enum layer_form form;
	bool foreign, encrypted;
};
/* FORM_UNKNOWN: no layer of a container, and copied as it is. */
struct layer_kind layer_kind_of(const char *media_type);
/* NULL: that kind of manifest has no such layers. */
const char *layer_kind_type(enum manifest_type t, const struct layer_kind *k, char buf[128]);

/* ---- the layers of one image ---- */

struct copy_layer {
	const struct descriptor *d;	/* at the source, from the manifest; for its annotations */
	const char *digest;		/* as the source has it: of d, or what it has instead */
	int64_t size;
	struct layer_kind kind;		/* of those bytes */
	size_t index;			/* base first */
	const char *known_diff_id;	/* or NULL */
	bool wants_diff_id;		/* find it out */
	bool decrypt, encrypt, decompress;
	const char *compress;		/* or NULL */
	struct copy_layer *same_as;	/* an earlier one with the same bytes */
	bool skip;			/* foreign: stays where it is */
	bool reused;			/* the destination has what it would become: new_digest, new_size are known */

	/* results */
	char new_digest[DIGEST_STR_MAX], diff_id[DIGEST_STR_MAX];
	int64_t new_size;
	struct layer_kind new_kind;
	struct crypt *encryption;	/* for its annotations */
};
bool layer_changes(const struct copy_layer *l);
/* Puts those that the destination lacks. */
int copy_layers(struct copy *c, struct copy_layer *layers, size_t n, struct cimage_error *err);

/* ---- manifests ---- */

/* One manifest as it shall be, or is, at the destination. */
struct made_manifest {
	struct document doc;
	enum manifest_type type;
};
/*
 * config: NULL, or what the manifest shall name instead of its own. layers: results; type: of the new manifest.
 * [owned] bytes.
 */
int manifest_make(const struct copy *c, const struct manifest *old, enum manifest_type type, const struct document *config,
		  const struct copy_layer *layers, char **ret, size_t *ret_len, struct cimage_error *err);
/* made[i] is what became of entry i of the list; doc.bytes NULL: as it was. */
int list_make(const struct manifest *old, enum manifest_type type, const struct made_manifest *made, char **ret,
	      size_t *ret_len, struct cimage_error *err);
/* The config of v2s2 as OCI has it. */
int config_to_oci(const struct document *config, char **ret, size_t *ret_len, struct cimage_error *err);

/* Copies one image; signatures may not be lost unless told. instance: it is one of a list. ret: what it became. */
int copy_image(struct copy *c, const struct document *manifest, const struct manifest *parsed, bool instance,
	       struct made_manifest *ret, struct cimage_error *err);
/* Signatures of the source, unless they are to be removed; whether there are any decides about changes. */
int copy_signatures(struct copy *c, const struct document *manifest, struct cimage_signatures *ret,
		    struct cimage_error *err);
int copy_put_signatures(struct copy *c, struct cimage_signatures *s, const struct document *manifest, bool instance,
			struct cimage_error *err);
bool copy_takes(const struct copy *c, enum manifest_type t);

#endif
