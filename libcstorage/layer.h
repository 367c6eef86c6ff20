/* SPDX-License-Identifier: Apache-2.0 */
/* Layer records: looking up, adding, removing. */
#ifndef CSTORAGE_LAYER_H
#define CSTORAGE_LAYER_H

#include "driver.h"

/* Takes layers.lock; layers that another program left incomplete are removed first. */
int layers_lock(struct cstore *s, enum lock_mode mode, struct cstore_error *err);

/* Those of layers (for writing), images and containers, for what concerns more than one kind of object. */
struct three_locks {
	struct records *layers, *images, *containers;
};
int three_lock(struct cstore *s, enum lock_mode images, enum lock_mode containers,
	       struct three_locks *ret, struct cstore_error *err);
void three_unlock(struct three_locks *l);
#define _cleanup_three_ __attribute__((cleanup(three_unlock)))

extern const char *const layer_fields[];

/* What layers.lock must be held for, for writing: */

struct layer_spec {
	const char *id;
	const char *name;	 /* or NULL */
	const char *parent;	 /* or NULL */
	const char *mount_label; /* or NULL */
	const struct id_maps *maps; /* or NULL */
	uint64_t quota;		 /* bytes, 0: as the store has it */
	bool is_volatile;
};
/* A writable layer with an empty diff: directories, then the record, saved. */
int layer_create(struct cstore *s, const struct layer_spec *spec, struct cstore_error *err);
/*
 * Marks them as incomplete: whoever takes the lock next removes them, also another program, and the
 * images above them. For a removal that takes more than one file to be written.
 */
int layers_begin_removal(struct cstore *s, char *const *ids, struct cstore_error *err);
/* Removes the records of these layers, saves, then moves their files aside. Unknown ids are fine. */
int layers_remove(struct cstore *s, char *const *ids, struct trash *t, struct cstore_error *err);
/* For reading is enough: */
bool layer_has_children(struct cstore *s, const char *id, char *const *except);

/*
 * Moves the directory of a layer aside that could not be recorded. The record may be on disk although saving it
 * failed (its rename worked, the sync after it did not); then the layer stays.
 */
void layer_undo(struct cstore *s, const char *id, struct trash *trash);

#endif
