/* SPDX-License-Identifier: Apache-2.0 */
/* Between cdi.c (the registry), cdi_check.c (what a specification may say) and cdi_inject.c. */
#ifndef OCISPEC_CDI_PRIVATE_H
#define OCISPEC_CDI_PRIVATE_H

#include "private.h"

struct cdi_spec {
	char *path;
	int priority;
	struct ocispec *doc;
};

struct cdi_device {
	char *name;			/* vendor/class=device */
	const struct cdi_spec *spec;
	const struct json *edits;
	bool conflict;			/* two specifications of one priority have it */
};

struct ocispec_cdi {
	struct cdi_spec **specs;
	size_t n_specs;
	struct cdi_device *devices;	/* sorted by name */
	size_t n_devices;
	int directories;
};

/* Everything but the types, which the parser has checked. 0 or OCISPEC_E_INVALID. */
int cdi_check(const struct ocispec *doc, struct ocispec_error *err);
/* NULL: no such device, or it is in conflict. */
const struct cdi_device *cdi_find(const struct ocispec_cdi *c, const char *name);

#endif
