/* SPDX-License-Identifier: Apache-2.0 */
/* Places: what the other files need beyond the public functions. */
#ifndef CIMAGE_PLACE_H
#define CIMAGE_PLACE_H

#include "common.h"

CB_DEFINE_CLEANUP(struct cimage_place *, cimage_place_free)

const struct cimage_transport *place_ops(const struct cimage_place *p);
/* "docker://REF", for what only has the reference. */
int place_from_ref(struct cimage_context *c, const struct cimage_ref *ref, struct cimage_place **ret,
		   struct cimage_error *err);

#endif
