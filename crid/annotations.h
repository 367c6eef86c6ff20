/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRI-O's annotations with which a pod asks for more than CRI can say. Each is honoured only for handlers
 * whose allowed_annotations name it, in its old or its new spelling; of all others the pod keeps nothing, so
 * no other daemon on the same records honours them either.
 */
#ifndef CRID_ANNOTATIONS_H
#define CRID_ANNOTATIONS_H

#include <stdint.h>
#include <cbase/err.h>

enum annotation {
	ANNOTATION_DEVICES,		/* "HOST[:CONTAINER[:rwm]],..." */
	ANNOTATION_SHM_SIZE,		/* "64m" */
	ANNOTATION_UMASK,		/* octal */
	ANNOTATION_UNIFIED_CGROUP,	/* "FILE=VALUE;..."; the name has the container's behind a '/' */
	ANNOTATION_CGROUP_RW,		/* "true": cgroup v2 is mounted writable */
	ANNOTATIONS
};

/* Takes those out of the pairs that are known here and not allowed. */
void annotations_drop(char **pairs, char *const *allowed);
/* The value for a container ("": the pod); NULL: none. */
const char *annotation_get(char *const *pairs, enum annotation which, const char *container);
/* Bytes, "100", "64m", "1GiB", more than 0; E_INVALID. */
int annotation_parse_size(const char *text, int64_t *ret, struct cb_error *err);
/* Octal, up to 0777; E_INVALID. */
int annotation_parse_umask(const char *text, uint32_t *ret, struct cb_error *err);

#endif
