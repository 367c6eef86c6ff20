/* SPDX-License-Identifier: Apache-2.0 */
/* See struct verify_job in module.h. */
#ifndef CSTORAGE_VERIFY_H
#define CSTORAGE_VERIFY_H

#include "../module.h"

#define VERIFY_DEPTH_MAX 500 /* directories below each other that are searched for strange files: a descriptor each */

int verify_layer(const struct verify_job *job, struct verify_result *result, struct cstore_error *err);

#endif
