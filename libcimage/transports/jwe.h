/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Encryption (RFC 7516) of small secrets, as far as ocicrypt uses it. */
#ifndef CIMAGE_JWE_H
#define CIMAGE_JWE_H

#include "crypt_module.h"

/* [owned] the JSON, for all recipients. */
int jwe_encrypt(const struct crypt_key *recipients, size_t n, const struct cimage_bytes *plain, char **ret,
		struct cimage_error *err);
/* [owned] what the first key that fits decrypts. CIMAGE_E_DENIED: none does; CIMAGE_E_INVALID. */
int jwe_decrypt(const struct crypt_key *keys, size_t n, const char *text, size_t len, char **ret, size_t *ret_len,
		struct cimage_error *err);

#endif
