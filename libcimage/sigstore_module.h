/* SPDX-License-Identifier: Apache-2.0 */
/* What sigstore.so offers: sigstore's signatures over OpenSSL. */
#ifndef CIMAGE_SIGSTORE_MODULE_H
#define CIMAGE_SIGSTORE_MODULE_H

#include "gpg_module.h"

#define SIGSTORE_MODULE_ABI 1

/* Whom a requirement trusts. All PEM. Exactly one of keys, fulcio_ca, pki_roots. */
struct sigstore_trust {
	const struct cimage_bytes *keys, *rekor_keys;
	size_t key_count, rekor_key_count;
	struct cimage_bytes fulcio_ca, pki_roots, pki_intermediates;	/* p NULL: none */
	const char *oidc_issuer, *subject_email, *subject_hostname;	/* NULL: not asked for */
};

/* A signature with what came along; NULL what did not. Nothing of it is trusted. */
struct sigstore_claim {
	struct cimage_bytes payload;
	const char *signature, *bundle, *certificate, *chain;
};

struct sigstore_module {
	int abi;
	/* 0: good. CIMAGE_E_POLICY: not; CIMAGE_E_INVALID: the trusted keys are malformed. */
	int (*verify)(const struct sigstore_trust *trust, const struct sigstore_claim *claim,
		      struct cimage_error *err);
	/* Private key: PKCS#8 PEM, or cosign's encrypted form. [owned] base64. */
	int (*sign)(const struct cimage_bytes *private_key, const char *passphrase, const struct cimage_bytes *payload,
		    char **ret, struct cimage_error *err);
	/* A new pair of P-256: [owned] cosign's encrypted private key, and the public one, as PEM. */
	int (*generate)(const char *passphrase, char **ret_private, char **ret_public,
			struct cimage_error *err);
};
/* The module exports: const struct sigstore_module cimage_sigstore_module; */

#endif
