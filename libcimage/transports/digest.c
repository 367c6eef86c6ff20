/* SPDX-License-Identifier: Apache-2.0 */
/* digest.so, see digest_module.h: cbase's digests over libcrypto behind one exported table. */
#include "digest_module.h"

__attribute__((visibility("default"))) extern const struct digest_module cimage_digest_module;

const struct digest_module cimage_digest_module = {
	.abi = DIGEST_MODULE_ABI,
	.stream_new = digest_stream_new,
	.stream_free = digest_stream_free,
	.update = digest_stream_update,
	.final = digest_stream_final,
	.matches = digest_matches,
	.sha256 = digest_sha256,
};
