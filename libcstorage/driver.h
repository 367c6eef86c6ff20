/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is different between the drivers, overlay and vfs: where a layer's files are, how it comes to
 * be, and how its root file system is made visible.
 */
#ifndef CSTORAGE_DRIVER_H
#define CSTORAGE_DRIVER_H

#include "private.h"
#include "tempdir.h"

/* Where removed layers go until the locks are released; made when needed. */
struct trash {
	struct tempdir *home[2], *records; /* home: of the graph root, of the image store */
};

/* Removes it all, or leaves it to the garbage collection. Call without locks. */
void trash_empty(struct trash *t);
#define _cleanup_trash_ __attribute__((cleanup(trash_empty)))

struct new_layer {
	const char *id, *parent; /* parent NULL: base */
	const struct id_maps *maps; /* NULL: none */
	uint64_t size, inodes;	    /* quota, 0: none */
};

struct mount_wish {
	char *layer, *label;
	char **options; /* NULL: those of the store */
	struct id_maps *maps;
	bool is_volatile, read_only;
};

struct driver {
	const char *name;
	/* The home directory and what belongs to it. */
	int (*prepare)(struct cstore *s, struct cstore_error *err);
	/* All of a layer's directory, and the part that has its content; [owned], NULL when out of memory. */
	char *(*layer_dir)(const struct place *p, const char *id);
	char *(*content_dir)(const struct place *p, const char *id);

	/* With layers.lock held for writing: an empty writable layer. */
	int (*create)(struct cstore *s, const struct new_layer *l, struct cstore_error *err);

	/* Staging. What does not depend on the parent, in an empty directory. link: what overlay_link() made. */
	int (*frame)(const char *dir, char link[LINK_LEN + 1], struct cstore_error *err);
	/* Without locks: joins the staged content with the parent's; NULL: nothing to do. */
	int (*join)(struct cstore *s, const char *dir, const char *parent, struct cstore_error *err);
	/* With the lock: what depends on the parent; then, after the rename to layer_dir, the rest. */
	int (*complete)(struct cstore *s, const char *dir, const char *parent,
			struct cstore_error *err);
	int (*placed)(struct cstore *s, const char *id, const char *link, struct cstore_error *err);
	/* Writes the directories of a placed layer to disk. */
	int (*sync)(struct cstore *s, const char *id, struct cstore_error *err);

	/* With the lock held for writing, before the directory is moved away. */
	int (*forget)(struct cstore *s, const struct place *p, const char *id,
		      struct cstore_error *err);

	/* [owned] path of the root file system, mounted or not. */
	char *(*mount_path)(struct cstore *s, const char *id);
	/* NULL: nothing has to be mounted. */
	int (*mount)(struct cstore *s, const struct mount_wish *w, const char *target,
		     struct cstore_error *err);
	int (*unmount)(struct cstore *s, const char *id, const char *target,
		       struct cstore_error *err);
};

extern const struct driver driver_overlay, driver_vfs;
const struct driver *driver_find(const char *name); /* NULL: no such driver */
/* The one a store has, or the best for a new one. */
const struct driver *driver_probe(const char *graph_root, char *const *priority);

/* Overlay's short names of layers: 26 base32 digits. overlay_new_link(): 0 or -errno. */
bool overlay_link_valid(const char *s);
int overlay_new_link(char out[LINK_LEN + 1]);

/* The place that has the layer's directory: the first, when none has. */
const struct place *layer_place(struct cstore *s, const char *id);
/* Own files of the layer, wherever it is; [owned], NULL when out of memory. */
char *layer_content(struct cstore *s, const char *id);
/* Moves the layer's directory, tar-split and data into the trash. What is missing is fine. */
int layer_move_aside(struct cstore *s, const char *id, struct trash *t, struct cstore_error *err);

#endif
