/* SPDX-License-Identifier: Apache-2.0 */
/* What copies found out about blobs, kept for later ones. */
#ifndef CIMAGE_BLOB_CACHE_H
#define CIMAGE_BLOB_CACHE_H

#include <cbase/digest.h>
#include "common.h"

#define BLOB_CACHE_ENTRIES 8192	/* the oldest are forgotten */
#define BLOB_CACHE_FOUND_MAX 8	/* of one question */

struct blob_cache;

/* A compressed form of a layer. */
struct blob_variant {
	char digest[DIGEST_STR_MAX];
	int64_t size;
	const char *form;	/* "gzip" or "zstd" */
};

/* From the file, which need not be there or be readable: it is only a cache. NULL: out of memory. */
struct blob_cache *blob_cache_load(const char *path);
/* Writes what was added; another one's additions stay. NULL is fine. */
void blob_cache_save(struct blob_cache *b);
struct blob_cache *blob_cache_free(struct blob_cache *b);

/* The questions and answers; by several threads at once. What cannot be remembered is not. */

/* The blob is in this repository, HOST[:PORT]/PATH. */
void blob_cache_add_location(struct blob_cache *b, const char *digest, const char *repository);
/* Repositories of the same registry, HOST[:PORT], newest first: their paths, [owned] cimage_strv_free(); NULL: none. */
char **blob_cache_locations(struct blob_cache *b, const char *digest, const char *registry);
/* A layer with this diff id was seen as that blob; only what was computed may be said here. */
void blob_cache_add_variant(struct blob_cache *b, const char *diff_id, const struct blob_variant *v);
/* Newest first; the number of those found. */
size_t blob_cache_variants(struct blob_cache *b, const char *diff_id, struct blob_variant out[BLOB_CACHE_FOUND_MAX]);

#endif
