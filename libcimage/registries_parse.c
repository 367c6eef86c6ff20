/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registries.conf and its drop-ins from text, see containers-registries.conf(5).
 *
 * Every file is validated alone, then laid over the files before it. Keys nobody knows are left
 * alone (newer versions of the format add some); known keys of a wrong type refuse the file.
 */
#include <dirent.h>
#include <cbase/io.h>
#include <cbase/toml.h>
#include "ref.h"
#include "registries.h"

struct reader {
	const char *file;
	bool old_form; /* version 1 is fine here */
	struct cimage_error *err;
};

#define REFUSE(rd, ...)                                                                            \
	err_ctx((rd)->err, err_set((rd)->err, CIMAGE_E_INVALID, __VA_ARGS__), "%s", (rd)->file)

static int read_bool(struct reader *rd, const struct json *obj, const char *key, bool *ret)
{
	const struct json *v = json_get(obj, key);

	if (v && v->type != JSON_BOOL)
		return REFUSE(rd, "\"%s\" is not true or false", key);
	*ret = v && v->boolean;
	return 0;
}

/* [owned]; "" when missing. */
static int read_string(struct reader *rd, const struct json *obj, const char *key, char **ret)
{
	const struct json *v = json_get(obj, key);

	if (v && !json_string(v))
		return REFUSE(rd, "\"%s\" is not a string", key);
	*ret = strdup(v ? json_string(v) : "");
	return *ret ? 0 : err_oom(rd->err);
}

static int read_strings(struct reader *rd, const struct json *obj, const char *key, char ***ret,
			bool *ret_has)
{
	const struct json *v = json_get(obj, key);
	int r;

	if (!v)
		return 0;
	if (v->type != JSON_ARRAY)
		return REFUSE(rd, "\"%s\" is not a list of strings", key);
	json_foreach(item, v)
		if (!json_string(item))
			return REFUSE(rd, "\"%s\" is not a list of strings", key);
	r = json_strv(v, ret);
	if (r)
		return err_oom(rd->err);
	*ret_has = true;
	return 0;
}

/* Trims '/' from the end; a URL is a common mistake with a puzzling outcome. */
static int check_location(struct reader *rd, const char *key, char *s)
{
	size_t n = strlen(s);

	while (n && s[n - 1] == '/')
		s[--n] = '\0';
	if (str_starts(s, "http://") || str_starts(s, "https://"))
		return REFUSE(rd, "\"%s\" = \"%s\": must be a host name with a path, not a URL",
			      key, SHOW(s));
	return 0;
}

static int read_location(struct reader *rd, const struct json *obj, const char *key, char **ret)
{
	int r = read_string(rd, obj, key, ret);

	return r ? r : check_location(rd, key, *ret);
}

static int read_use(struct reader *rd, const struct json *obj, bool allowed, enum mirror_use *ret)
{
	static const char *const names[] = { "all", "digest-only", "tag-only" };
	const struct json *v = json_get(obj, "pull-from-mirror");
	const char *s = json_string(v);
	size_t i;

	if (!v || (s && !*s))
		return 0;
	if (!allowed)
		return REFUSE(rd, "\"pull-from-mirror\" belongs to a mirror, and not together with "
				  "\"mirror-by-digest-only\"");
	for (i = 0; s && i < ARRAY_SIZE(names); i++) {
		if (!streq(s, names[i]))
			continue;
		*ret = (enum mirror_use)i;
		return 0;
	}
	return REFUSE(rd, "\"pull-from-mirror\" is none of all, digest-only, tag-only");
}

static int read_mirrors(struct reader *rd, const struct json *obj, struct registry *reg)
{
	const struct json *v = json_get(obj, "mirror");
	int r;

	if (!v)
		return 0;
	if (v->type != JSON_ARRAY)
		return REFUSE(rd, "\"mirror\" is not an array of tables");
	reg->mirrors = calloc(v->count + 1, sizeof(*reg->mirrors));
	if (!reg->mirrors)
		return err_oom(rd->err);
	json_foreach(item, v) {
		struct registry_mirror *m = &reg->mirrors[reg->mirror_count++];

		if (item->type != JSON_OBJECT)
			return REFUSE(rd, "\"mirror\" is not an array of tables");
		if ((r = read_location(rd, item, "location", &m->location)) ||
		    (r = read_bool(rd, item, "insecure", &m->insecure)) ||
		    (r = read_use(rd, item, !reg->mirror_by_digest_only, &m->use)))
			return r;
		if (!*m->location)
			return REFUSE(rd, "a mirror of %s has no location", SHOW(reg->prefix));
	}
	return 0;
}

