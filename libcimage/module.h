/* SPDX-License-Identifier: Apache-2.0 */
/* Modules: what is loaded only when it is used. */
#ifndef CIMAGE_MODULE_H
#define CIMAGE_MODULE_H

#include "common.h"

struct digest_module;

int module_transport(const struct cimage_context *c, const char *name, const struct cimage_transport **ret,
		     struct cimage_error *err);
int module_digest(const struct cimage_context *c, const struct digest_module **ret, struct cimage_error *err);

#endif
