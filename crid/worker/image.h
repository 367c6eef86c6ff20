/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image as unpack sees it: derived from the bytes of manifest and config alone, each of which
 * must have the digest that leads to it.
 */
#ifndef WORKER_IMAGE_H
#define WORKER_IMAGE_H

#include <stdint.h>
#include <cstorage.h>
#include <cbase/digest.h>
#include <cbase/err.h>
#include <cbase/json.h>
#include "wire.h"

struct image_layer {
	const char *digest;		/* of the blob */
	const char *diff_id;
	int64_t size;			/* of the blob */
	char id[65];			/* chain id: what the store calls the layer */
};

struct image {
	struct json_doc *manifest_doc, *config_doc;	/* own the strings below */
	/* [owned] bytes; list NULL when there is none */
	char *manifest, *list, *config;
	size_t manifest_len, list_len, config_len;
	/* [owned] one behind the other, and their sizes; the manifest's */
	char *signatures;
	size_t signatures_len;
	uint32_t signature_sizes[WIRE_SIGNATURES_MAX];
	size_t n_signatures;
	char manifest_digest[DIGEST_STR_MAX], list_digest[DIGEST_STR_MAX];
	const char *config_digest;
	int64_t created;
	struct image_layer *layers;	/* base first */
	size_t n_layers;
};

/*
 * wanted: the digest the caller asked for, or NULL. 0; E_FAILED what fetch said does not fit
 * together; E_INVALID the image is malformed; E_LIMIT; -ENOMEM.
 */
int image_derive(const struct wire_image *w, const char *wanted, struct image *ret,
		 struct cb_error *err);
void image_done(struct image *i);
const char *image_id(const struct image *i);		/* 64 hex */
/* Of the index if there is one, else of the manifest. */
const char *image_digest(const struct image *i);

/* The record, with the keys and metadata that containers/image writes. */
int image_put(const struct image *i, struct cstore *store, const char *name, struct cb_error *err);

#endif
