/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files by which one start of the daemon knows of the last: version_file (gone after a reboot,
 * another version after an upgrade) and clean_shutdown_file with its ".supported" companion. They are
 * CRI-O's, so that either daemon understands what the other left.
 */
#ifndef CRID_LIFETIME_H
#define CRID_LIFETIME_H

#include "config.h"

/*
 * Makes sure that no other crid works in a directory (of the option that is named), until the process
 * ends. E_EXISTS: one does; the text says which, and what to do.
 */
int lifetime_lock(const char *dir, const char *option, struct cb_error *err);
/*
 * What of before has to go: containers when version_file is missing or of another major.minor (the machine was
 * booted), their images too when version_file_persist says so (another version was here). Files that are not
 * configured say nothing.
 */
enum wipe { WIPE_NOTHING, WIPE_CONTAINERS, WIPE_IMAGES };
enum wipe lifetime_must_wipe(const struct config *c);
/* Was the daemon of before ended other than in order, as far as the files tell? */
bool lifetime_was_cut_short(const struct config *c);
/* Serving: write the version files, take the mark of a clean shutdown away. */
int lifetime_begin(const struct config *c, struct cb_error *err);
/* Ended in order: syncs the file system of the store, then writes the mark. */
int lifetime_end(const struct config *c, const char *graph_root, struct cb_error *err);

#endif
