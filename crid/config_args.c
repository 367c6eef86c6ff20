/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment and the command line, by the table of options. The command line is read twice:
 * first for the options that say which files to read, then, after those files, for the others.
 */
#include <ctype.h>
#include "config_table.h"
#include "errors.h"

/* "log_dir" -> "log-dir", or -> "CONTAINER_LOG_DIR" */
static void derive(char *out, size_t size, const char *key, bool env)
{
	size_t n = (size_t)snprintf(out, size, "%s%s", env ? "CONTAINER_" : "", key);
	char *p;

	for (p = out; p < out + n && *p; p++) {
		if (env)
			*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
		else if (*p == '_')
			*p = '-';
	}
}

/* name:path[:root[:type[:...]]], as CRI-O's --runtimes */
static int apply_runtime_text(struct loader *l, const char *text, const char *where,
			      struct cb_error *err)
{
	_cleanup_(handler_freep) struct runtime_handler *h = NULL;
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *field[4] = { NULL };
	size_t i;
	int r;

	if (!copy)
		return err_oom(err);
	for (i = 0; i < ARRAY_SIZE(field) && rest; i++)
		field[i] = strsep(&rest, ":");
	if (!field[1] || !*field[1])
		return err_set(err, E_INVALID, "%s: \"%s\" is not NAME:PATH[:ROOT[:TYPE]]", where,
			       text);
	r = handler_check_name(field[0], where, err);
	if (r)
		return r;
	h = handler_new(field[0], err);
	if (!h)
		return -ENOMEM;
	r = set_string(&h->runtime_path, field[1], where, err);
	if (!r && field[2] && *field[2])
		r = set_string(&h->runtime_root, field[2], where, err);
	if (!r && field[3] && *field[3])
		r = set_string(&h->runtime_type, field[3], where, err);
	if (!r && rest && *rest && rest[strspn(rest, ":")] &&
	    config_warn(l, "%s: \"%s\": \"%s\" is not supported yet by this version, ignored",
			where, text, rest))
		return err_oom(err);
	if (r)
		return r;
	h->origin = strdup(where);
	return h->origin ? handler_put(l->c, h, err) : err_oom(err);
}

static int apply_text(struct loader *l, size_t i, const char *text, bool append, char *where_owned,
		      struct cb_error *err)
{
	_cleanup_free_ char *where = where_owned;
	const struct option *o = &config_options[i];
	_cleanup_strv_ char **items = NULL;
	char **item;
	int r;

	if (!where)
		return err_oom(err);
	if (o->type == OPTION_RUNTIMES) {
		if (strv_split(text, ',', &items))
			return err_oom(err);
		for (item = items, r = 0; item && *item && !r; item++)
			r = apply_runtime_text(l, *item, where, err);
		return r;
	}
	r = option_set_text(o, l->c, text, append, where, err);
	if (!r) {
		free(l->origins[i]);
		l->origins[i] = take(where);
	}
	return r;
}

int config_apply_env(struct loader *l, struct cb_error *err)
{
	char name[100];
	const char *v;
	size_t i;
	int r;

	for (i = 0; i < config_n_options; i++) {
		const struct option *o = &config_options[i];

		v = o->env ? getenv(o->env) : NULL;
		if (!v || l->sources != !!(o->hints & OPTION_SOURCE) ||
		    (o->type == OPTION_INT && !*v))
			continue;
		r = apply_text(l, i, v, false, strf("environment variable %s", o->env), err);
		if (r)
			return r;
	}
	for (i = 0; i < n_missing_options; i++) {
		const struct missing_option *m = &missing_options[i];

		if (!m->table || strchr(m->table, '*'))
			continue;
		derive(name, sizeof(name), m->key, true);
		if (getenv(m->env ? m->env : name) &&
		    config_warn(
			    l,
			    "environment variable %s: not supported yet by this version, ignored",
			    m->env ? m->env : name))
			return err_oom(err);
	}
	return 0;
}

