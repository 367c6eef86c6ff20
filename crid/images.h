/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image table: an immutable copy of what the store says, made on an operation thread and swapped
 * in by the loop whenever the store's records change, whoever changed them.
 */
#ifndef CRID_IMAGES_H
#define CRID_IMAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <cbase/arena.h>
#include <cbase/str.h>
#include "services.h"

struct image {
	const char *id;			/* 64 hex */
	char **names;			/* as in the store: "repo:tag" and "repo@sha256:..." */
	char **tags;			/* the names with a tag */
	char **digests;			/* of its manifests */
	char **repo_digests;		/* every repository of its names with every digest */
	uint64_t size;			/* bytes */
	int64_t uid;			/* numeric user of the image's config; -1: none or a name */
	const char *username;		/* the name, or "" */
	bool pinned;
};

struct image_table {
	struct arena arena;
	int refs;			/* taken and dropped on the loop's thread */
	struct image *images;
	size_t n;
};

/* Reads the store; what old (may be NULL) knows of an unchanged image is taken from there. */
int image_table_load(const struct services *sv, const struct image_table *old, struct image_table **ret,
		     struct cb_error *err);
struct image_table *image_table_ref(struct image_table *t);
struct image_table *image_table_unref(struct image_table *t);	/* NULL is fine; returns NULL */

/* By id, unique id prefix of at least three digits, name (normalised here) or name@digest. */
const struct image *image_table_find(const struct image_table *t, const char *text);
/* What CRI calls image_ref: the first repository digest, else the id. */
const char *image_ref(const struct image *i, struct arena *a);
char *image_repo_digests_text(const struct image *i, struct arena *a);	/* comma separated */

/* "info" of a verbose status, as CRI-O's: JSON with the labels and the whole configuration. 0; E_NOT_FOUND, E_INVALID or below 0. */
int image_describe(const struct services *sv, const char *id, struct str *out, struct cb_error *err);

/* Where the store keeps records and data of images; [owned], NULL: out of memory. */
char *images_dir(const struct cstore *store);

#endif
