/* SPDX-License-Identifier: Apache-2.0 */
/* The progress of a pull: what is known, and how it looks. */
#ifndef CRID_CTL_PROGRESS_H
#define CRID_CTL_PROGRESS_H

#include "ctl.h"

#define PROGRESS_LAYERS_MAX 1024

struct progress_layer {
	char name[14];
	int64_t done, size; /* bytes; done <= size */
	bool told;	    /* as a line */
};

struct progress_layers {
	struct progress_layer *layer; /* [owned] */
	size_t n;
};

/* Takes in what /crid/pulls says about image; false when it is not that. */
bool progress_parse(const char *text, size_t n, const char *image, struct progress_layers *layers,
		    int64_t *ret_version);
void progress_layers_done(struct progress_layers *layers);
/*
 * Control sequences and text for a terminal on which the cursor is below drawn lines of this.
 * Returns how many there are then.
 */
int progress_draw(const struct progress_layers *layers, int rows, int columns, int drawn,
		  struct str *out);
/* A line for each complete layer, or each at all, that had none yet. */
void progress_lines(struct progress_layers *layers, bool all, struct str *out);

#endif
