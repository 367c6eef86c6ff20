/* SPDX-License-Identifier: Apache-2.0 */
/* Modules: what is loaded only when it is used. */
#ifndef CIMAGE_MODULE_H
#define CIMAGE_MODULE_H

#include "codec_module.h"
#include "crypt_module.h"
#include "digest_module.h"
#include "gpg_module.h"
#include "sigstore_module.h"
#include "yaml_module.h"

int module_transport(const struct cimage_context *c, const char *name, const struct cimage_transport **ret,
		     struct cimage_error *err);

/* Names of the transports that are registered or installed. */
int module_list(const struct cimage_context *c, char ***ret, struct cimage_error *err);

/*
 * The table NAME.so exports as cimage_NAME_module; it begins with its abi. name is a constant. Stays
 * loaded. CIMAGE_E_UNSUPPORTED: not installed, or not for this library.
 */
int module_table(const struct cimage_context *c, const char *name, int abi, const void **ret, struct cimage_error *err);

#define DEFINE_MODULE(name, version)                                                                          \
	static inline int module_##name(const struct cimage_context *c, const struct name##_module **ret,     \
					struct cimage_error *err)                                             \
	{                                                                                                     \
		const void *table;                                                                            \
		int r = module_table(c, #name, version, &table, err);                                         \
                                                                                                              \
		if (!r)                                                                                       \
			*ret = table;                                                                         \
		return r;                                                                                     \
	}

DEFINE_MODULE(codec, CODEC_MODULE_ABI)
DEFINE_MODULE(digest, DIGEST_MODULE_ABI)
DEFINE_MODULE(gpg, GPG_MODULE_ABI)
DEFINE_MODULE(sigstore, SIGSTORE_MODULE_ABI)
DEFINE_MODULE(crypt, CRYPT_MODULE_ABI)
DEFINE_MODULE(yaml, YAML_MODULE_ABI)

#endif
