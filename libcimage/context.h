/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of the caller, and what was read from the files they name. */
#ifndef CIMAGE_CONTEXT_H
#define CIMAGE_CONTEXT_H

#include <pthread.h>
#include "common.h"

struct registries;
struct policy;
struct auth_files;
struct known_certs;
struct credentials;
struct helper_cache;
struct registries_d;

struct cimage_context {
	char *registries_conf, *registries_conf_dir, *policy_path, *auth_path, *certs_dir, *certs_path;
	char *user, *password;		/* of the caller, for the registry that a reference names */
	char *os, *arch, *variant;	/* NULL: this machine */
	char *user_agent, *short_name_mode, *transport_dir;
	const int *cancel;
	int stall_timeout;		/* s; 0: the usual */
	bool prefer_gzip;		/* of two entries of a list that differ in compression */
	bool insecure;			/* of the caller: http and unverified TLS, whatever registries.conf says */
	char *registries_d, *blob_cache;
	char *sign_key, *sign_passphrase, *sigstore_key, *sigstore_passphrase;
	cimage_gpg_verify_fn *gpg_verify;	/* NULL: gpg.so does it */
	void *gpg_user;
	struct crypt_keys *decryption, *encryption;	/* crypt.c */

	/* Read on first use, under the lock; then constant until the context is freed. */
	pthread_mutex_t lock;
	struct registries *registries;
	struct policy *policy;
	struct auth_files *auth;
	struct known_certs *certs;
	struct helper_cache *helpers;
	struct registries_d *stores;
	char *ca_bundle;		/* PEM; "" when the machine has none */
};

int context_registries(struct cimage_context *c, const struct registries **ret, struct cimage_error *err);
int context_policy(struct cimage_context *c, struct policy **ret, struct cimage_error *err);
int context_stores(struct cimage_context *c, const struct registries_d **ret, struct cimage_error *err);
int context_auth(struct cimage_context *c, const struct auth_files **ret, struct cimage_error *err);

/* Asks whoever verifies OpenPGP signatures for this context; see cimage_gpg_verify(). */
int context_gpg_verify(struct cimage_context *c, const struct cimage_bytes *keyrings, size_t n,
		       const struct cimage_bytes *sig, char **ret, size_t *ret_len, char **ret_fingerprint,
		       struct cimage_error *err);

/* endpoints.c: what the files and helpers say for a place; empty when nothing. */
int context_credentials(struct cimage_context *c, const struct cimage_ref *ref, struct credentials *ret,
			struct cimage_error *err);

/* TLS files by registry, see endpoints.c. */
struct known_certs *known_certs_free(struct known_certs *k);

/* [owned] of the blob info cache; "": there is none. */
char *context_blob_cache(const struct cimage_context *c);

/* [owned] $HOME or the home directory of the user database; "" when there is none. */
char *context_home(void);

#endif
