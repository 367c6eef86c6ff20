/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members by their path, as "linux.resources.cpu.burst": whatever the tables of shapes know can be
 * set, read and removed by one function per type, so there is no setter for each of the hundred
 * members that few programs need. A path ends at a list. In a map of strings everything behind the
 * map's name is the key ("linux.sysctl.net.core.somaxconn"); in a map of objects everything up to
 * the last dot ("linux.netDevices.eth0.100.name").
 */
#include <inttypes.h>
#include "private.h"

#define NAME_MAX_LEN 255

struct spot {
	struct place in;		/* the object that has the member, or nothing there */
	char name[NAME_MAX_LEN + 1];	/* of the member */
	const struct shape *member;	/* NULL: a text of a map */
};

static bool copy_name(char *out, const char *from, size_t len)
{
	if (len == 0 || len > NAME_MAX_LEN)
		return false;
	memcpy(out, from, len);
	out[len] = 0;
	return utf8_valid(out, len);
}

/* Into the object of that name; what is not there is made only when it is to be. */
static struct place step(struct place p, const char *name, const struct shape *m, bool make)
{
	struct place next = { p.doc, NULL, m->members, NULL };

	if (make)
		return place_child(p, name);
	next.obj = json_get(p.obj, name);
	if (next.obj && next.obj->type != JSON_OBJECT)
		next.obj = NULL;
	return next;
}

/* rest is what follows the name of the map m in the path. */
static int resolve_in_map(const char *rest, const struct shape *m, bool make, struct spot *ret)
{
	const char *dot = strrchr(rest, '.');
	char key[NAME_MAX_LEN + 1];
	int i;

	if (m->kind == KIND_STRING_MAP) {
		ret->member = NULL;
		return copy_name(ret->name, rest, strlen(rest)) ? 0 : OCISPEC_E_INVALID;
	}
	if (!dot || !copy_name(key, rest, (size_t)(dot - rest)) ||
	    !copy_name(ret->name, dot + 1, strlen(dot + 1)))
		return OCISPEC_E_INVALID;
	i = shape_index(m->members, ret->name);
	if (i < 0)
		return OCISPEC_E_INVALID;
	ret->member = &m->members[i];
	ret->in = step(ret->in, key, m, make);
	return 0;
}

static int resolve(const struct ocispec *s, const char *path, bool make, struct spot *ret)
{
	const struct shape *shape = s->shape;

	ret->in = (struct place){ s->doc, json_root(s->doc), shape, NULL };
	for (;;) {
		size_t len = strcspn(path, ".");
		int i;

		if (!copy_name(ret->name, path, len))
			return OCISPEC_E_INVALID;
		i = shape_index(shape, ret->name);
		if (i < 0)
			return OCISPEC_E_INVALID;
		ret->member = &shape[i];
		if (!path[len])
			return 0;
		path += len + 1;
		switch (shape[i].kind) {
		case KIND_STRING_MAP:
		case KIND_OBJECT_MAP:
			ret->in = step(ret->in, ret->name, ret->member, make);
			return resolve_in_map(path, ret->member, make, ret);
		case KIND_OBJECT:
			ret->in = step(ret->in, ret->name, ret->member, make);
			shape = shape[i].members;
			break;
		default:
			return OCISPEC_E_INVALID;
		}
	}
}

/* Before anything is changed: is there such a member, and may it hold v? */
static int check(struct ocispec *s, const char *path, const struct json *v, struct ocispec_error *err)
{
	static const struct shape text = { "value", KIND_STRING, NULL };
	struct spot at;
	int r;

	r = resolve(s, path, false, &at);
	if (r)
		return err_set(err, r, "%s: no such member", utf8_valid(path, strlen(path)) ? path : "?");
	r = shape_check_member(v, at.member ? at.member : &text, err);
	return r ? err_ctx(err, r, "%s", path) : 0;
}

static int set(struct ocispec *s, const char *path, struct json *v, struct ocispec_error *err)
{
	struct spot at;
	int r;

	if (!v)
		return err_oom(err);
	r = check(s, path, v, err);
	if (r)
		return r;
	s->mounts = mount_index_free(s->mounts);
	r = resolve(s, path, true, &at);
	if (!r)
		place_put(at.in, at.name, v);
	return r ? r : place_result(s);
}

PUBLIC int ocispec_set_text(struct ocispec *s, const char *path, const char *value)
{
	if (!s || !path)
		return -EINVAL;
	if (!value || !*value)
		return ocispec_unset(s, path);
	if (!text_valid(value))
		return OCISPEC_E_INVALID;
	return set(s, path, json_new_string(s->doc, value), NULL);
}

PUBLIC int ocispec_set_number(struct ocispec *s, const char *path, int64_t value)
{
	if (!s || !path)
		return -EINVAL;
	return set(s, path, json_new_int(s->doc, value), NULL);
}

