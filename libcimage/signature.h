/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of images: simple signing (OpenPGP) and sigstore, in memory and as stored bytes. */
#ifndef CIMAGE_SIGNATURE_H
#define CIMAGE_SIGNATURE_H

#include "common.h"

#define SIGNATURES_MAX 128		/* of one image, as containers/image has it for lookaside stores */
#define SIGNATURE_BYTES_MAX (4u << 20)

#define SIGSTORE_MEDIA_TYPE "application/vnd.dev.cosign.simplesigning.v1+json"
#define SIGSTORE_SIGNATURE "dev.cosignproject.cosign/signature"
#define SIGSTORE_BUNDLE "dev.sigstore.cosign/bundle"
#define SIGSTORE_CERTIFICATE "dev.sigstore.cosign/certificate"
#define SIGSTORE_CHAIN "dev.sigstore.cosign/chain"

enum signature_kind { SIGNATURE_SIMPLE, SIGNATURE_SIGSTORE };

struct signature {
	enum signature_kind kind;
	char *bytes;		/* SIMPLE: the OpenPGP message; SIGSTORE: the payload */
	size_t len;
	char *media_type;	/* SIGSTORE only: of the payload */
	char **annotations;	/* SIGSTORE only: key, value, key, value ... */
};

void signature_done(struct signature *s);
const char *signature_annotation(const struct signature *s, const char *key);	/* NULL: none */

/*
 * The form of dir:, containers-storage: and lookaside stores: simple signatures as they are, others behind
 * "\0FORMAT\n". CIMAGE_E_INVALID for bytes that are neither.
 */
int signature_parse(const char *bytes, size_t n, struct signature *ret, struct cimage_error *err);
int signature_format(const struct signature *s, struct str *out);	/* 0 or -ENOMEM */

/* ---- what is signed ---- */

struct payload {
	char *digest;		/* of the manifest; valid */
	char *reference;	/* docker reference, not looked at */
};

void payload_done(struct payload *p);
/* Strict: only for bytes whose signature is right. CIMAGE_E_POLICY when malformed. */
int payload_parse(enum signature_kind kind, const char *bytes, size_t n, struct payload *ret, struct cimage_error *err);
/* As containers/image writes it. [owned] NUL-terminated; NULL when out of memory. */
char *payload_format(enum signature_kind kind, const char *digest, const char *reference, int64_t timestamp);

#endif
