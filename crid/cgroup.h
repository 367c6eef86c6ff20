/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroups as directories, on v1, hybrid and v2 hosts. Their paths are those of cgroup_path.h. */
#ifndef CRID_CGROUP_H
#define CRID_CGROUP_H

#include <stdbool.h>
#include "cgroup_path.h"

bool cgroup_v2(void);			      /* is /sys/fs/cgroup itself a cgroup2 mount? */
bool cgroup_has_controller(const char *name); /* "memory", "hugetlb"; v1 or v2 */
bool cgroup_has_swap(void);		      /* memory+swap accounting */
/*
 * Makes the (empty) cgroup in every hierarchy; parents too. A scope is made in silence: what its slices give to
 * their children is systemd's to say.
 */
int cgroup_make(const char *path, struct cb_error *err);
/*
 * Removes it in every hierarchy, children (of a runtime) first; missing is success; busy is
 * -EBUSY.
 */
int cgroup_remove(const char *path, struct cb_error *err);
/*
 * Its directory, to be read, in the hierarchy of a controller ("memory"), or, with "", in the v2
 * hierarchy, also when that stands beside v1. A descriptor or -errno; -ENOENT: no such one.
 */
int cgroup_open(const char *path, const char *controller);

#endif
