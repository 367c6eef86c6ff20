/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up: the table from what is on disk and what the kernel says. */
#ifndef CRID_RESTORE_H
#define CRID_RESTORE_H

#include "daemon.h"
#include "lifetime.h"

/*
 * Before the loop runs, so it may block. Finished pods and containers come into the table as they are
 * now; unfinished ones are undone; damaged records are reported and left alone. wipe: the machine was
 * started again (or another CRI-O version was here), so all pods are removed and their addresses
 * released, and as asked their images. Fails only when the store cannot be read.
 */
int restore_all(struct daemon *d, enum wipe wipe, struct cb_error *err);

#endif
