/* SPDX-License-Identifier: Apache-2.0 */
/* cimage's commands about credentials and signatures. Each makes a context of its own. */
#ifndef CIMAGE_TOOL_TRUST_H
#define CIMAGE_TOOL_TRUST_H

#include <cimage.h>
#include <tool.h>

extern const struct command cmd_login, cmd_logout, cmd_standalone_sign, cmd_standalone_verify, cmd_generate_key;

/* Options of a copy: keys to sign and encrypt with, and to decrypt. */
struct key_options {
	const char *sign_by, *sign_passphrase_file, *sigstore_key;
	char **encrypt, **decrypt;
};
#define KEY_OPTIONS(keys)                                                                                      \
	{ 0, "sign-by", OPT_STRING, &(keys).sign_by, "KEY", "sign with this key of gpg" },                     \
	{ 0, "sign-by-sigstore-private-key", OPT_STRING, &(keys).sigstore_key, "PATH",                        \
	  "sign with this key in sigstore's way" },                                                           \
	{ 0, "sign-passphrase-file", OPT_STRING, &(keys).sign_passphrase_file, "PATH",                         \
	  "with the passphrase of that key" },                                                                \
	{ 0, "encryption-key", OPT_LIST, &(keys).encrypt, "jwe:PATH",                                          \
	  "encrypt the layers for the owner of this public key; may be repeated" },                           \
	{ 0, "decryption-key", OPT_LIST, &(keys).decrypt, "PATH[:PASSPHRASE]",                                 \
	  "decrypt layers with this private key; may be repeated" }
/* Exit status, after complaining. */
int setup_keys(const struct key_options *k, struct cimage_context *from, struct cimage_context *to);

#endif
