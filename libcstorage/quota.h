/* SPDX-License-Identifier: Apache-2.0 */
/* Limits on what a container writes: project quotas of XFS and ext4. */
#ifndef CSTORAGE_QUOTA_H
#define CSTORAGE_QUOTA_H

#include "private.h"

/*
 * Makes the empty directory dir a project of its own and limits it; what is made in it belongs to the
 * project. 0 for a limit: none. layers.lock is held for writing. -EOPNOTSUPP: the file system was mounted
 * without prjquota, or the kernel is older than 5.14.
 */
int quota_set(const char *home, const char *dir, uint64_t bytes, uint64_t inodes,
	      struct cstore_error *err);

#endif
