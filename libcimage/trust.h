/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trust, as copying and fetching see it: the verdict of policy.json about one manifest with its
 * signatures, and making signatures for what was copied.
 */
#ifndef CIMAGE_TRUST_H
#define CIMAGE_TRUST_H

#include "common.h"

/* One manifest of an image, before anything in it is looked at. All borrowed. */
struct trust_image {
	const struct cimage_place *place;	/* where it comes from; NULL: docker, at ref */
	const struct cimage_ref *ref;		/* the reference that was asked for; NULL: the place has none */
	const char *manifest;			/* NULL: only what can be said without one */
	size_t manifest_len;
	const char *manifest_digest;
	/* [owned] by the callee: its signatures; called only when the policy wants them */
	int (*signatures)(void *user, struct cimage_signatures *ret, struct cimage_error *err);
	void *user;
};

/* 0: accepted. CIMAGE_E_POLICY: refused, also when a signature cannot be had; else as reading the policy fails. */
int trust_check(struct cimage_context *c, const struct trust_image *i, struct cimage_error *err);

/*
 * What judging an image of a registry will need, as POLICY_NEEDS_*; keys are read and modules loaded now;
 * CIMAGE_E_POLICY when it is refused anyway.
 */
int trust_prepare(struct cimage_context *c, const struct cimage_ref *ref, unsigned int *ret_needs,
		  struct cimage_error *err);

/*
 * Adds the signatures that the caller's settings in c ask for (keys to sign with) to the set, for the
 * manifest as it will be at the destination. None asked for: 0 and nothing added. ref: what the
 * signature names; NULL is CIMAGE_E_INVALID when there is something to sign.
 */
int trust_sign(struct cimage_context *c, const struct cimage_ref *ref, const char *manifest, size_t manifest_len,
	       const char *manifest_digest, struct cimage_signatures *add, struct cimage_error *err);

/* One simple signature with the key of the context: [owned]. */
int trust_sign_simple(struct cimage_context *c, const char *reference, const char *manifest_digest, char **ret,
		      size_t *ret_len, struct cimage_error *err);

#endif
