/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of sigstore.so. */
#ifndef CIMAGE_SIGSTORE_H
#define CIMAGE_SIGSTORE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include "sigstore_module.h"

CB_DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
CB_DEFINE_CLEANUP(X509 *, X509_free)

/* sigstore.c: ECDSA and RSA (PKCS #1 v1.5) over SHA-256, Ed25519 over the message itself. */
bool sigstore_good(EVP_PKEY *key, const struct cimage_bytes *message, const char *sig, size_t n);
/* The one PEM block there is, as DER: [owned by OpenSSL] OPENSSL_free(). false: none, or more. */
bool sigstore_pem_der(const char *pem, size_t n, unsigned char **ret, long *ret_len);
/* As Go decodes it: line breaks do not count. NULL is -EINVAL. */
int sigstore_base64(const char *s, char **ret, size_t *ret_len);
BIO *sigstore_bio(const struct cimage_bytes *b);

/*
 * rekor.c: the bundle's signed entry timestamp is by one of the log's keys, and the entry is for this
 * signature of this payload by this key or certificate (DER). *ret_time: when it was logged.
 */
int rekor_verify(const struct sigstore_trust *t, const struct sigstore_claim *c, const unsigned char *der,
		 size_t der_len, int64_t *ret_time, struct cimage_error *err);

/* certificate.c: [owned] the key of a certificate that Fulcio gave whom is trusted, valid when it was logged. */
int fulcio_key(const struct sigstore_trust *t, const struct sigstore_claim *c, EVP_PKEY **ret, struct cimage_error *err);
/* The same for a certificate of any authority, valid now. */
int pki_key(const struct sigstore_trust *t, const struct sigstore_claim *c, EVP_PKEY **ret, struct cimage_error *err);

/* cosign_key.c: private keys, cosign's encrypted form and those that OpenSSL reads. */
int cosign_key_read(const struct cimage_bytes *pem, const char *passphrase, EVP_PKEY **ret, struct cimage_error *err);
int cosign_key_generate(const char *passphrase, char **ret_private, char **ret_public, struct cimage_error *err);

#endif
