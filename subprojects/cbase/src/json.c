/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON tree: nodes and texts live in one arena, so that freeing a document is freeing a handful of
 * blocks, and nothing in it can leak or dangle by itself.
 */
#include <stdarg.h>
#include <cbase/arena.h>
#include "json_internal.h"

struct json_doc {
	struct json *root;
	struct arena arena;
};

struct json_doc *json_doc_empty(void)
{
	return calloc(1, sizeof(struct json_doc));
}

struct json_doc *json_doc_new(void)
{
	struct json_doc *doc = json_doc_empty();

	if (!doc)
		return NULL;
	doc->root = json_new_object(doc);
	return json_failed(doc) ? json_doc_free(doc) : doc;
}

struct json_doc *json_doc_free(struct json_doc *doc)
{
	if (doc)
		arena_done(&doc->arena);
	free(doc);
	return NULL;
}

struct json *json_root(struct json_doc *doc)
{
	return doc ? doc->root : NULL;
}

void json_set_root(struct json_doc *doc, struct json *v)
{
	doc->root = v;
}

bool json_failed(const struct json_doc *doc)
{
	return arena_failed(&doc->arena);
}

void *json_alloc(struct json_doc *doc, size_t n)
{
	return arena_alloc(&doc->arena, n);
}

char *json_strndup(struct json_doc *doc, const char *s, size_t n)
{
	return arena_strndup(&doc->arena, s, n);
}

char *json_strdup(struct json_doc *doc, const char *s)
{
	return json_strndup(doc, s, strlen(s));
}

struct json *json_node(struct json_doc *doc, enum json_type type)
{
	struct json *v = json_alloc(doc, sizeof(*v));

	if (v)
		v->type = type;
	return v;
}

struct json *json_new_object(struct json_doc *doc) { return json_node(doc, JSON_OBJECT); }
struct json *json_new_array(struct json_doc *doc) { return json_node(doc, JSON_ARRAY); }
struct json *json_new_null(struct json_doc *doc) { return json_node(doc, JSON_NULL); }

static struct json *new_text(struct json_doc *doc, enum json_type type, const char *s, size_t n)
{
	struct json *v = json_node(doc, type);

	if (!v)
		return NULL;
	v->string = json_strndup(doc, s, n);
	v->len = n;
	return v->string ? v : NULL;
}

struct json *json_new_string_n(struct json_doc *doc, const char *s, size_t n)
{
	return new_text(doc, JSON_STRING, s, n);
}

struct json *json_new_string(struct json_doc *doc, const char *s)
{
	return new_text(doc, JSON_STRING, s, strlen(s));
}

struct json *json_new_number(struct json_doc *doc, const char *spelling)
{
	return new_text(doc, JSON_NUMBER, spelling, strlen(spelling));
}

struct json *json_new_int(struct json_doc *doc, int64_t i)
{
	char buf[24];

	snprintf(buf, sizeof(buf), "%lld", (long long)i);
	return json_new_number(doc, buf);
}

struct json *json_new_bool(struct json_doc *doc, bool b)
{
	struct json *v = json_node(doc, JSON_BOOL);

	if (v)
		v->boolean = b;
	return v;
}

struct json *json_copy(struct json_doc *doc, const struct json *v)
{
	struct json *copy, *child;

	if (!v)
		return NULL;
	if (v->type == JSON_STRING || v->type == JSON_NUMBER)
		return new_text(doc, v->type, v->string, v->len);
	copy = json_node(doc, v->type);
	if (!copy)
		return NULL;
	copy->boolean = v->boolean;
	json_foreach(item, v) {
		child = json_copy(doc, item);
		if (child && item->key)
			child->key = json_strdup(doc, item->key);
		json_append(doc, copy, child);
	}
	return copy;
}

/* Lookups. */

struct json *json_get(const struct json *obj, const char *key)
{
	struct json *found = NULL;

	if (!obj || obj->type != JSON_OBJECT)
		return NULL;
	json_foreach(item, obj)
		if (streq(item->key, key))
			found = item;
	return found;
}

struct json *json_path(const struct json *v, ...)
{
	struct json *at = NULL;
	const char *key;
	va_list ap;

	va_start(ap, v);
	while ((key = va_arg(ap, const char *))) {
		at = json_get(v, key);
		v = at;
	}
	va_end(ap);
	return at;
}

