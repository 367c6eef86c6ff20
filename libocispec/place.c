/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing a document. A place is an object of the tree and its shape. New members are inserted
 * before the first member that the shape has later (a map: that sorts later), so a document that
 * was made here prints in the order CRI-O prints, and one that was read keeps its own order
 * otherwise.
 *
 * Out of memory is remembered by the tree: every function here does nothing then, and the setter
 * finds out at its end from place_result().
 */
#include <inttypes.h>
#include "private.h"

struct place place_root(struct ocispec *s)
{
	return (struct place){ s->doc, json_root(s->doc), s->shape, NULL };
}

static const struct shape *shape_of(struct place p, const char *name)
{
	int i = p.shape ? shape_index(p.shape, name) : -1;

	return i < 0 ? NULL : &p.shape[i];
}

/* Does member a belong behind the new one? */
static bool belongs_behind(struct place p, const struct json *a, const char *name)
{
	int ia, in;

	if (!p.shape)
		return strcmp(a->key, name) > 0;
	ia = shape_index(p.shape, a->key);
	in = shape_index(p.shape, name);
	return ia >= 0 && in >= 0 && ia > in;
}

/* Moves the last member, just appended, before the first one that belongs behind it. */
static void settle_last(struct place p, const char *name)
{
	struct json *v = p.obj->last, *prev = NULL, *at = p.obj->first, *before_last = NULL;

	while (at != v && !belongs_behind(p, at, name)) {
		prev = at;
		at = at->next;
	}
	if (at == v)
		return;
	for (struct json *m = at; m != v; m = m->next)
		before_last = m;
	before_last->next = NULL;
	p.obj->last = before_last;
	v->next = at;
	if (prev)
		prev->next = v;
	else
		p.obj->first = v;
}

void place_put(struct place p, const char *name, struct json *v)
{
	bool had;

	if (!p.obj || !v)
		return;
	had = json_get(p.obj, name) != NULL;
	json_set(p.doc, p.obj, name, v);
	if (!had && !json_failed(p.doc))
		settle_last(p, name);
}

void place_remove(struct place p, const char *name)
{
	if (p.obj)
		json_remove(p.obj, name);
}

struct place place_child(struct place p, const char *name)
{
	const struct shape *m = shape_of(p, name);
	struct json *v = json_get(p.obj, name);

	if (!v || v->type != JSON_OBJECT) {
		v = json_new_object(p.doc);
		place_put(p, name, v);
	}
	if (m && m->kind == KIND_OBJECT_MAP)
		return (struct place){ p.doc, p.obj ? v : NULL, NULL, m->members };
	return (struct place){ p.doc, p.obj ? v : NULL, m ? m->members : p.elements, NULL };
}

struct place place_element(struct place p, const char *name)
{
	const struct shape *m = shape_of(p, name);

	return (struct place){ p.doc, json_new_object(p.doc), m ? m->members : NULL, NULL };
}

struct json *place_array(struct place p, const char *name)
{
	struct json *v = json_get(p.obj, name);

	if (v && v->type == JSON_ARRAY)
		return v;
	v = json_new_array(p.doc);
	place_put(p, name, v);
	return p.obj ? v : NULL;
}

void place_put_string(struct place p, const char *name, const char *s)
{
	if (s && *s)
		place_put(p, name, json_new_string(p.doc, s));
	else
		place_remove(p, name);
}

void place_put_uint(struct place p, const char *name, uint64_t v)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, v);
	place_put(p, name, json_new_number(p.doc, digits));
}

void place_put_int(struct place p, const char *name, int64_t v)
{
	place_put(p, name, json_new_int(p.doc, v));
}

void place_put_bool(struct place p, const char *name, int v)
{
	if (v)
		place_put(p, name, json_new_bool(p.doc, true));
	else
		place_remove(p, name);
}

void place_put_strings(struct place p, const char *name, const char *const *list)
{
	struct json *array;

	if (!list || !*list) {
		place_remove(p, name);
		return;
	}
	array = json_new_array(p.doc);
	for (; *list; list++)
		json_append_string(p.doc, array, *list);
	place_put(p, name, array);
}

struct json *array_find(const struct json *array, const char *key, const char *value)
{
	json_foreach(e, array) {
		const char *v = json_get_string(e, key);

		if (v && streq(v, value))
			return e;
	}
	return NULL;
}

/* The content of e takes the place of what old was; old stays linked where it is. */
static void element_replace(struct json *old, const struct json *e)
{
	old->type = e->type;
	old->first = e->first;
	old->last = e->last;
	old->count = e->count;
}

void array_upsert(struct json_doc *doc, struct json *array, const char *key, struct json *e)
{
	const char *value = json_get_string(e, key);
	struct json *old = value ? array_find(array, key, value) : NULL;

	if (!array || !e)
		return;
	if (old)
		element_replace(old, e);
	else
		json_append(doc, array, e);
}

int place_add_id_mapping(struct ocispec *s, struct place p, int group, uint32_t container_id,
			 uint32_t host_id, uint32_t size)
{
	const char *member = group ? "gidMappings" : "uidMappings";
	struct place m = place_element(p, member);

	if (size == 0)
		return OCISPEC_E_INVALID;
	place_put_uint(m, "containerID", container_id);
	place_put_uint(m, "hostID", host_id);
	place_put_uint(m, "size", size);
	json_append(s->doc, place_array(p, member), m.obj);
	return place_result(s);
}

int place_result(const struct ocispec *s)
{
	return json_failed(s->doc) ? -ENOMEM : 0;
}
