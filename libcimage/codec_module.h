/* SPDX-License-Identifier: Apache-2.0 */
/* What codec.so offers: compressing and decompressing streams. */
#ifndef CIMAGE_CODEC_MODULE_H
#define CIMAGE_CODEC_MODULE_H

#include "common.h"

/* Of zstd; a frame that needs a larger window is refused: memory, of each layer that is under way. */
#define CODEC_WINDOW_LOG_MAX 23

#define CODEC_MODULE_ABI 1
struct codec_module {
	int abi;
	/*
	 * Takes below, also on failure. What it is is found by its first bytes: gzip, zstd, bzip2 or xz; anything else is
	 * passed on. CIMAGE_E_INVALID when data is damaged or cut, CIMAGE_E_LIMIT.
	 */
	int (*decompress)(struct cimage_stream *below, struct cimage_stream **ret, struct cimage_error *err);
	/* algorithm: "gzip" or "zstd"; level 0: its usual one. CIMAGE_E_INVALID for others. */
	int (*compress)(const char *algorithm, int level, struct cimage_stream *below, struct cimage_stream **ret,
			struct cimage_error *err);
};
/* The module exports: const struct codec_module cimage_codec_module; */

#endif
