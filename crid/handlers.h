/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtimes behind the handlers can do: runtime_handler's members oci_version and is_crun. */
#ifndef CRID_HANDLERS_H
#define CRID_HANDLERS_H

#include "config.h"

/* Blocks. A runtime that does not answer is an error if it is the default one, else a warning. */
int handlers_probe(struct config *c, struct cb_error *err);

#endif
