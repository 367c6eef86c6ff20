/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ocispec diff: two documents member by member. Order counts only where it means something: mounts are
 * compared by destination, variables by name, namespaces and limits by type, system calls by name,
 * and lists that are sets as sets.
 */
#include "spec_tool.h"

static char **ignored;

struct diff {
	struct table lines;
	struct json_doc *doc;		/* NULL: lines */
	size_t n;
};

/* Lists of objects whose elements have a name of their own. */
static const struct {
	const char *list, *key;
} keyed[] = {
	{ "mounts", "destination" },	   { "namespaces", "type" },   { "rlimits", "type" },
	{ "linux.devices", "path" },	   { "hugepageLimits", "pageSize" },
};

static const char *const sets[] = {
	".bounding", ".effective", ".permitted", ".inheritable", ".ambient", "maskedPaths", "readonlyPaths",
	".architectures", ".options", ".flags",
};

static bool skip(const char *path)
{
	for (char **p = ignored; p && *p; p++) {
		size_t len = strlen(*p);

		if (strncmp(*p, path, len) == 0 && (!path[len] || path[len] == '.' || path[len] == '['))
			return true;
	}
	return false;
}

static char *text_of(struct json_doc *doc, const struct json *v)
{
	struct str s = STR_INIT;

	if (v)
		json_format(doc, v, JSON_NO_HTML, &s);
	else
		str_append(&s, "-");
	return str_take(&s, NULL);
}

static void differ(struct diff *d, const char *path, struct json_doc *da, const struct json *a, struct json_doc *db,
		   const struct json *b)
{
	_cleanup_free_ char *ta = text_of(da, a), *tb = text_of(db, b);
	struct json *o;

	d->n++;
	if (!d->doc) {
		table_add(&d->lines, path);
		table_add(&d->lines, ta ? ta : "?");
		table_add(&d->lines, tb ? tb : "?");
		return;
	}
	o = json_new_object(d->doc);
	json_set_string(d->doc, o, "path", path);
	json_set(d->doc, o, "a", a ? json_copy(d->doc, a) : json_new_null(d->doc));
	json_set(d->doc, o, "b", b ? json_copy(d->doc, b) : json_new_null(d->doc));
	json_append(d->doc, json_get(json_root(d->doc), "differences"), o);
}

/* ---- lists become objects, so that only objects need comparing ---- */

static void put(struct json_doc *to, struct json *o, const char *key, const struct json *v)
{
	json_set(to, o, key, json_copy(to, v));
}

/* The rules of each call, without the names. */
static void put_calls(struct json_doc *to, struct json *o, const struct json *rules)
{
	json_foreach(rule, rules) {
		struct json *bare = json_copy(to, rule);

		if (bare)
			json_remove(bare, "names");
		json_foreach(name, json_get(rule, "names"))
			if (json_string(name))
				json_append(to, json_child_array(to, o, name->string), json_copy(to, bare));
	}
}

static void put_variables(struct json_doc *to, struct json *o, const struct json *env)
{
	json_foreach(e, env) {
		_cleanup_free_ char *name = json_string(e) ? strndup(e->string, strcspn(e->string, "=")) : NULL;

		if (name)
			json_set_string(to, o, name, e->string[strlen(name)] ? e->string + strlen(name) + 1 : "");
	}
}

static const char *key_of(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(keyed); i++)
		if (str_ends(path, keyed[i].list))
			return keyed[i].key;
	return NULL;
}

static bool is_set(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		if (str_ends(path, sets[i]))
			return true;
	return false;
}

static struct json *as_object(struct json_doc *to, const char *path, const struct json *list)
{
	struct json *o = json_new_object(to);
	const char *key = key_of(path);
	char index[24];
	size_t i = 0;

	if (str_ends(path, "process.env"))
		put_variables(to, o, list);
	else if (str_ends(path, "seccomp.syscalls"))
		put_calls(to, o, list);
	else
		json_foreach(e, list) {
			const char *name = key ? json_get_string(e, key) : is_set(path) ? json_string(e) : NULL;

			snprintf(index, sizeof(index), "%zu", i++);
			put(to, o, name ? name : index, e);
		}
	return o;
}

