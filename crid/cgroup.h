/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroup paths with the cgroupfs manager, on v1, hybrid and v2 hosts.
 */
#ifndef CRID_CGROUP_H
#define CRID_CGROUP_H

#include <stdbool.h>
#include <cbase/err.h>

bool cgroup_v2(void);			      /* is /sys/fs/cgroup itself a cgroup2 mount? */
bool cgroup_has_controller(const char *name); /* "memory", "hugetlb"; v1 or v2 */
bool cgroup_has_swap(void);		      /* memory+swap accounting */
/*
 * "/kubepods/x" and id -> [owned] "/kubepods/x/crio-ID"; parent "" means "/crio". E_INVALID: a
 * parent ending ".slice", with "..", control bytes or not absolute.
 */
int cgroup_path(const char *parent, const char *id, char **ret, struct cb_error *err);
/* Makes the (empty) cgroup in every hierarchy; parents too. */
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
