/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of trees whose content is hostile, for the vfs driver. */
#ifndef CSTORAGE_TREE_COPY_H
#define CSTORAGE_TREE_COPY_H

/*
 * Fills the empty directory to with a copy of from: owners, modes, times, attributes, hard links, holes; blocks
 * are shared where the file system can. 0 or -errno.
 */
int tree_copy(const char *from, const char *to);
/*
 * Moves the content of from, which is lost, into to, as a layer is put over its parent: a whiteout (a
 * character device 0,0) removes, a directory with trusted.overlay.opaque replaces. 0 or -errno.
 */
int tree_merge(const char *from, const char *to);

#endif
