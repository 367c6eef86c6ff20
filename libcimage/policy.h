/* SPDX-License-Identifier: Apache-2.0 */
/* policy.json(5): which images may be used. */
#ifndef CIMAGE_POLICY_H
#define CIMAGE_POLICY_H

#include "common.h"

struct json;
struct policy;

/* name is for messages. Everything in the text is checked, also what is not for the docker transport. */
int policy_parse(const char *text, size_t n, const char *name, struct policy **ret, struct cimage_error *err);
struct policy *policy_free(struct policy *p);
CB_DEFINE_CLEANUP(struct policy *, policy_free)

/* What an image goes by while it is judged. */
struct policy_subject {
	const char *transport;		/* [borrowed] "docker", "dir", "containers-storage" ... */
	char **scopes;			/* most specific first; without the last, "" */
	struct cimage_ref *ref;		/* docker reference with a tag or a digest; NULL: it has none */
	char *shown;			/* for messages: "docker://..." */
};

/* An image in a registry; ref has a tag or a digest. 0 or -ENOMEM. */
int policy_subject_docker(const struct cimage_ref *ref, struct policy_subject *ret);
/* Anywhere else: scopes (may be NULL) and ref (NULL: none) are what the place says. 0 or -ENOMEM. */
int policy_subject_other(const char *transport, const char *const *scopes, const struct cimage_ref *ref,
			 const char *shown, struct policy_subject *ret);
void policy_subject_done(struct policy_subject *s);

enum { POLICY_NEEDS_GPG = 1, POLICY_NEEDS_SIGSTORE = 2 };

/*
 * What can be said without the image: CIMAGE_E_POLICY when it is rejected whatever it is; else *ret_needs
 * tells what kinds of signatures judging needs, 0 for none (it is accepted then).
 */
int policy_prejudge(const struct policy *p, const struct policy_subject *s, unsigned int *ret_needs,
		    struct cimage_error *err);
/* Reads the files of keys that judging will need, so that it needs none. */
int policy_load_keys(struct cimage_context *c, struct policy *p, const struct policy_subject *s,
		     struct cimage_error *err);
/*
 * 0: accepted. CIMAGE_E_POLICY otherwise; other errors when it could not be decided, which is no
 * acceptance either. manifest: the bytes that the manifest's digest is of.
 */
int policy_judge(struct cimage_context *c, struct policy *p, const struct policy_subject *s, const char *manifest,
		 size_t n, const struct cimage_signatures *signatures, struct cimage_error *err);

/* identity.c: signedIdentity of a requirement (NULL: the default), the image's reference (or NULL), the signed one. */
bool identity_matches(const struct json *identity, const struct cimage_ref *image, const char *signed_reference);
bool identity_prefix_valid(const char *prefix);

/* ---- between the files of the policy ---- */

struct key_file {
	struct key_file *next;
	char *bytes;
	size_t len;
	char path[];
};

struct policy {
	struct json_doc *doc;
	char *name;
	struct key_file *keys;	/* under the context's lock */
};

int policy_check_format(const struct json *root, const char *name, struct cimage_error *err);
/* The list of requirements that applies. Never NULL. */
const struct json *policy_requirements(const struct policy *p, const struct policy_subject *s);

#endif
