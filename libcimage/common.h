/* SPDX-License-Identifier: Apache-2.0 */
/* What every file of the library uses. */
#ifndef CIMAGE_COMMON_H
#define CIMAGE_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cbase/cleanup.h>
#include <cbase/err.h>
#include <cbase/str.h>
#include "cimage.h"

#define PUBLIC __attribute__((visibility("default")))

CB_DEFINE_CLEANUP(struct cimage_ref *, cimage_ref_free)
CB_DEFINE_CLEANUP(struct cimage_config *, cimage_config_free)
CB_DEFINE_CLEANUP(struct cimage_context *, cimage_context_free)

/* Text of a peer or user for a message: clipped, everything that is not printable ASCII as '?'. */
#define SHOW_MAX 160
const char *show_text(const char *s, char buf[SHOW_MAX]);
#define SHOW(s) show_text((s), (char[SHOW_MAX]){ 0 })

/* A file of configuration is refused beyond this. */
#define CONFIG_FILE_MAX (8u << 20)

#endif