/* ---- comparing ---- */

static void compare(struct diff *d, const char *path, struct json_doc *da, const struct json *a, struct json_doc *db,
		    const struct json *b);

static void compare_member(struct diff *d, const char *path, bool in_list, const char *key, struct json_doc *da,
			   const struct json *a, struct json_doc *db, const struct json *b)
{
	_cleanup_free_ char *at = in_list ? strf("%s[%s]", path, key) : strf("%s%s%s", path, *path ? "." : "", key);

	if (at)
		compare(d, at, da, a, db, b);
}

static void compare_objects(struct diff *d, const char *path, bool in_list, struct json_doc *da, const struct json *a,
			    struct json_doc *db, const struct json *b)
{
	json_foreach(m, a)
		compare_member(d, path, in_list, m->key, da, m, db, json_get(b, m->key));
	json_foreach(m, b)
		if (!json_get(a, m->key))
			compare_member(d, path, in_list, m->key, da, NULL, db, m);
}

static bool is_empty(const struct json *v)
{
	return !v || v->type == JSON_NULL || ((v->type == JSON_ARRAY || v->type == JSON_OBJECT) && !v->count);
}

static void compare(struct diff *d, const char *path, struct json_doc *da, const struct json *a, struct json_doc *db,
		    const struct json *b)
{
	_cleanup_free_ char *ta = NULL, *tb = NULL;
	enum json_type type = a && !is_empty(a) ? a->type : b ? b->type : JSON_NULL;

	if ((is_empty(a) && is_empty(b)) || skip(path))
		return;
	if (!is_empty(a) && !is_empty(b) && a->type == b->type && type == JSON_OBJECT) {
		compare_objects(d, path, false, da, a, db, b);
		return;
	}
	if (!is_empty(a) && !is_empty(b) && a->type == b->type && type == JSON_ARRAY && !str_ends(path, "]")) {
		compare_objects(d, path, true, da, as_object(da, path, a), db, as_object(db, path, b));
		return;
	}
	ta = text_of(da, a);
	tb = text_of(db, b);
	if (!ta || !tb || !streq(ta, tb))
		differ(d, path, da, a, db, b);
}

static int read_json(const char *path, struct json_doc **ret)
{
	_cleanup_free_ char *text = NULL;
	struct ocispec *s = NULL;
	size_t len;
	int r = document_read(path, -1, &s, NULL);

	if (r)
		return r;
	r = ocispec_format(s, 0, &text, &len) || json_parse(text, len, 0, ret, NULL);
	ocispec_free(s);
	if (r)
		complain("%s: out of memory", path);
	return r ? EXIT_FAILURE : 0;
}

static int run(void *user, int argc, char **argv)
{
	_cleanup_json_ struct json_doc *a = NULL, *b = NULL, *out = NULL;
	const char *header[] = { "MEMBER", argv[0], argv[1] };
	struct diff d = { 0 };
	int r;

	if (read_json(argv[0], &a) || read_json(argv[1], &b))
		return EXIT_USAGE;	/* as diff(1): 1 is for differences */
	if (json_output) {
		out = d.doc = json_doc_new();
		if (!out)
			return EXIT_USAGE;
		json_set_array(out, json_root(out), "differences");
	}
	table_init(&d.lines, 3, header);
	compare(&d, "", a, json_root(a), b, json_root(b));
	if (json_output)
		table_done(&d.lines);
	r = json_output ? json_print(out) : d.n ? table_print(&d.lines, stdout) : (table_done(&d.lines), 0);
	return r ? EXIT_USAGE : d.n ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct opt options[] = {
	{ 'i', "ignore", OPT_LIST, &ignored, "MEMBER", "leave out a member and what is in it (repeatable)" },
	{ 0 },
};

const struct command cmd_diff = {
	.name = "diff",
	.args = "FILE FILE",
	.summary = "compare two documents member by member",
	.details = "The status is 0 when they say the same, 1 when they differ, 2 when one cannot be read.",
	.options = options,
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
