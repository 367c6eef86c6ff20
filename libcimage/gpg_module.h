/* SPDX-License-Identifier: Apache-2.0 */
/* What gpg.so offers: OpenPGP through gpgme, which starts gpg. */
#ifndef CIMAGE_GPG_MODULE_H
#define CIMAGE_GPG_MODULE_H

#include "common.h"

#define GPG_MODULE_ABI 1

struct gpg_module {
	int abi;
	/*
	 * Is sig a message with one good signature by one of the keyrings' keys? [owned] what was signed,
	 * NUL added, and the fingerprint of who signed. A home directory of its own is made in $TMPDIR
	 * or /tmp and removed. CIMAGE_E_POLICY: no; CIMAGE_E_INVALID: the keyrings have no key.
	 */
	int (*verify)(const struct cimage_bytes *keyrings, size_t n, const struct cimage_bytes *sig, char **ret,
		      size_t *ret_len, char **ret_fingerprint, struct cimage_error *err);
	/* The same with the keys of the user's own gpg home; accepts any of them. */
	int (*verify_at_home)(const struct cimage_bytes *sig, char **ret, size_t *ret_len,
			      char **ret_fingerprint, struct cimage_error *err);
	/* A message signed with a secret key of the user's gpg home. passphrase NULL: the agent asks. */
	int (*sign)(const char *key, const char *passphrase, const struct cimage_bytes *message, char **ret,
		    size_t *ret_len, struct cimage_error *err);
};
/* The module exports: const struct gpg_module cimage_gpg_module; */

#endif
