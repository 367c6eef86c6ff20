/* SPDX-License-Identifier: Apache-2.0 */
/* A source being read: its manifests and small blobs, verified, with the verdict of the policy. */
#ifndef CIMAGE_READING_H
#define CIMAGE_READING_H

#include "image.h"
#include "place.h"

struct digest_module;

struct reading {
	struct cimage_context *ctx;
	const struct cimage_place *place;
	const struct cimage_ref *ref;		/* what was asked for, or NULL */
	const struct cimage_transport *transport;
	const struct digest_module *digests;
	struct cimage_source *source;
	bool unjudged;			/* only looked at: the policy is not asked */
};

/*
 * ref: the reference to ask for; NULL: the place's own. What the policy rejects whatever it is, is not opened.
 * reading_close() also after a failure. judge: false only for looking at it.
 */
int reading_open(struct reading *r, struct cimage_context *c, const struct cimage_place *place,
		 const struct cimage_ref *ref, bool judge, struct cimage_error *err);
void reading_close(struct reading *r);
/*
 * digest: of the manifest that is wanted; NULL: what the place names. size: of it, or -1. Fills ret (which is
 * zero before); ret_type is [owned] and may be NULL.
 */
int reading_manifest(struct reading *r, const char *digest, int64_t size, struct document *ret, char **ret_type,
		     struct cimage_error *err);
int reading_signatures(struct reading *r, const struct document *manifest, struct cimage_signatures *ret,
		       struct cimage_error *err);
/* The policy's verdict about this manifest; without bytes: what can be said about any. */
int reading_judge(struct reading *r, const struct document *manifest, struct cimage_error *err);
/* The manifest of a list that is for the platform of the context, judged and parsed. */
int reading_chosen(struct reading *r, const struct manifest *list, bool any, struct document *ret,
		   struct manifest **ret_parsed, struct cimage_error *err);
/* A blob as a whole, of at most CIMAGE_MANIFEST_MAX bytes. ret is zero before. */
int reading_blob(struct reading *r, const char *digest, int64_t size, struct document *ret, struct cimage_error *err);
/*
 * transport->blobs(), whose callbacks write what they have to say into err: that goes before the transport's
 * own words.
 */
int reading_transfer(struct reading *r, struct cimage_blob_request *requests, size_t n, struct cimage_error *err);

#endif