static int check_prefix(struct reader *rd, struct registry *reg)
{
	if (!*reg->prefix && !*reg->location)
		return REFUSE(rd, "a [[registry]] has neither prefix nor location");
	if (!*reg->prefix) {
		free(reg->prefix);
		reg->prefix = strdup(reg->location);
		if (!reg->prefix)
			return err_oom(rd->err);
	}
	if (str_starts(reg->prefix, "*.")) {
		if (strpbrk(reg->prefix, "/@:") || !reg->prefix[2])
			return REFUSE(rd, "prefix \"%s\": a wildcard stands for subdomains only",
				      SHOW(reg->prefix));
	} else if (!*reg->location) {
		return REFUSE(rd, "prefix \"%s\" has no location", SHOW(reg->prefix));
	}
	return 0;
}

static int read_registry(struct reader *rd, const struct json *obj, struct registry *reg)
{
	enum mirror_use unused;
	int r;

	if (obj->type != JSON_OBJECT)
		return REFUSE(rd, "\"registry\" is not an array of tables");
	reg->file = strdup(rd->file);
	if (!reg->file)
		return err_oom(rd->err);
	if ((r = read_location(rd, obj, "prefix", &reg->prefix)) ||
	    (r = read_location(rd, obj, "location", &reg->location)) ||
	    (r = check_prefix(rd, reg)) || (r = read_bool(rd, obj, "insecure", &reg->insecure)) ||
	    (r = read_bool(rd, obj, "blocked", &reg->blocked)) ||
	    (r = read_bool(rd, obj, "mirror-by-digest-only", &reg->mirror_by_digest_only)) ||
	    (r = read_use(rd, obj, false, &unused)))
		return r;
	return read_mirrors(rd, obj, reg);
}

/* Two tables may share a location (several prefixes), but not disagree about what it is. */
static int check_conflicts(struct reader *rd, const struct registries *out)
{
	size_t i, k;

	for (i = 0; i < out->count; i++) {
		for (k = 0; k < i; k++) {
			const struct registry *a = &out->items[i], *b = &out->items[k];

			if (!*a->location || !streq(a->location, b->location))
				continue;
			if (a->insecure != b->insecure || a->blocked != b->blocked)
				return REFUSE(
					rd,
					"registry \"%s\" is defined twice with differing settings",
					SHOW(a->location));
		}
	}
	return 0;
}

/* Of equal prefixes the first counts. */
static void drop_repeated(struct registries *out)
{
	size_t i, k, n = 0;

	for (i = 0; i < out->count; i++) {
		for (k = 0; k < n; k++)
			if (streq(out->items[k].prefix, out->items[i].prefix))
				break;
		if (k < n)
			registry_done(&out->items[i]);
		else
			out->items[n++] = out->items[i];
	}
	out->count = n;
}

static int read_registries(struct reader *rd, const struct json *root, struct registries *out)
{
	const struct json *v = json_get(root, "registry");
	int r;

	if (!v)
		return 0;
	if (v->type != JSON_ARRAY)
		return REFUSE(rd, "\"registry\" is not an array of tables");
	out->items = calloc(v->count + 1, sizeof(*out->items));
	if (!out->items)
		return err_oom(rd->err);
	json_foreach(item, v) {
		r = read_registry(rd, item, &out->items[out->count++]);
		if (r)
			return r;
	}
	r = check_conflicts(rd, out);
	if (!r)
		drop_repeated(out);
	return r;
}