const char *json_string(const struct json *v)
{
	if (!v || v->type != JSON_STRING || memchr(v->string, 0, v->len))
		return NULL;
	return v->string;
}

const char *json_get_string(const struct json *obj, const char *key)
{
	return json_string(json_get(obj, key));
}

int json_int(const struct json *v, int64_t *ret)
{
	long long i;
	int r;

	if (!v)
		return -ENOENT;
	if (v->type != JSON_NUMBER)
		return -EINVAL;
	r = str_to_i64(v->string, &i);
	if (r)
		return r;
	*ret = i;
	return 0;
}

int64_t json_get_int(const struct json *obj, const char *key, int64_t otherwise)
{
	int64_t v;

	return json_int(json_get(obj, key), &v) ? otherwise : v;
}

bool json_get_bool(const struct json *obj, const char *key, bool otherwise)
{
	const struct json *v = json_get(obj, key);

	return v && v->type == JSON_BOOL ? v->boolean : otherwise;
}

int json_strv(const struct json *v, char ***ret)
{
	_cleanup_strv_ char **out = NULL;

	if (v && v->type == JSON_ARRAY)
		out = strv_copy(NULL);
	json_foreach(item, out ? v : NULL)
		if (json_string(item) && strv_push(&out, json_string(item)))
			return -ENOMEM;
	if (v && v->type == JSON_ARRAY && !out)
		return -ENOMEM;
	*ret = take(out);
	return 0;
}

/* Changes. */

void json_append(struct json_doc *doc, struct json *arr, struct json *v)
{
	if (!arr || !v) {
		doc->arena.failed = true;
		return;
	}
	v->next = NULL;
	if (arr->last)
		arr->last->next = v;
	else
		arr->first = v;
	arr->last = v;
	arr->count++;
}

void json_set(struct json_doc *doc, struct json *obj, const char *key, struct json *v)
{
	struct json **at, *old = json_get(obj, key);

	if (!obj || !v) {
		doc->arena.failed = true;
		return;
	}
	v->key = json_strdup(doc, key);
	if (!v->key)
		return;
	if (!old) {
		json_append(doc, obj, v);
		return;
	}
	for (at = &obj->first; *at != old; at = &(*at)->next)
		;
	v->next = old->next;
	*at = v;
	if (obj->last == old)
		obj->last = v;
}

void json_remove_item(struct json *parent, struct json *item)
{
	struct json **at, *prev = NULL;

	for (at = &parent->first; *at && *at != item; at = &(*at)->next)
		prev = *at;
	if (!*at)
		return;
	*at = item->next;
	if (parent->last == item)
		parent->last = prev;
	parent->count--;
}

void json_remove(struct json *obj, const char *key)
{
	struct json *v;

	while ((v = json_get(obj, key)))
		json_remove_item(obj, v);
}

void json_set_string(struct json_doc *doc, struct json *obj, const char *key, const char *s)
{
	json_set(doc, obj, key, json_new_string(doc, s));
}

void json_set_int(struct json_doc *doc, struct json *obj, const char *key, int64_t i)
{
	json_set(doc, obj, key, json_new_int(doc, i));
}

void json_set_bool(struct json_doc *doc, struct json *obj, const char *key, bool b)
{
	json_set(doc, obj, key, json_new_bool(doc, b));
}

struct json *json_set_object(struct json_doc *doc, struct json *obj, const char *key)
{
	struct json *v = json_new_object(doc);

	json_set(doc, obj, key, v);
	return v;
}

struct json *json_set_array(struct json_doc *doc, struct json *obj, const char *key)
{
	struct json *v = json_new_array(doc);

	json_set(doc, obj, key, v);
	return v;
}

void json_append_string(struct json_doc *doc, struct json *arr, const char *s)
{
	json_append(doc, arr, json_new_string(doc, s));
}

struct json *json_child_object(struct json_doc *doc, struct json *obj, const char *key)
{
	struct json *v = json_get(obj, key);

	return v && v->type == JSON_OBJECT ? v : json_set_object(doc, obj, key);
}

struct json *json_child_array(struct json_doc *doc, struct json *obj, const char *key)
{
	struct json *v = json_get(obj, key);

	return v && v->type == JSON_ARRAY ? v : json_set_array(doc, obj, key);
}
