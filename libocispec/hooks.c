/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI hook files (oci-hooks(5)): a program, the stages it runs in and the containers it is for. Files
 * of one name replace each other, later directories winning; they are injected in the order of their
 * lower-case names.
 *
 * There are two formats. In 1.0.0 all conditions that are there must hold, and a file without any
 * never applies. In 0.1.0 one that holds is enough, annotations name values only, and most members
 * have two spellings. Both agree on commands: when they are given and nothing has decided before,
 * they alone do. A hook for "prestart" goes to createRuntime, as prestart is deprecated.
 */
#include "module.h"

#define HOOKS_MAX 1024
#define HOOK_CONDITIONS_MAX 256

struct annotation_pattern {
	struct regex *key, *value;
};

struct hook {
	char *name;
	struct ocispec *doc;
	const struct json *program;	/* of doc, or of 0.1.0 made there */
	const struct json *stages;
	bool any;			/* one condition is enough */
	int always, bind_mounts;	/* -1: not asked */
	struct annotation_pattern *annotations;
	size_t n_annotations;
	struct regex **commands;
	size_t n_commands;
};

struct ocispec_hooks {
	struct hook **list;		/* sorted */
	size_t n;
	struct module regex;		/* open from the first expression on */
};

static const struct regex_module *regex_of(const struct ocispec_hooks *h)
{
	return h->regex.table;
}

static void hook_free(const struct ocispec_hooks *h, struct hook *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->n_annotations; i++) {
		regex_of(h)->free(k->annotations[i].key);
		regex_of(h)->free(k->annotations[i].value);
	}
	for (size_t i = 0; i < k->n_commands; i++)
		regex_of(h)->free(k->commands[i]);
	free(k->annotations);
	free(k->commands);
	free(k->name);
	ocispec_free(k->doc);
	free(k);
}

/* ---- reading ---- */

static int invalid(struct ocispec_error *err, const char *what)
{
	return err_set(err, OCISPEC_E_INVALID, "%s", what);
}

static int expression(struct ocispec_hooks *h, const char *pattern, struct regex **ret, struct ocispec_error *err)
{
	int r = h->regex.handle ? 0 : module_open("regex", &h->regex, err);

	if (!r)
		r = regex_of(h)->compile(pattern, ret, err);
	return r ? err_ctx(err, r, "\"%s\"", pattern) : 0;
}

static int add_annotation(struct ocispec_hooks *h, struct hook *k, const char *key, const char *value,
			  struct ocispec_error *err)
{
	struct annotation_pattern *a = &k->annotations[k->n_annotations];
	int r = expression(h, key, &a->key, err);

	if (r)
		return r;
	k->n_annotations++;
	return expression(h, value, &a->value, err);
}

static int read_commands(struct ocispec_hooks *h, struct hook *k, const struct json *list, struct ocispec_error *err)
{
	int r;

	if (!list || !list->count)
		return 0;
	if (list->count > HOOK_CONDITIONS_MAX)
		return err_set(err, OCISPEC_E_LIMIT, "more than %d commands", HOOK_CONDITIONS_MAX);
	k->commands = calloc(list->count, sizeof(*k->commands));
	if (!k->commands)
		return err_oom(err);
	json_foreach(c, list) {
		r = expression(h, c->string, &k->commands[k->n_commands], err);
		if (r)
			return err_ctx(err, r, "command");
		k->n_commands++;
	}
	return 0;
}

static int flag(const struct json *o, const char *name)
{
	const struct json *v = json_get(o, name);

	return v && v->type == JSON_BOOL ? v->boolean : -1;
}

static int read_current(struct ocispec_hooks *h, struct hook *k, struct ocispec_error *err)
{
	const struct json *root = json_root(k->doc->doc), *when = json_get(root, "when");
	const struct json *map = json_get(when, "annotations");
	int r;

	k->program = json_get(root, "hook");
	if (k->program && k->program->type != JSON_OBJECT)
		return invalid(err, "hook: expected an object");
	k->stages = json_get(root, "stages");
	k->always = flag(when, "always");
	k->bind_mounts = flag(when, "hasBindMounts");
	if (map && map->count > HOOK_CONDITIONS_MAX)
		return err_set(err, OCISPEC_E_LIMIT, "more than %d annotations", HOOK_CONDITIONS_MAX);
	k->annotations = calloc(map && map->count ? map->count : 1, sizeof(*k->annotations));
	if (!k->annotations)
		return err_oom(err);
	json_foreach(a, map) {
		r = add_annotation(h, k, a->key, json_string(a) ? a->string : "", err);
		if (r)
			return err_ctx(err, r, "annotation");
	}
	return read_commands(h, k, json_get(when, "commands"), err);
}

/* One member under either of its names. */
static int either(const struct json *root, const char *many, const char *one, const struct json **ret,
		  struct ocispec_error *err)
{
	const struct json *a = json_get(root, many), *b = json_get(root, one);

	a = a && a->type == JSON_NULL ? NULL : a;
	b = b && b->type == JSON_NULL ? NULL : b;
	if (a && b)
		return err_set(err, OCISPEC_E_INVALID, "both \"%s\" and \"%s\"", one, many);
	*ret = a ? a : b;
	return 0;
}

