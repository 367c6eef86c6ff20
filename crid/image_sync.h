/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the image table in step with the store. For the loop's thread. */
#ifndef CRID_IMAGE_SYNC_H
#define CRID_IMAGE_SYNC_H

#include "daemon.h"

/*
 * Reads the store again on an operation thread and swaps the table; then fn(user), if given: it sees at
 * least what was in the store when this was called. Many calls at once make one or two readings.
 */
void image_sync(struct daemon *d, void (*fn)(void *user), void *user);

void image_sync_free(struct image_sync *s);	/* nobody may wait in it; NULL is fine */

#endif