/* "name" = "registry/path": neither side has a tag or digest; "" takes an alias away. */
static int check_alias(struct reader *rd, const char *name, const char *value)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *ref = NULL;
	int r;

	r = cimage_ref_parse(name, 0, &ref, rd->err);
	if (r)
		return err_ctx(rd->err, r, "%s: alias", rd->file);
	if (!cimage_ref_is_short(name) || cimage_ref_tag(ref) || cimage_ref_digest(ref))
		return REFUSE(rd, "alias \"%s\": must be a name without registry, tag and digest",
			      SHOW(name));
	if (!*value)
		return 0;
	ref = cimage_ref_free(ref);
	r = cimage_ref_parse(value, 0, &ref, rd->err);
	if (r)
		return err_ctx(rd->err, r, "%s: alias %s", rd->file, name);
	if (cimage_ref_is_short(value) || cimage_ref_tag(ref) || cimage_ref_digest(ref))
		return REFUSE(
			rd,
			"alias %s = \"%s\": must be a name with registry, without tag and digest",
			name, SHOW(value));
	return 0;
}

static int read_aliases(struct reader *rd, const struct json *root, struct registries *out)
{
	const struct json *v = json_get(root, "aliases");
	int r;

	if (!v)
		return 0;
	if (v->type != JSON_OBJECT)
		return REFUSE(rd, "\"aliases\" is not a table");
	json_foreach(item, v) {
		const char *value = json_string(item);

		if (!value)
			return REFUSE(rd, "alias \"%s\" is not a string", SHOW(item->key));
		r = check_alias(rd, item->key, value);
		if (r)
			return r;
		if (strv_push(&out->aliases, item->key) || strv_push(&out->aliases, value))
			return err_oom(rd->err);
	}
	return 0;
}

static int read_mode(struct reader *rd, const struct json *root, char **ret)
{
	int r = read_string(rd, root, "short-name-mode", ret);

	if (r)
		return r;
	if (**ret && !streq(*ret, "enforcing") && !streq(*ret, "permissive") &&
	    !streq(*ret, "disabled"))
		return REFUSE(rd,
			      "short-name-mode \"%s\" is none of enforcing, permissive, disabled",
			      SHOW(*ret));
	return 0;
}

/* ---- version 1: [registries.search], [registries.insecure], [registries.block] ---- */

static int get_old_list(struct reader *rd, const struct json *v1, const char *name, char ***ret)
{
	const struct json *table = json_get(v1, name);
	bool has = false;

	if (table && table->type != JSON_OBJECT)
		return REFUSE(rd, "[registries.%s] is not a table", name);
	return read_strings(rd, table, "registries", ret, &has);
}

/* Each named registry becomes one table that is its own prefix. */
static int mark_old(struct reader *rd, struct registries *out, char *const *names, bool block)
{
	size_t i, k;
	int r;

	for (i = 0; names && names[i]; i++) {
		r = check_location(rd, "registries", names[i]);
		if (!r && !*names[i])
			r = REFUSE(rd, "an empty name of a registry");
		if (r)
			return r;
		for (k = 0; k < out->count && !streq(out->items[k].prefix, names[i]); k++)
			;
		if (k == out->count) {
			struct registry *items = realloc(out->items, (k + 1) * sizeof(*items));

			if (!items)
				return err_oom(rd->err);
			out->items = items;
			items[k] = (struct registry){ .prefix = strdup(names[i]),
						      .location = strdup(names[i]),
						      .file = strdup(rd->file) };
			out->count++;
			if (!items[k].prefix || !items[k].location || !items[k].file)
				return err_oom(rd->err);
		}
		if (block)
			out->items[k].blocked = true;
		else
			out->items[k].insecure = true;
	}
	return 0;
}

static int read_old(struct reader *rd, const struct json *v1, struct registries *out)
{
	_cleanup_strv_ char **search = NULL, **insecure = NULL, **blocked = NULL;
	int r;

	if (v1->type != JSON_OBJECT)
		return REFUSE(rd, "\"registries\" is not a table");
	if ((r = get_old_list(rd, v1, "search", &search)) ||
	    (r = get_old_list(rd, v1, "insecure", &insecure)) ||
	    (r = get_old_list(rd, v1, "block", &blocked)))
		return r;
	/* empty lists say nothing: distributions shipped such files */
	if (!strv_len(search) && !strv_len(insecure) && !strv_len(blocked))
		return 0;
	if (!rd->old_form)
		return REFUSE(rd, "[registries.*] is version 1 of the format, and drop-in files "
				  "have version 2");
	if (out->count || out->has_search || out->has_helpers || (out->mode && *out->mode) ||
	    out->aliases)
		return REFUSE(rd, "mixing [registries.*], version 1 of the format, with version 2 "
				  "is not possible");
	out->has_search = search != NULL;
	out->search = take(search);
	r = mark_old(rd, out, blocked, true);
	return r ? r : mark_old(rd, out, insecure, false);
}

