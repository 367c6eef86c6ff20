/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as a tree in one arena: parse, look up, change, print. Members keep their order and numbers
 * their spelling, so what a program does not understand is written back as it was read.
 *
 * All nodes belong to a struct json_doc and die with it. Builders never fail: when memory runs out
 * the document is marked, and json_format() (or json_failed()) reports it. Lookups accept NULL and
 * nodes of the wrong type, so a chain of them needs one check at its end.
 */
#ifndef CBASE_JSON_H
#define CBASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"
#include "str.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	struct json *next;	/* in the parent */
	const char *key;	/* member name, NUL-terminated; NULL in arrays */
	enum json_type type;
	bool boolean;
	const char *string;	/* STRING: the bytes, NUL added; NUMBER: as spelled */
	size_t len;		/* of string */
	struct json *first, *last;
	size_t count;		/* of children */
};

struct json_doc;

enum {
	JSON_UNIQUE_KEYS = 1,	/* parse: a repeated member name is an error */
	JSON_REPAIR = 2,	/* parse: bytes that are no UTF-8, and NUL by escape, become U+FFFD; for texts of strangers */
	JSON_NO_NODES_MAX = 8,	/* parse: a file of our own, which may have grown larger than others' documents */
};
#define JSON_DEPTH_MAX 64		/* deeper documents are refused */
#define JSON_NODES_MAX 500000		/* values of one document: about 40 MB of memory at most */
#define JSON_UNIQUE_KEYS_MAX 8192	/* members of one object under JSON_UNIQUE_KEYS */

/* Strict RFC 8259, UTF-8; trailing bytes other than white space are an error. 0, -EINVAL, -ENOMEM. */
int json_parse(const char *p, size_t n, int flags, struct json_doc **ret, struct cb_error *err);
struct json_doc *json_doc_new(void);		/* root is an empty object; NULL when out of memory */
struct json_doc *json_doc_free(struct json_doc *doc);	/* returns NULL */
CB_DEFINE_CLEANUP(struct json_doc *, json_doc_free)
#define _cleanup_json_ _cleanup_(json_doc_freep)

struct json *json_root(struct json_doc *doc);
void json_set_root(struct json_doc *doc, struct json *v);
bool json_failed(const struct json_doc *doc);
void *json_alloc(struct json_doc *doc, size_t n);	/* zeroed, from the arena; NULL marks the document */
char *json_strdup(struct json_doc *doc, const char *s);

/* Lookups. A string with an embedded NUL is never returned by json_string()/json_get_string(). */
struct json *json_get(const struct json *obj, const char *key);	/* last one of that name */
struct json *json_path(const struct json *v, ...);			/* keys, ended by NULL */
const char *json_string(const struct json *v);				/* NULL unless a string */
const char *json_get_string(const struct json *obj, const char *key);
int json_int(const struct json *v, int64_t *ret);			/* 0, -ENOENT, -EINVAL, -ERANGE */
int64_t json_get_int(const struct json *obj, const char *key, int64_t otherwise);
bool json_get_bool(const struct json *obj, const char *key, bool otherwise);
#define json_foreach(item, parent) \
	for (struct json *item = (parent) ? (parent)->first : NULL; item; item = item->next)
/* An array of strings as an owned vector; other members are skipped. NULL v gives NULL. 0 or -ENOMEM. */
int json_strv(const struct json *v, char ***ret);

/* Builders: new nodes hang nowhere until set or appended; all copy their text. */
struct json *json_new_object(struct json_doc *doc);
struct json *json_new_array(struct json_doc *doc);
struct json *json_new_string(struct json_doc *doc, const char *s);
struct json *json_new_string_n(struct json_doc *doc, const char *s, size_t n);
struct json *json_new_int(struct json_doc *doc, int64_t i);
struct json *json_new_number(struct json_doc *doc, const char *spelling);
struct json *json_new_bool(struct json_doc *doc, bool b);
struct json *json_new_null(struct json_doc *doc);
struct json *json_copy(struct json_doc *doc, const struct json *v);	/* deep, also from another document */

void json_set(struct json_doc *doc, struct json *obj, const char *key, struct json *v);	/* replaces in place or appends */
void json_append(struct json_doc *doc, struct json *arr, struct json *v);
void json_remove(struct json *obj, const char *key);
void json_remove_item(struct json *parent, struct json *item);

/* Shorthands. */
void json_set_string(struct json_doc *doc, struct json *obj, const char *key, const char *s);
void json_set_int(struct json_doc *doc, struct json *obj, const char *key, int64_t i);
void json_set_bool(struct json_doc *doc, struct json *obj, const char *key, bool b);
struct json *json_set_object(struct json_doc *doc, struct json *obj, const char *key);	/* new and empty, replaces */
struct json *json_set_array(struct json_doc *doc, struct json *obj, const char *key);
void json_append_string(struct json_doc *doc, struct json *arr, const char *s);
struct json *json_child_object(struct json_doc *doc, struct json *obj, const char *key);	/* existing or new */
struct json *json_child_array(struct json_doc *doc, struct json *obj, const char *key);

enum {
	JSON_INDENT_TAB = 1,	/* as Go's MarshalIndent("", "\t") */
	JSON_SORT_KEYS = 2,	/* bytewise, as Go prints maps; at every level */
	JSON_NO_HTML = 4,	/* leave < > & and U+2028/9 as they are */
};
/* Appends the text as Go's encoding/json prints it (compact, HTML-safe), no final newline. 0 or -ENOMEM. */
int json_format(const struct json_doc *doc, const struct json *v, int flags, struct str *out);
/* Appends s as a quoted JSON string; invalid UTF-8 becomes U+FFFD. */
void json_quote(struct str *out, const char *s, size_t n, int flags);

#endif
