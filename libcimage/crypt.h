/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encrypted layers (ocicrypt): a cipher that keeps the length, so bytes go through it piece by piece.
 * Keys come from the context. The cipher itself is in a module, since it needs libcrypto.
 */
#ifndef CIMAGE_CRYPT_H
#define CIMAGE_CRYPT_H

#include <cbase/json.h>
#include "common.h"

struct crypt;
struct crypt_keys;

struct crypt_keys *crypt_keys_free(struct crypt_keys *k);	/* NULL is fine; returns NULL */

/* Has the context keys to decrypt with (recipients to encrypt for)? */
bool crypt_can_decrypt(const struct cimage_context *c);
bool crypt_can_encrypt(const struct cimage_context *c);

/* annotations: those of the layer's descriptor. CIMAGE_E_DENIED: no key fits; CIMAGE_E_INVALID; CIMAGE_E_UNSUPPORTED. */
int crypt_decrypt_new(struct cimage_context *c, const struct json *annotations, struct crypt **ret,
		      struct cimage_error *err);
int crypt_encrypt_new(struct cimage_context *c, struct crypt **ret, struct cimage_error *err);
struct crypt *crypt_free(struct crypt *x);
/* in and out may be the same. */
void crypt_update(struct crypt *x, const void *in, void *out, size_t n);
/* After the last byte. Decrypting: CIMAGE_E_DIGEST when the authentication code is wrong. */
int crypt_final(struct crypt *x, struct cimage_error *err);
/* After crypt_final() of an encryption: puts its org.opencontainers.image.enc.* members into annotations. */
int crypt_annotate(struct crypt *x, struct json_doc *doc, struct json *annotations, struct cimage_error *err);

#endif
