/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay driver's directories: graphroot/overlay and what is in it. */
#ifndef CSTORAGE_OVERLAY_H
#define CSTORAGE_OVERLAY_H

#include "private.h"
#include "tempdir.h"

/* Where removed layers go until the locks are released; made when needed. */
struct trash {
	struct tempdir *home, *records;
};

/* Removes it all, or leaves it to the garbage collection. Call without locks. */
void trash_empty(struct trash *t);
#define _cleanup_trash_ __attribute__((cleanup(trash_empty)))

/* The home directory: made, and mounted on itself, private, unless mounts are off. */
int overlay_prepare(struct cstore *s, struct cstore_error *err);
int overlay_mount_home(struct cstore *s, struct cstore_error *err);

/* All with layers.lock held for writing. */

/* An empty layer: everything but the record. */
int overlay_create(struct cstore *s, const char *id, const char *parent, struct cstore_error *err);
/* What does not depend on the parent, in a directory of any name: made before publishing. */
int overlay_create_frame(const char *dir, char link[LINK_LEN + 1], struct cstore_error *err);
/* What does: mode and owner of diff, lower or empty. */
int overlay_create_rest(struct cstore *s, const char *dir, const char *parent,
			struct cstore_error *err);
bool overlay_link_valid(const char *link);
int overlay_new_link(char out[LINK_LEN + 1]); /* 0 or -errno */
/* l/<link> -> ../<id>/diff */
int overlay_create_link(struct cstore *s, const char *id, const char *link,
			struct cstore_error *err);
/* Moves the layer's directory, tar-split and data into the trash. What is missing is fine. */
int overlay_move_aside(struct cstore *s, const char *id, struct trash *t, struct cstore_error *err);
/* Makes the links of l/ again from the link files, after a power loss. */
int overlay_recreate_links(struct cstore *s, struct cstore_error *err);
/* Absolute paths of the lower directories of a layer, topmost first; [owned]. */
int overlay_lowers(struct cstore *s, const char *id, char ***ret, struct cstore_error *err);

/* Is path the root of a mount? */
bool is_mount_point(const char *path);
/* Mounts the layer read-write on its merged directory. */
int overlay_mount(struct cstore *s, const char *id, const char *label, bool is_volatile,
		  struct cstore_error *err);
int overlay_unmount(struct cstore *s, const char *id, struct cstore_error *err);
/* Unmounts the layer whatever the count; with layers.lock held. Not mounted is success. */
int mountpoint_forget(struct cstore *s, const char *layer, struct cstore_error *err);

#endif
