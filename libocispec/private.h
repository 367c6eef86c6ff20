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
#include "shape.h"

#define PUBLIC __attribute__((visibility("default")))

struct ocispec {
	struct json_doc *doc;
	const struct shape *shape;	/* of the root */
	struct mount_index *mounts;	/* by destination; NULL until it is asked for */
};

/*
 * ---- shape.c ----
 * Is every known member of v of its kind? 0 or OCISPEC_E_INVALID. strict: there may be no others.
 */
int shape_check(const struct json *v, const struct shape *shape, bool strict, struct ocispec_error *err);
/* Would v do as a member of that kind? */
int shape_check_member(const struct json *v, const struct shape *m, struct ocispec_error *err);

/* ---- document.c ---- */
/* OCISPEC_E_INVALID, OCISPEC_E_LIMIT, -ENOMEM. */
int document_parse(const char *bytes, size_t len, struct json_doc **ret, struct ocispec_error *err);
int document_print(const struct ocispec *s, const struct json *v, int flags, char **ret, size_t *ret_len);
CB_DEFINE_CLEANUP(struct ocispec *, ocispec_free)

/* ---- directory.c ---- */
typedef int (*directory_file_fn)(void *arg, const char *path, const char *name, const char *bytes, size_t len,
				 struct ocispec_error *err);
/*
 * Hands each file of the directory to a function that may refuse it (> 0: reported, the next one;
 * < 0: the end). 0; OCISPEC_E_INVALID: some were refused, err is that of the first;
 * OCISPEC_E_NOT_FOUND: no directory.
 */
int directory_load(const char *dir, const char *const *endings, directory_file_fn each, void *arg,
		   ocispec_finding_fn report, void *user, struct ocispec_error *err);

/* ---- module.c: as module.h says of the module's function, or OCISPEC_E_UNAVAILABLE ---- */
int module_yaml_to_json(const char *bytes, size_t len, char **ret, struct ocispec_error *err);

/* ---- mounts.c ---- */
struct mount_index *mount_index_free(struct mount_index *x);	/* returns NULL */

/* ---- path.c: the member of that path; NULL when it is not there or null ---- */
const struct json *path_get(const struct ocispec *s, const char *path);

/* ---- place.c: changing a document ---- */

struct place {
	struct json_doc *doc;
	struct json *obj;		/* NULL: nothing there, or out of memory; puts do nothing */
	const struct shape *shape;	/* NULL: a map */
	const struct shape *elements;	/* what the objects of a map look like, or NULL */
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
/* To "uidMappings", or "gidMappings" for a group. What the setter returns. */
int place_add_id_mapping(struct ocispec *s, struct place p, int group, uint32_t container_id,
			 uint32_t host_id, uint32_t size);
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
size_t path_hash(const char *path);

/* ---- version.c ---- */
struct release {
	unsigned major, minor, patch;
};
int release_read(const char *text, struct release *ret);	/* 0 or OCISPEC_E_INVALID */
int release_compare(const struct release *a, const struct release *b);
/* Members of the document that are newer than a release, one per call with *i from 0; then NULL. */
const char *release_lacks(const struct ocispec *s, const struct release *than, size_t *i, struct release *ret);

bool rlimit_known(const char *type);		/* process.c */
bool namespace_known(const char *type);		/* linux.c */

/* ---- capability.c ---- */
bool capability_in(const struct json *names, const char *name);

#endif