PUBLIC int ocispec_set_unsigned(struct ocispec *s, const char *path, uint64_t value)
{
	char digits[24];

	if (!s || !path)
		return -EINVAL;
	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	return set(s, path, json_new_number(s->doc, digits), NULL);
}

PUBLIC int ocispec_set_flag(struct ocispec *s, const char *path, int on)
{
	if (!s || !path)
		return -EINVAL;
	return set(s, path, json_new_bool(s->doc, on != 0), NULL);
}

PUBLIC int ocispec_set_list(struct ocispec *s, const char *path, const char *const *list)
{
	struct json *v;

	if (!s || !path)
		return -EINVAL;
	if (!list || !*list)
		return ocispec_unset(s, path);
	if (!text_list_valid(list))
		return OCISPEC_E_INVALID;
	v = json_new_array(s->doc);
	for (; v && *list; list++)
		json_append_string(s->doc, v, *list);
	return set(s, path, v, NULL);
}

static int parse_value(struct ocispec *s, const char *bytes, size_t len, struct json **ret,
		       struct ocispec_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	int r = document_parse(bytes, len, &doc, err);

	if (r)
		return r;
	*ret = json_copy(s->doc, json_root(doc));
	return *ret && !json_failed(s->doc) ? 0 : err_oom(err);
}

PUBLIC int ocispec_set_json(struct ocispec *s, const char *path, const char *bytes, size_t len,
			    struct ocispec_error *err)
{
	struct json *v = NULL;
	int r;

	if (!s || !path || !bytes)
		return err_sysr(err, -EINVAL, "set member");
	r = parse_value(s, bytes, len, &v, err);
	return r ? err_ctx(err, r, "%s", path) : set(s, path, v, err);
}

PUBLIC int ocispec_append_json(struct ocispec *s, const char *path, const char *bytes, size_t len,
			       struct ocispec_error *err)
{
	struct json *v = NULL, *list;
	struct spot at;
	int r;

	if (!s || !path || !bytes)
		return err_sysr(err, -EINVAL, "append to member");
	r = parse_value(s, bytes, len, &v, err);
	if (r)
		return err_ctx(err, r, "%s", path);
	list = json_new_array(s->doc);
	json_append(s->doc, list, v);
	r = list ? check(s, path, list, err) : err_oom(err);
	if (!r)
		r = resolve(s, path, true, &at);
	if (r)
		return r;
	s->mounts = mount_index_free(s->mounts);
	json_append(s->doc, place_array(at.in, at.name), v);
	return place_result(s);
}

PUBLIC int ocispec_unset(struct ocispec *s, const char *path)
{
	struct spot at;
	int r;

	if (!s || !path)
		return -EINVAL;
	r = resolve(s, path, false, &at);
	if (r)
		return r;
	s->mounts = mount_index_free(s->mounts);
	place_remove(at.in, at.name);
	return 0;
}

const struct json *path_get(const struct ocispec *s, const char *path)
{
	const struct json *v;
	struct spot at;

	if (!s || !path || resolve(s, path, false, &at))
		return NULL;
	v = json_get(at.in.obj, at.name);
	return v && v->type == JSON_NULL ? NULL : v;
}

PUBLIC const char *ocispec_get_text(const struct ocispec *s, const char *path)
{
	return json_string(path_get(s, path));
}

PUBLIC int ocispec_get_number(const struct ocispec *s, const char *path, int64_t *ret)
{
	const struct json *v = path_get(s, path);
	int r;

	if (!s || !path || !ret)
		return -EINVAL;
	if (!v || v->type != JSON_NUMBER)
		return OCISPEC_E_NOT_FOUND;
	r = json_int(v, ret);
	return r == -ENOMEM ? r : r ? OCISPEC_E_INVALID : 0;
}

PUBLIC int ocispec_get_flag(const struct ocispec *s, const char *path, int otherwise)
{
	const struct json *v = path_get(s, path);

	return v && v->type == JSON_BOOL ? v->boolean : otherwise;
}

PUBLIC size_t ocispec_count(const struct ocispec *s, const char *path)
{
	const struct json *v = path_get(s, path);

	return v ? v->count : 0;
}

PUBLIC const char *ocispec_get_item(const struct ocispec *s, const char *path, size_t i)
{
	json_foreach(e, path_get(s, path))
		if (i-- == 0)
			return json_string(e);
	return NULL;
}

PUBLIC int ocispec_get_json(const struct ocispec *s, const char *path, int flags, char **ret)
{
	const struct json *v = path_get(s, path);

	if (!s || !path || !ret)
		return -EINVAL;
	if (!v)
		return OCISPEC_E_NOT_FOUND;
	return document_print(s, v, flags, ret, NULL);
}