struct flag {
	const char *name; /* in argv, without dashes */
	size_t name_len;
	const char *value; /* NULL: none was given */
	size_t option;	   /* index in config_options, or SIZE_MAX */
	const struct missing_option *missing;
};

static bool named(const struct flag *f, const char *name)
{
	return strlen(name) == f->name_len && !memcmp(name, f->name, f->name_len);
}

static bool find_flag(struct flag *f)
{
	char name[100];
	size_t i;

	for (i = 0; i < config_n_options; i++) {
		const struct option *o = &config_options[i];

		if (named(f, o->flag) ||
		    (o->letter && f->name_len == 1 && f->name[0] == o->letter)) {
			f->option = i;
			return true;
		}
	}
	for (i = 0; i < n_missing_options; i++) {
		const struct missing_option *m = &missing_options[i];

		derive(name, sizeof(name), m->key, false);
		if ((!m->table || !strchr(m->table, '*')) && named(f, m->flag ? m->flag : name)) {
			f->missing = m;
			return true;
		}
	}
	return false;
}

/*
 * Reads the flag at argv[*i] and moves *i behind it and its value. As in Go's flag package one dash
 * is as good as two, and the argument after a flag is its value even when it begins with a dash; a
 * boolean one takes a value only behind "=".
 */
static int next_flag(int argc, char **argv, int *i, struct flag *ret, struct cb_error *err)
{
	const char *arg = argv[*i], *name = arg + (arg[1] == '-' ? 2 : 1),
		   *equals = strchr(name, '=');
	struct flag f = { .name = name, .option = SIZE_MAX };
	bool boolean;

	f.name_len = equals ? (size_t)(equals - name) : strlen(name);
	f.value = equals ? equals + 1 : NULL;
	if (!find_flag(&f))
		return err_set(err, E_INVALID, "unknown flag %s", arg);
	boolean = f.missing ? f.missing->boolean : config_options[f.option].type == OPTION_BOOL;
	(*i)++;
	if (!f.value && !boolean) {
		if (*i >= argc)
			return err_set(err, E_INVALID, "flag %s needs a value", arg);
		f.value = argv[(*i)++];
	}
	*ret = f;
	return 0;
}

static bool is_flag(const char *arg)
{
	return arg[0] == '-' && arg[1] && !streq(arg, "--");
}

static int apply_flag(struct loader *l, const struct flag *f, bool *seen, struct cb_error *err)
{
	const struct option *o;
	int r;

	if (f->missing) {
		if (config_warn(l, "flag --%.*s: not supported yet by this version, ignored",
				(int)f->name_len, f->name))
			return err_oom(err);
		return 0;
	}
	o = &config_options[f->option];
	if (l->sources != !!(o->hints & OPTION_SOURCE))
		return 0;
	r = apply_text(l, f->option, f->value ? f->value : "true", seen[f->option],
		       strf("flag --%s", o->flag), err);
	seen[f->option] = true;
	return r;
}

int config_apply_flags(struct loader *l, struct cb_error *err)
{
	_cleanup_free_ bool *seen = calloc(config_n_options, sizeof(*seen));
	struct flag f;
	int i = 1, r;

	if (!seen)
		return err_oom(err);
	while (i < l->argc && is_flag(l->argv[i])) {
		r = next_flag(l->argc, l->argv, &i, &f, err);
		if (!r)
			r = apply_flag(l, &f, seen, err);
		if (r)
			return r;
	}
	if (i < l->argc && streq(l->argv[i], "--"))
		i++;
	if (i < l->argc)
		return err_set(err, E_INVALID, "unexpected argument \"%s\"", l->argv[i]);
	return 0;
}

int config_find_verb(int argc, char **argv)
{
	struct flag f;
	int i = 1;

	while (i < argc && is_flag(argv[i]))
		if (next_flag(argc, argv, &i, &f, NULL))
			i++; /* reported when it is read; --help and the like have no value */
	return i < argc && !streq(argv[i], "--") ? i : 0;
}
