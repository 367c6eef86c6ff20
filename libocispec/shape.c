/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking a document against the tables of shape_config.c and shape_other.c, so that the getters
 * can trust what they read. null stands for an absent member, as in Go.
 */
#include "private.h"

const struct shape *shape_of_kind(int kind)
{
	static const struct shape *const shapes[] = {
		[OCISPEC_CONFIG] = shape_config,     [OCISPEC_STATE] = shape_state,
		[OCISPEC_FEATURES] = shape_features, [OCISPEC_PROFILE] = shape_profile,
		[OCISPEC_HOOK] = shape_hook_file,    [OCISPEC_CDI] = shape_cdi,
	};

	return kind >= 0 && (size_t)kind < ARRAY_SIZE(shapes) ? shapes[kind] : NULL;
}

int shape_index(const struct shape *shape, const char *name)
{
	for (int i = 0; shape[i].name; i++)
		if (streq(shape[i].name, name))
			return i;
	return -1;
}

/* Where in the document a check is, for its message: linked through the stack. */
struct trail {
	const struct trail *up;
	const char *name;
	size_t index;		/* of an array element, when name is NULL */
	bool strict;
};

/* The keys of maps are anybody's. */
static bool quotable(const char *name)
{
	return strlen(name) <= 200 && text_printable(name);
}

static void trail_append(struct str *out, const struct trail *t)
{
	if (!t)
		return;
	trail_append(out, t->up);
	if (!t->name && !t->up) /* the root */
		return;
	if (t->name)
		str_appendf(out, "%s%s", out->len ? "." : "", quotable(t->name) ? t->name : "?");
	else
		str_appendf(out, "[%zu]", t->index);
}

static int wrong(const struct trail *t, const char *what, struct ocispec_error *err)
{
	_cleanup_str_ struct str where = STR_INIT;

	trail_append(&where, t);
	return err_set(err, OCISPEC_E_INVALID, "%s: %s",
		       where.data ? where.data : "document", what);
}

static bool is_uint(const struct json *v, uint64_t max)
{
	unsigned long long n;
	char *end;

	if (v->type != JSON_NUMBER || v->string[0] == '-')
		return false;
	errno = 0;
	n = strtoull(v->string, &end, 10);
	return errno == 0 && *end == 0 && n <= max;
}

static bool is_int(const struct json *v, int64_t min, int64_t max)
{
	int64_t n;

	return v->type == JSON_NUMBER && json_int(v, &n) == 0 && n >= min && n <= max;
}

static bool is_string(const struct json *v)
{
	return json_string(v) != NULL;	/* without embedded NUL: these become paths, arguments */
}

static int check_object(const struct json *v, const struct shape *shape, const struct trail *up,
			struct ocispec_error *err);

static int check_elements(const struct json *v, const struct shape *m, const struct trail *t,
			  struct ocispec_error *err)
{
	struct trail here = { t, NULL, 0, t->strict };
	int r;

	if (v->type != JSON_ARRAY)
		return wrong(t, "expected an array", err);
	json_foreach(e, v) {
		if (m->kind == KIND_STRINGS && !is_string(e))
			return wrong(&here, "expected a string without NUL", err);
		if (m->kind == KIND_UINT32S && !is_uint(e, UINT32_MAX))
			return wrong(&here, "expected an integer from 0 to 4294967295", err);
		r = m->kind == KIND_OBJECTS ? check_object(e, m->members, &here, err) : 0;
		if (r)
			return r;
		here.index++;
	}
	return 0;
}

static int check_string_map(const struct json *v, const struct trail *t, struct ocispec_error *err)
{
	if (v->type != JSON_OBJECT)
		return wrong(t, "expected an object", err);
	json_foreach(e, v) {
		struct trail here = { t, e->key, 0, t->strict };

		if (e->type != JSON_NULL && !is_string(e))
			return wrong(&here, "expected a string without NUL", err);
	}
	return 0;
}

static int check_object_map(const struct json *v, const struct shape *m, const struct trail *t,
			    struct ocispec_error *err)
{
	int r;

	if (v->type != JSON_OBJECT)
		return wrong(t, "expected an object", err);
	json_foreach(e, v) {
		struct trail here = { t, e->key, 0, t->strict };

		r = e->type == JSON_NULL ? 0 : check_object(e, m->members, &here, err);
		if (r)
			return r;
	}
	return 0;
}

static int check_value(const struct json *v, const struct shape *m, const struct trail *t,
		       struct ocispec_error *err)
{
	if (v->type == JSON_NULL)
		return 0;
	switch (m->kind) {
	case KIND_ANY:
		return 0;
	case KIND_BOOL:
		return v->type == JSON_BOOL ? 0 : wrong(t, "expected true or false", err);
	case KIND_INT:
		return is_int(v, INT64_MIN, INT64_MAX) ? 0 : wrong(t, "expected a 64-bit integer", err);
	case KIND_INT32:
		return is_int(v, INT32_MIN, INT32_MAX) ? 0 : wrong(t, "expected a 32-bit integer", err);
	case KIND_UINT:
		return is_uint(v, UINT64_MAX) ? 0 : wrong(t, "expected an unsigned 64-bit integer", err);
	case KIND_UINT32:
		return is_uint(v, UINT32_MAX) ? 0 :
			wrong(t, "expected an integer from 0 to 4294967295", err);
	case KIND_UINT16:
		return is_uint(v, UINT16_MAX) ? 0 : wrong(t, "expected an integer from 0 to 65535", err);
	case KIND_STRING:
		return is_string(v) ? 0 : wrong(t, "expected a string without NUL", err);
	case KIND_STRING_MAP:
		return check_string_map(v, t, err);
	case KIND_HOOK:
		if (v->type == JSON_STRING)
			return is_string(v) ? 0 : wrong(t, "expected a string without NUL", err);
		return check_object(v, m->members, t, err);
	case KIND_OBJECT:
		return check_object(v, m->members, t, err);
	case KIND_OBJECT_MAP:
		return check_object_map(v, m, t, err);
	case KIND_STRINGS:
	case KIND_UINT32S:
	case KIND_OBJECTS:
		return check_elements(v, m, t, err);
	}
	return 0;
}

static int check_object(const struct json *v, const struct shape *shape, const struct trail *up,
			struct ocispec_error *err)
{
	int i, r;

	if (v->type != JSON_OBJECT)
		return wrong(up, "expected an object", err);
	json_foreach(m, v) {
		struct trail here = { up, m->key, 0, up && up->strict };

		i = shape_index(shape, m->key);
		if (i < 0 && here.strict)
			return wrong(&here, "unknown member", err);
		if (i < 0)
			continue;
		r = check_value(m, &shape[i], &here, err);
		if (r)
			return r;
	}
	return 0;
}

int shape_check(const struct json *v, const struct shape *shape, bool strict, struct ocispec_error *err)
{
	struct trail root = { .strict = strict };

	return check_object(v, shape, &root, err);
}

int shape_check_member(const struct json *v, const struct shape *m, struct ocispec_error *err)
{
	struct trail here = { .name = m->name };

	return check_value(v, m, &here, err);
}
