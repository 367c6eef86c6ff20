/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay driver's directories, and mounts of them. */
#ifndef CSTORAGE_OVERLAY_H
#define CSTORAGE_OVERLAY_H

#include "driver.h"

/* The home directory is mounted on itself, private, unless mounts are off. */
int overlay_mount_home(struct cstore *s, struct cstore_error *err);
/* Makes the links of l/ again from the link files, after a power loss. layers.lock is held for writing. */
int overlay_recreate_links(struct cstore *s, struct cstore_error *err);
/* Absolute paths of the lower directories of a layer, topmost first; [owned]. */
int overlay_lowers(struct cstore *s, const char *id, char ***ret, struct cstore_error *err);

int overlay_mount(struct cstore *s, const struct mount_wish *w, const char *target,
		  struct cstore_error *err);
int overlay_unmount(struct cstore *s, const char *id, const char *target,
		    struct cstore_error *err);
/* How many users the mount of the layer has; mountpoints.lock is held. */
int64_t mountpoint_count(struct cstore *s, const char *layer);
/* Unmounts the layer whatever the count; with layers.lock held. Not mounted is success. */
int mountpoint_forget(struct cstore *s, const char *layer, struct cstore_error *err);

#endif
