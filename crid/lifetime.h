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
/* Do pods of before have to go: is version_file missing, or of another major.minor? Empty path: no. */
bool lifetime_must_wipe(const struct config *c);
/* Serving: write the version files, take the mark of a clean shutdown away. */
int lifetime_begin(const struct config *c, struct cb_error *err);
/* Ended in order: syncs the file system of the store, then writes the mark. */
int lifetime_end(const struct config *c, const char *graph_root, struct cb_error *err);

#endif
