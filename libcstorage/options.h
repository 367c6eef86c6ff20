/* SPDX-License-Identifier: Apache-2.0 */
/* What a store is opened with. */
#ifndef CSTORAGE_OPTIONS_H
#define CSTORAGE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define IMAGE_STORES_MAX 16 /* additional ones */

struct cstore_options {
	char *graph_root, *run_root, *driver, *mountopt, *image_store; /* NULL: default */
	char **image_stores;	/* additional, read-only */
	char **driver_priority; /* tried in this order when no driver is named */
	uint64_t size, inodes;	/* quota of a container's layer; 0: none */
	unsigned usage_age_ms;
	int force_mask_plus_1;	/* 0: none */
	bool skip_mount_home, disable_volatile, no_mounts, leave_garbage, transient;
};

/* One option of the driver, without its prefix. 0, -EINVAL: unknown or bad value, -EOPNOTSUPP, -ENOMEM. */
int options_apply(struct cstore_options *o, const char *key, const char *value);
/* Absolute, without trailing slashes; one that is all slashes is no place for a store. */
int options_set_path(char **field, const char *path);

#endif
