/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of cgroups. In crid a cgroup is a path below the mount point of every hierarchy, whoever manages it;
 * CRI's parents and config.json's cgroupsPath are turned into it and back here.
 *
 *	           parent of CRI        path                                            config.json
 *	cgroupfs   /kubepods/x          /kubepods/x/crio-ID                             the same
 *	systemd    kubepods-x.slice     /kubepods.slice/kubepods-x.slice/crio-ID.scope  kubepods-x.slice:crio:ID
 */
#ifndef CRID_CGROUP_PATH_H
#define CRID_CGROUP_PATH_H

#include <stdbool.h>
#include <cbase/err.h>

/*
 * [owned] path of a parent; "" is the root. cgroupfs: absolute and no slice; given "": "/crio". systemd: the last
 * component is a slice; given "": system.slice. E_INVALID for others, and for "..", control bytes, names too long.
 */
int cgroup_parent_path(bool systemd, const char *parent, char **ret, struct cb_error *err);
/* The same of the pod or container with that id below the parent. */
int cgroup_path(bool systemd, const char *parent, const char *id, char **ret, struct cb_error *err);
/* Path to what config.json says, and back. [owned]; NULL: out of memory. What has another form stays as it is. */
char *cgroup_to_spec(const char *path);
char *cgroup_from_spec(const char *text);
/* Is it the path of a scope, one that systemd made or would make? */
bool cgroup_is_scope(const char *path);
/* "a-b.slice", one that systemd takes; "-.slice" is the root. */
bool slice_is_valid(const char *name);
/* [owned] the path without its last component, "" for the root; NULL: out of memory. */
char *cgroup_above(const char *path);
/* [owned] the slice that a scope is in, "a-b.slice"; NULL: out of memory. */
char *cgroup_slice(const char *path);
/* [owned] the components of an absolute path, none of them "." or ".."; maybe none. E_INVALID. */
int cgroup_split(const char *path, char ***ret, struct cb_error *err);

#endif
