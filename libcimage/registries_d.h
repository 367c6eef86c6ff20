/* SPDX-License-Identifier: Apache-2.0 */
/* containers-registries.d(5): where signatures of an image are kept. */
#ifndef CIMAGE_REGISTRIES_D_H
#define CIMAGE_REGISTRIES_D_H

#include "common.h"

struct store_scope {
	char *scope;			/* "" for default-docker */
	char *lookaside, *staging;	/* URLs; NULL: not said */
	int attachments;		/* 0, 1; -1: not said */
	char *file;
};

struct registries_d {
	char *standard;		/* URL of the store where nothing is said: of whoever read the files */
	struct store_scope *items;
	size_t count;
};

struct registries_d *registries_d_free(struct registries_d *d);
CB_DEFINE_CLEANUP(struct registries_d *, registries_d_free)

/* One file as JSON; what it says is added. CIMAGE_E_INVALID: malformed, or a scope that is there already. */
int registries_d_add(struct registries_d *d, const char *json, size_t n, const char *name, struct cimage_error *err);
/* Its *.yaml; a missing directory is empty. */
int registries_d_load(struct cimage_context *c, struct registries_d *d, const char *path, struct cimage_error *err);
/*
 * What counts for an image; ref has a tag or a digest. *ret_url: NULL when nothing is configured, borrowed.
 * A scope that does not say something leaves it to the next wider one.
 */
int registries_d_find(const struct registries_d *d, const struct cimage_ref *ref, bool write, const char **ret_url,
		      bool *ret_attachments);

#endif
