/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What digest.so offers. It is a module so that libcimage.so carries no libcrypto: programs that only
 * look at references and configurations stay small.
 */
#ifndef CIMAGE_DIGEST_MODULE_H
#define CIMAGE_DIGEST_MODULE_H

#include <cbase/digest.h>

#define DIGEST_MODULE_ABI 1
struct digest_module {
	int abi;
	int (*stream_new)(const char *algorithm, struct digest_stream **ret);
	struct digest_stream *(*stream_free)(struct digest_stream *d);
	void (*update)(struct digest_stream *d, const void *p, size_t n);
	void (*final)(struct digest_stream *d, char out[DIGEST_STR_MAX]);
	bool (*matches)(const char *digest, const void *p, size_t n);
	void (*sha256)(const void *p, size_t n, char out[DIGEST_STR_MAX]);
};
/* The module exports: const struct digest_module cimage_digest_module; */

#endif
