/* SPDX-License-Identifier: Apache-2.0 */
/* One mount of overlayfs. */
#ifndef CSTORAGE_MOUNT_H
#define CSTORAGE_MOUNT_H

#include "private.h"

struct mount_plan {
	char **lowers;	     /* topmost first */
	char *upper, *work;  /* NULL: read-only */
	char **options;	     /* "index=off", "volatile" */
	unsigned long flags; /* MS_* */
	const char *label;   /* SELinux context; [borrowed] */
};

void mount_plan_done(struct mount_plan *p);
/* Adds a word of a mount option list: a flag, or an option of overlayfs. 0 or -ENOMEM. */
int mount_plan_option(struct mount_plan *p, const char *word);
/* 0 or -errno; reason gets ": " and what the kernel said, if anything. */
int mount_plan_run(const struct mount_plan *p, const char *target, char *reason, size_t size);
/* As mount_plan_run() does it on kernels without "lowerdir+". */
int mount_by_string(const struct mount_plan *p, const char *target);

/* idmap.c */

/*
 * Mounts directory on target so that what belongs to 0 on disk belongs to the user that 0 is mapped to.
 * -EOPNOTSUPP: the kernel or the file system cannot.
 */
int idmap_mount(const char *directory, const char *target, int userns);
/* A user namespace with these maps; returns its descriptor or -errno. */
int idmap_userns(const struct id_maps *maps);

#endif
