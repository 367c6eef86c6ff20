/* SPDX-License-Identifier: Apache-2.0 */
/* The image config: what fetching needs beyond the public functions. */
#ifndef CIMAGE_CONFIG_H
#define CIMAGE_CONFIG_H

#include "common.h"

const char *const *config_diff_ids(const struct cimage_config *c);	/* NULL-terminated, unchecked text */

#endif
