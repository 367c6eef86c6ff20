/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of one image being extracted, each from a pipe, by a few threads. */
#ifndef WORKER_UNPACK_H
#define WORKER_UNPACK_H

#include <cstorage.h>
#include <cbase/err.h>
#include "image.h"
#include "report.h"

struct unpack;

/* missing: for each layer of the image, is it to be extracted? Both borrowed. */
int unpack_new(struct cstore_staging *staging, const struct image *image, const bool *missing,
	       struct unpack **ret, struct cb_error *err);
/*
 * Cancels what runs, waits for the threads, drops what was not published. The writing ends must be
 * closed. NULL is fine.
 */
struct unpack *unpack_free(struct unpack *u);

/*
 * Gives the writing ends to send(), one per missing layer, and closes them here. Then starts the
 * threads.
 */
int unpack_start(struct unpack *u, int (*send)(void *user, uint32_t layer, int pipe), void *user,
		 struct cb_error *err);

int unpack_event_fd(const struct unpack *u); /* [borrowed] readable when a layer ended: then look */

enum unpack_state { UNPACK_RUNNING, UNPACK_COMPLETE, UNPACK_FAILED };
/*
 * FAILED: *ret_layer ended with *ret_r and err; *ret_cut: because its pipe ended, so that the
 * reason may be the writer's.
 */
enum unpack_state unpack_look(struct unpack *u, size_t *ret_layer, bool *ret_cut, int *ret_r,
			      struct cb_error *err);

/* out has room for all layers of the image; the number of those that are being extracted. */
size_t unpack_progress(struct unpack *u, struct report_layer *out);

/* All extracted layers, base first, after everything is on disk. */
int unpack_publish(struct unpack *u, struct cb_error *err);

#endif
