/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SELinux labels of pods and containers. libselinux is loaded when the configuration wants them and the
 * kernel has SELinux; everywhere else a struct selinux is NULL and every label "".
 *
 * A label is user:role:type:level. Processes of a pod share a level of two categories that no other pod
 * has, and files of theirs have it too, so a process of one pod cannot touch files of another.
 */
#ifndef CRID_SELINUX_H
#define CRID_SELINUX_H

#include <stdbool.h>
#include <cbase/arena.h>
#include <cbase/err.h>

struct Runtime__V1__SELinuxOption;	/* of CRI */
struct selinux;

#define SELINUX_LEVEL_LEN 24

/* Blocks. *ret stays NULL without SELinux in the kernel. */
int selinux_open(struct selinux **ret, struct cb_error *err);
struct selinux *selinux_close(struct selinux *s);	/* NULL is fine; returns NULL */
/* What the policy gives containers: of processes, and of files. */
const char *selinux_process_label(const struct selinux *s);
const char *selinux_file_label(const struct selinux *s);
/* E_INVALID: the policy has no such label. "" is fine. */
int selinux_check(const struct selinux *s, const char *label, struct cb_error *err);

/* "s0:c12,c903", by chance. */
int selinux_level_make(char ret[SELINUX_LEVEL_LEN]);
const char *selinux_level_of(const char *label);	/* the fourth part; "" */
/*
 * base with the parts that the option names put in the place of its own; level (if not "") in the place of
 * both. NULL option: none. [owned by the arena]; E_INVALID: a part with a blank, control byte or ':'.
 */
int selinux_process_make(struct arena *a, const char *base, const struct Runtime__V1__SELinuxOption *o, const char *level,
			 const char **ret, struct cb_error *err);
/* For files of a process: base with the user and the level of its label. */
int selinux_file_make(struct arena *a, const char *base, const char *process, const char **ret, struct cb_error *err);
/* process and file of lxc_contexts(5): `process = "..."`; 0 or E_INVALID. */
int selinux_contexts_parse(const char *text, char **ret_process, char **ret_file, struct cb_error *err);

/*
 * Labels everything below path, and path. Symlinks are labelled and not followed; other file systems are
 * entered. E_INVALID: a directory of the system itself.
 */
int selinux_relabel(const char *path, const char *label, struct cb_error *err);

#endif