/* The values joined to one expression, as "a|b". */
static int read_values(struct ocispec_hooks *h, struct hook *k, const struct json *list, struct ocispec_error *err)
{
	_cleanup_str_ struct str joined = STR_INIT;

	if (!list)
		return 0;
	k->annotations = calloc(1, sizeof(*k->annotations));
	str_append(&joined, "");
	json_foreach(v, list)
		str_appendf(&joined, "%s%s", v == list->first ? "" : "|", v->string);
	if (!k->annotations || str_failed(&joined))
		return err_oom(err);
	return add_annotation(h, k, ".*", joined.data ? joined.data : "", err);
}

static int read_old(struct ocispec_hooks *h, struct hook *k, struct ocispec_error *err)
{
	struct json_doc *doc = k->doc->doc;
	const struct json *root = json_root(doc), *path = json_get(root, "hook"), *arguments, *cmds, *values;
	struct json *program, *args;
	int r;

	if (!json_string(path))
		return invalid(err, "missing required property: hook");
	r = either(root, "stages", "stage", &k->stages, err);
	if (!r)
		r = either(root, "cmds", "cmd", &cmds, err);
	if (!r)
		r = either(root, "annotations", "annotation", &values, err);
	if (r)
		return r;
	program = json_new_object(doc);
	json_set_string(doc, program, "path", path->string);
	arguments = json_get(root, "arguments");
	if (arguments && arguments->type == JSON_ARRAY) {
		args = json_set_array(doc, program, "args");
		json_append_string(doc, args, path->string);
		json_foreach(a, arguments)
			json_append_string(doc, args, a->string);
	}
	if (json_failed(doc))
		return err_oom(err);
	k->program = program;
	k->any = true;
	k->always = -1;
	k->bind_mounts = flag(root, "hasbindmounts");
	r = read_values(h, k, values, err);
	return r ? r : read_commands(h, k, cmds, err);
}

/* Where a stage's hooks go in the document; NULL: no such stage. */
static const char *stage_member(const char *stage)
{
	static const char *const stages[] = {
		"createRuntime", "createContainer", "startContainer", "poststart", "poststop",
	};

	if (streq(stage, "prestart"))
		return "createRuntime";
	for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
		if (streq(stages[i], stage))
			return stages[i];
	return NULL;
}

static int check_hook(const struct hook *k, struct ocispec_error *err)
{
	const char *path = json_get_string(k->program, "path");

	if (!path || !*path)
		return invalid(err, "missing required property: hook.path");
	if (!k->stages || k->stages->type != JSON_ARRAY)
		return invalid(err, "missing required property: stages");
	json_foreach(s, k->stages)
		if (!stage_member(s->string))
			return err_set(err, OCISPEC_E_INVALID, "unknown stage \"%s\"", s->string);
	return 0;
}

static int read_hook(struct ocispec_hooks *h, struct hook *k, const char *bytes, size_t len,
		     struct ocispec_error *err)
{
	const char *version;
	int r = ocispec_parse_as(OCISPEC_HOOK, bytes, len, &k->doc, err);

	if (r)
		return r;
	version = ocispec_get_text(k->doc, "version");
	if (version && streq(version, "1.0.0"))
		r = read_current(h, k, err);
	else if (!version || !*version || streq(version, "0.1.0"))
		r = read_old(h, k, err);
	else
		r = err_set(err, OCISPEC_E_INVALID, "unrecognized hook version: \"%s\"", version);
	return r ? r : check_hook(k, err);
}

/* ---- the set ---- */

