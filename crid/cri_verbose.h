/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The "info" of a verbose status: JSON with what CRI-O puts there, of which the runtime's document is
 * read from disk on an operation thread.
 */
#ifndef CRID_CRI_VERBOSE_H
#define CRID_CRI_VERBOSE_H

#include "daemon.h"

typedef void (*cri_verbose_reply)(struct daemon *d, struct crisvc_call *call, const char *id, const char *info);

/* pod: id of a container's pod, NULL for a pod itself (then image is told). reply() runs on the loop and owns the call. */
void cri_verbose(struct daemon *d, struct crisvc_call *call, const char *id, const char *dir, pid_t pid,
		 const char *image, const char *pod, bool privileged, cri_verbose_reply reply);

#endif
