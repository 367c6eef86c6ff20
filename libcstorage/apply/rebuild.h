/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CSTORAGE_REBUILD_H
#define CSTORAGE_REBUILD_H

#include "../module.h"

/* CSTORE_E_DAMAGED: a file is missing or altered; part of the archive may have been written. */
int rebuild_layer(const struct rebuild_job *job, struct verify_result *result,
		  struct cstore_error *err);

#endif