static int check_search(struct reader *rd, const struct registries *out)
{
	size_t i;
	int r;

	for (i = 0; out->search && out->search[i]; i++) {
		r = check_location(rd, "unqualified-search-registries", out->search[i]);
		if (r)
			return r;
		if (!ref_domain_valid(out->search[i], strlen(out->search[i])))
			return REFUSE(rd,
				      "unqualified-search-registries: \"%s\" is not host[:port]",
				      SHOW(out->search[i]));
	}
	return 0;
}

static int read_root(struct reader *rd, const struct json *root, struct registries *out)
{
	const struct json *v1 = json_get(root, "registries");
	int r;

	if ((r = read_strings(rd, root, "unqualified-search-registries", &out->search,
			      &out->has_search)) ||
	    (r = read_strings(rd, root, "credential-helpers", &out->helpers, &out->has_helpers)) ||
	    (r = read_mode(rd, root, &out->mode)) || (r = read_registries(rd, root, out)))
		return r;
	r = read_aliases(rd, root, out);
	/* "registries" as anything but a table is of neither version */
	if (!r && v1)
		r = read_old(rd, v1, out);
	return r ? r : check_search(rd, out);
}

int registries_parse(const char *text, size_t n, const char *name, bool old_form,
		     struct registries **ret, struct cimage_error *err)
{
	_cleanup_(registries_freep) struct registries *out = calloc(1, sizeof(*out));
	_cleanup_json_ struct json_doc *doc = NULL;
	struct reader rd = { name, old_form, err };
	struct cb_error why = { 0 };
	int r;

	if (!out)
		return err_oom(err);
	r = toml_parse(text, n, &doc, &why);
	if (r == -EINVAL)
		return REFUSE(&rd, "%s", SHOW(why.message));
	if (r)
		return err_oom(err);
	r = read_root(&rd, json_root(doc), out);
	if (r)
		return r;
	*ret = take(out);
	return 0;
}

static int load(const char *path, bool missing_is_fine, bool old_form, struct registries **ret,
		struct cimage_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r;

	r = read_file(path, CONFIG_FILE_MAX, &text, &n);
	if (r == -ENOENT && missing_is_fine)
		return 0;
	if (r)
		return err_sysr(err, r, "read %s", path);
	return registries_parse(text, n, path, old_form, ret, err);
}

static int load_into(struct registries *into, const char *path, bool missing_is_fine,
		     bool old_form, struct cimage_error *err)
{
	_cleanup_(registries_freep) struct registries *one = NULL;
	int r = load(path, missing_is_fine, old_form, &one, err);

	if (r || !one)
		return r;
	return registries_merge(into, one) ? err_oom(err) : 0;
}

int registries_load(struct registries *into, const char *path, bool missing_is_fine,
		    struct cimage_error *err)
{
	return load_into(into, path, missing_is_fine, true, err);
}

int registries_load_aliases(struct registries *into, const char *path, struct cimage_error *err)
{
	_cleanup_(registries_freep) struct registries *one = NULL, *only = calloc(1, sizeof(*only));
	int r;

	if (!only)
		return err_oom(err);
	r = load(path, true, false, &one, err);
	if (r || !one)
		return r;
	only->aliases = take(one->aliases);
	return registries_merge(into, only) ? err_oom(err) : 0;
}

static int is_conf(const struct dirent *d)
{
	return str_ends(d->d_name, ".conf");
}

static int bytewise(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int registries_load_dir(struct registries *into, const char *path, struct cimage_error *err)
{
	struct dirent **names = NULL;
	int i, n, r = 0;

	n = scandir(path, &names, is_conf, bytewise);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return err_sys(err, "read directory %s", path);
	for (i = 0; i < n; i++) {
		_cleanup_free_ char *file = strf("%s/%s", path, names[i]->d_name);

		if (!r)
			r = file ? load_into(into, file, false, false, err) : err_oom(err);
		free(names[i]);
	}
	free(names);
	return r;
}
