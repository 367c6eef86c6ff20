/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer has that the layers below it have not. */
#ifndef CSTORAGE_CHANGES_H
#define CSTORAGE_CHANGES_H

#include <sys/stat.h>
#include "private.h"

struct change {
	int kind;	  /* CSTORE_CHANGE_* */
	const char *path; /* without a slash at the beginning; "" is the root, never reported */
	int dir;	  /* directory of the layer the thing is in, and its name there; -1 when deleted */
	const char *name;
	struct stat st;	  /* unless deleted */
	bool opaque;	  /* a directory that hides those below it */
};

struct changes {
	int (*each)(void *user, const struct change *c, struct cstore_error *err);
	void *user;
	const int *cancel;
	/* Without it what is in the layer is "added" even when the layers below have it: quicker. */
	bool compare;
};

/* Directories before what is in them, names in order of bytes. No lock is held. */
int changes_walk(struct cstore *s, const char *layer, const char *parent, const struct changes *c,
		 struct cstore_error *err);

#endif
