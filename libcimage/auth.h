/* SPDX-License-Identifier: Apache-2.0 */
/* containers-auth.json(5) and its relatives: credentials of registries and repositories. */
#ifndef CIMAGE_AUTH_H
#define CIMAGE_AUTH_H

#include "common.h"

struct auth_files;

struct credentials {
	char *user, *password;		/* both or none */
	char *identity_token;		/* instead of them, for a token service */
};

void credentials_done(struct credentials *c);

/* The files in their order, read and parsed now. only: nothing but this file; may be missing. */
int auth_load(const char *only, const char *home, struct auth_files **ret, struct cimage_error *err);
int auth_add(struct auth_files *a, const char *text, size_t n, const char *name, bool legacy, struct cimage_error *err);
struct auth_files *auth_files_new(void);
struct auth_files *auth_files_free(struct auth_files *a);
CB_DEFINE_CLEANUP(struct auth_files *, auth_files_free)

struct helper_cache;
/*
 * What the files, and the helpers that they name, say for this repository. 0 also when there is nothing:
 * then *ret is empty.
 */
int auth_find(const struct auth_files *a, const struct cimage_ref *ref, struct helper_cache **cache,
	      struct credentials *ret, struct cimage_error *err);
/* Is this key of a file one for the host, as Docker writes them? */
bool auth_key_means(const char *key, const char *host, bool legacy);
/* [owned] the file that credentials are written to. only: as above. */
char *auth_write_path(const char *only);

#endif
