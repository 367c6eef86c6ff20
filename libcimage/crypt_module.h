/* SPDX-License-Identifier: Apache-2.0 */
/* What crypt.so offers: ocicrypt's layer cipher and its keys in JWE, over OpenSSL. */
#ifndef CIMAGE_CRYPT_MODULE_H
#define CIMAGE_CRYPT_MODULE_H

#include "gpg_module.h"

#define CRYPT_MODULE_ABI 1

/* A private key to decrypt with, or a public one to encrypt for: PEM or DER, also in a certificate. */
struct crypt_key {
	struct cimage_bytes data;
	const char *password;	/* of a private key; NULL: none */
	const char *name;	/* for messages */
};

struct cipher;
struct crypt_module {
	int abi;
	/*
	 * keys_jwe: org.opencontainers.image.enc.keys.jwe, pubopts: ...enc.pubopts (NULL: none).
	 * CIMAGE_E_DENIED: no key fits; CIMAGE_E_INVALID.
	 */
	int (*decrypt_new)(const struct crypt_key *keys, size_t n, const char *keys_jwe, const char *pubopts,
			   struct cipher **ret, struct cimage_error *err);
	int (*encrypt_new)(const struct crypt_key *recipients, size_t n, struct cipher **ret,
			   struct cimage_error *err);
	struct cipher *(*free)(struct cipher *x);
	/* in and out may be the same. */
	void (*update)(struct cipher *x, const void *in, void *out, size_t n);
	/* CIMAGE_E_DIGEST: decrypting, and the authentication code is wrong. */
	int (*final)(struct cipher *x, struct cimage_error *err);
	/* Of an encryption, after final(): [owned] the two annotations. */
	int (*annotations)(struct cipher *x, char **ret_keys_jwe, char **ret_pubopts, struct cimage_error *err);
};
/* The module exports: const struct crypt_module cimage_crypt_module; */

#endif
