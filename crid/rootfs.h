/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes inside a container's root file system. The tree is hostile: every path is resolved with the
 * root as "/" (openat2 RESOLVE_IN_ROOT) and used through the descriptor it gave.
 */
#ifndef CRID_ROOTFS_H
#define CRID_ROOTFS_H

#include <stdint.h>
#include <cbase/err.h>

/* Makes a directory and its parents (0755); ones that exist are left alone. uid/gid: owner of what is made. */
int rootfs_mkdir_p(int root_fd, const char *path, uint32_t uid, uint32_t gid, struct cb_error *err);
/* /etc/mtab -> /proc/mounts unless something is there; no /etc: nothing to do. uid/gid: owner. */
int rootfs_link_mtab(int root_fd, uint32_t uid, uint32_t gid, struct cb_error *err);

#endif
