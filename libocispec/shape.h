/* SPDX-License-Identifier: Apache-2.0 */
/* What the specifications say about each object, as tables; see shape_config.c. */
#ifndef OCISPEC_SHAPE_H
#define OCISPEC_SHAPE_H

#include <stddef.h>

enum kind {
	KIND_ANY,		/* kept, never read */
	KIND_BOOL,
	KIND_INT,		/* -2^63 .. 2^63-1 */
	KIND_INT32,
	KIND_UINT,		/* 0 .. 2^64-1 */
	KIND_UINT32,
	KIND_UINT16,
	KIND_STRING,
	KIND_STRINGS,
	KIND_UINT32S,
	KIND_STRING_MAP,	/* member names are data and kept sorted */
	KIND_OBJECT,
	KIND_OBJECTS,
	KIND_OBJECT_MAP,	/* as KIND_STRING_MAP, of objects */
	KIND_HOOK,		/* an object, or a string in old hook files */
};

struct shape {
	const char *name;		/* NULL ends the table; ordered as the Go structs */
	enum kind kind;
	const struct shape *members;	/* of the object, or of each element */
};

extern const struct shape shape_config[], shape_state[], shape_features[], shape_profile[],
	shape_hook_file[], shape_cdi[];
/* Parts of shape_config that others use. */
extern const struct shape shape_hook[], shape_hooks[], shape_seccomp_arg[];

/* The table of a document of that OCISPEC_* kind; NULL: there is no such kind. */
const struct shape *shape_of_kind(int kind);
/* Position in the table, or -1 for a member the specification does not know. */
int shape_index(const struct shape *shape, const char *name);

#endif