PUBLIC int ocispec_hooks_new(struct ocispec_hooks **ret)
{
	if (!ret)
		return -EINVAL;
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

PUBLIC struct ocispec_hooks *ocispec_hooks_free(struct ocispec_hooks *h)
{
	if (!h)
		return NULL;
	for (size_t i = 0; i < h->n; i++)
		hook_free(h, h->list[i]);
	module_close(&h->regex);
	free(h->list);
	free(h);
	return NULL;
}

/* By lower-case name; what differs only in case keeps a fixed order, too. */
static int hook_compare(const void *a, const void *b)
{
	const struct hook *x = *(const struct hook *const *)a, *y = *(const struct hook *const *)b;
	int c = strcasecmp(x->name, y->name);

	return c ? c : strcmp(x->name, y->name);
}

static int put_hook(struct ocispec_hooks *h, struct hook *k, struct ocispec_error *err)
{
	struct hook **list;

	for (size_t i = 0; i < h->n; i++) {
		if (!streq(h->list[i]->name, k->name))
			continue;
		hook_free(h, h->list[i]);
		h->list[i] = k;
		return 0;
	}
	if (h->n == HOOKS_MAX)
		return err_set(err, OCISPEC_E_LIMIT, "more than %d hooks", HOOKS_MAX);
	list = realloc(h->list, (h->n + 1) * sizeof(*list));
	if (!list)
		return err_oom(err);
	h->list = list;
	h->list[h->n++] = k;
	qsort(h->list, h->n, sizeof(*list), hook_compare);
	return 0;
}

PUBLIC int ocispec_hooks_add(struct ocispec_hooks *h, const char *name, const char *bytes, size_t len,
			     struct ocispec_error *err)
{
	struct hook *k;
	int r;

	if (!h || !name || !bytes)
		return err_sysr(err, -EINVAL, "add hook");
	k = calloc(1, sizeof(*k));
	if (!k)
		return err_oom(err);
	k->name = strdup(name);
	r = k->name ? read_hook(h, k, bytes, len, err) : err_oom(err);
	if (!r)
		r = put_hook(h, k, err);
	if (r)
		hook_free(h, k);
	return r ? err_ctx(err, r, "hook %s", name) : 0;
}

static int add_file(void *user, const char *path, const char *name, const char *bytes, size_t len,
		    struct ocispec_error *err)
{
	struct ocispec_hooks *h = user, *one = NULL;
	const char *program;
	int r;

	/* by itself first: one that is refused must not take the place of an earlier one */
	r = ocispec_hooks_new(&one) ? err_oom(err) : ocispec_hooks_add(one, name, bytes, len, err);
	if (!r) {
		program = json_get_string(one->list[0]->program, "path");
		if (access(program, F_OK))
			r = err_set(err, OCISPEC_E_INVALID, "hook %s: %s: %s", name, program, strerror(errno));
	}
	ocispec_hooks_free(one);
	return r ? r : ocispec_hooks_add(h, name, bytes, len, err);
}

PUBLIC int ocispec_hooks_load(struct ocispec_hooks *h, const char *dir, ocispec_finding_fn report, void *user,
			      struct ocispec_error *err)
{
	static const char *const endings[] = { ".json", NULL };

	if (!h || !dir)
		return err_sysr(err, -EINVAL, "load hooks");
	return directory_load(dir, endings, add_file, h, report, user, err);
}

PUBLIC size_t ocispec_hooks_count(const struct ocispec_hooks *h)
{
	return h ? h->n : 0;
}

/* ---- matching ---- */

static int match(const struct ocispec_hooks *h, const struct regex *re, const char *text, bool *ret,
		 struct ocispec_error *err)
{
	int r = regex_of(h)->match(re, text);

	if (r < 0)
		return err_set(err, OCISPEC_E_LIMIT, "an expression takes too long to match");
	*ret = r > 0;
	return 0;
}

static int match_annotation(const struct ocispec_hooks *h, const struct annotation_pattern *p,
			    const char *const *pairs, bool *ret, struct ocispec_error *err)
{
	int r = 0;

	*ret = false;
	for (; !r && !*ret && pairs && pairs[0]; pairs += 2) {
		r = match(h, p->key, pairs[0], ret, err);
		if (!r && *ret)
			r = match(h, p->value, pairs[1], ret, err);
	}
	return r;
}

static int match_commands(const struct ocispec_hooks *h, const struct hook *k, const struct ocispec *s, bool *ret,
			  struct ocispec_error *err)
{
	const char *command = ocispec_get_item(s, "process.args", 0);
	int r = 0;

	if (!command)
		return err_set(err, OCISPEC_E_INVALID, "process.args must have at least one entry");
	*ret = false;
	for (size_t i = 0; i < k->n_commands && !r && !*ret; i++)
		r = match(h, k->commands[i], command, ret, err);
	return r;
}

static int applies(const struct ocispec_hooks *h, const struct hook *k, const struct ocispec *s,
		   const char *const *pairs, bool bind_mounts, bool *ret, struct ocispec_error *err)
{
	size_t asked = (k->always >= 0) + (k->bind_mounts >= 0);
	bool held[2] = { k->always > 0, k->bind_mounts > 0 && bind_mounts }, one;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < 2; i++)
		n += held[i];
	for (size_t i = 0; i < k->n_annotations; i++) {
		r = match_annotation(h, &k->annotations[i], pairs, &one, err);
		if (r)
			return r;
		asked++;
		n += one;
	}
	*ret = k->any ? n > 0 : n == asked && asked > 0;
	if (k->n_commands == 0 || (k->any && *ret) || (!k->any && n < asked) || !path_get(s, "process"))
		return 0;
	return match_commands(h, k, s, ret, err);
}

static int inject(struct ocispec *s, const struct hook *k)
{
	struct place hooks = place_child(place_root(s), "hooks");

	json_foreach(stage, k->stages)
		json_append(s->doc, place_array(hooks, stage_member(stage->string)), json_copy(s->doc, k->program));
	return place_result(s);
}

PUBLIC int ocispec_hooks_apply(const struct ocispec_hooks *h, struct ocispec *s, const char *const *annotations,
			       int has_bind_mounts, struct ocispec_error *err)
{
	bool yes;
	int r;

	if (!h || !s)
		return err_sysr(err, -EINVAL, "apply hooks");
	for (size_t i = 0; i < h->n; i++) {
		r = applies(h, h->list[i], s, annotations, has_bind_mounts, &yes, err);
		if (!r && yes)
			r = inject(s, h->list[i]) ? err_oom(err) : 0;
		if (r)
			return err_ctx(err, r, "hook %s", h->list[i]->name);
	}
	return 0;
}
