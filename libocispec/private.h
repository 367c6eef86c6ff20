/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside libocispec: a document is a JSON tree; everything that adds a member to it goes through a
 * struct place, an object together with its shape, so that members land where CRI-O's would.
 */
#ifndef OCISPEC_PRIVATE_H
#define OCISPEC_PRIVATE_H

#include <stdbool.h>
#include <cbase/cleanup.h>
#include <cbase/err.h>
#include <cbase/json.h>
#include <cbase/str.h>
#include "ocispec.h"

#define PUBLIC __attribute__((visibility("default")))

struct ocispec {
	struct json_doc *doc;
};

/* ---- shape.c: what the specification says about each object ---- */

enum kind {
	KIND_ANY,		/* kept, never read */
	KIND_BOOL,
	KIND_INT,		/* -2^63 .. 2^63-1 */
	KIND_UINT,		/* 0 .. 2^64-1 */
	KIND_UINT32,
	KIND_STRING,
	KIND_STRINGS,
	KIND_UINT32S,
	KIND_STRING_MAP,	/* member names are data and kept sorted */
	KIND_OBJECT,
	KIND_OBJECTS,
};

struct shape {
	const char *name;		/* NULL ends the table; ordered as the Go structs */
	enum kind kind;
	const struct shape *members;	/* of KIND_OBJECT and of the elements of KIND_OBJECTS */
};

extern const struct shape shape_document[];

/* Position in the table, or -1 for a member the specification does not know. */
int shape_index(const struct shape *shape, const char *name);
/* Is every known member of v of its kind? 0 or OCISPEC_E_INVALID. */
int shape_check(const struct json *v, const struct shape *shape, struct ocispec_error *err);

/* ---- place.c: changing a document ---- */

struct place {
	struct json_doc *doc;
	struct json *obj;		/* NULL: nothing there, or out of memory; puts do nothing */
	const struct shape *shape;	/* NULL: a map */
};

struct place place_root(struct ocispec *s);
/* Object or map below p: found, or made where it belongs. */
struct place place_child(struct place p, const char *name);
/* A fresh object for the elements of the array member name. */
struct place place_element(struct place p, const char *name);
/* Replaces in place or inserts by the shape's order; NULL or removed when v is NULL. */
void place_put(struct place p, const char *name, struct json *v);
void place_remove(struct place p, const char *name);
/* As place_put(), for text; NULL or "" removes. */
void place_put_string(struct place p, const char *name, const char *s);
void place_put_uint(struct place p, const char *name, uint64_t v);
void place_put_int(struct place p, const char *name, int64_t v);
void place_put_bool(struct place p, const char *name, int v);	/* false removes: omitempty */
/* [NULL-terminated] list; an empty one removes. */
void place_put_strings(struct place p, const char *name, const char *const *list);
/* The array member, made when missing. */
struct json *place_array(struct place p, const char *name);
/* Puts element e where another with the same string member key is, else at the end. */
void array_upsert(struct json_doc *doc, struct json *array, const char *key, struct json *e);
struct json *array_find(const struct json *array, const char *key, const char *value);
/* What a setter returns: 0, or -ENOMEM once memory has run out for this document. */
int place_result(const struct ocispec *s);

/* ---- check.c: values from outside ---- */
bool text_valid(const char *s);			/* UTF-8 */
bool text_printable(const char *s);		/* also no control characters but tab */
bool text_list_valid(const char *const *list);	/* NULL is an empty list */
bool path_absolute(const char *path);		/* UTF-8, starts with '/' */
/* Lexical: "//", "/./" and trailing slashes do not count, ".." goes up. */
bool path_equal(const char *a, const char *b);
size_t path_depth(const char *path);

/* ---- capability.c ---- */
bool capability_in(const struct json *names, const char *name);

#endif
