/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the configuration. Every source is applied over the one before, by the table: defaults,
 * the file, the drop-ins, the environment, the flags. A value of the wrong type is an error at
 * once; whether a value makes sense is only asked of the final one (config_check.c), because a flag
 * may well replace a value of the file that this daemon cannot use. Therefore every option
 * remembers where it came from.
 *
 * In a list the later source replaces the earlier, but a flag that is repeated adds to itself.
 * Handlers (crio.runtime.runtimes.NAME) are replaced one by one, each as a whole.
 */
#include <ctype.h>
#include <fcntl.h>
#include "config_table.h"
#include "errors.h"

#define HANDLERS_MAX 100u

int config_warn(struct loader *l, const char *fmt, ...)
{
	_cleanup_str_ struct str s = STR_INIT;
	va_list ap;

	if (l->quiet)
		return 0;
	va_start(ap, fmt);
	str_vappendf(&s, fmt, ap);
	va_end(ap);
	return strv_take(&l->warnings, str_take(&s, NULL));
}

void handler_done(struct runtime_handler *h)
{
	options_done(handler_options, handler_n_options, h);
	free(h->name);
	free(h->origin);
	free(h->oci_version);
}

struct runtime_handler *handler_free(struct runtime_handler *h)
{
	if (h)
		handler_done(h);
	free(h);
	return NULL;
}

struct runtime_handler *handler_new(const char *name, struct cb_error *err)
{
	_cleanup_(handler_freep) struct runtime_handler *h = calloc(1, sizeof(*h));

	if (!h || options_default(handler_options, handler_n_options, h, err)) {
		err_oom(err);
		return NULL;
	}
	h->name = strdup(name);
	free(h->runtime_root);
	h->runtime_root = strf("/run/%s", name);
	if (!h->name || !h->runtime_root) {
		err_oom(err);
		return NULL;
	}
	return take(h);
}

/* It becomes part of paths, of log lines and of what CRI shows. */
int handler_check_name(const char *name, const char *where, struct cb_error *err)
{
	size_t n = strlen(name);
	const char *p;

	for (p = name; *p && (isalnum((unsigned char)*p) || strchr("-_.", *p)); p++)
		;
	if (*p || !n || n > 63 || name[0] == '.')
		return err_set(err, E_INVALID,
			       "%s: \"%s\" is no name for a runtime handler: 1 to 63 of A-Z a-z "
			       "0-9 - _ . are",
			       where, name);
	return 0;
}

/* Moves h into the table, in place of one of the same name. */
int handler_put(struct config *c, struct runtime_handler *h, struct cb_error *err)
{
	struct runtime_handler *all;
	size_t i;

	for (i = 0; i < c->n_runtimes && !streq(c->runtimes[i].name, h->name); i++)
		;
	if (i < c->n_runtimes) {
		handler_done(&c->runtimes[i]);
	} else {
		if (c->n_runtimes == HANDLERS_MAX)
			return err_set(err, E_INVALID, "more than %u runtime handlers",
				       HANDLERS_MAX);
		all = reallocarray(c->runtimes, i + 1, sizeof(*all));
		if (!all)
			return err_oom(err);
		c->runtimes = all;
		c->n_runtimes++;
	}
	c->runtimes[i] = *h;
	memset(h, 0, sizeof(*h));
	return 0;
}

const struct runtime_handler *config_runtime(const struct config *c, const char *name)
{
	size_t i;

	if (!*name)
		name = c->default_runtime;
	for (i = 0; i < c->n_runtimes; i++)
		if (streq(c->runtimes[i].name, name))
			return &c->runtimes[i];
	return NULL;
}

static int make_absolute(char **path, struct cb_error *err)
{
	_cleanup_free_ char *cwd = NULL;
	char *whole;

	if (!**path || **path == '/')
		return 0;
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return err_sys(err, "find %s: current directory", *path);
	whole = strf("%s/%s", cwd, *path);
	if (!whole)
		return err_oom(err);
	free(*path);
	*path = whole;
	return 0;
}

/* Which file and directory: they must be known before anything else is read. */
static int read_sources(struct loader *l, struct cb_error *err)
{
	int r;

	l->sources = l->quiet = true;
	r = config_apply_env(l, err);
	if (!r)
		r = config_apply_flags(l, err);
	l->sources = l->quiet = false;
	if (!r)
		r = make_absolute(&l->c->config_file, err);
	if (!r)
		r = make_absolute(&l->c->config_dir, err);
	return r;
}

/* Did anybody say which file, or is it the default one? */
static bool file_was_named(const struct loader *l)
{
	size_t i;

	for (i = 0; config_options[i].offset != offsetof(struct config, config_file); i++)
		;
	return l->origins[i];
}

static int read_files(struct loader *l, struct cb_error *err)
{
	struct config *c = l->c;
	_cleanup_close_ int dir = -1;
	int r;

	if (*c->config_file) {
		r = config_apply_file(l, AT_FDCWD, c->config_file, c->config_file, err);
		if (r && (r != -ENOENT || file_was_named(l)))
			return r;
	}
	if (!*c->config_dir)
		return 0;
	dir = open(c->config_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 && errno == ENOENT)
		return 0;
	if (dir < 0)
		return err_sys(err, "open directory %s", c->config_dir);
	return config_apply_dir(l, dir, c->config_dir, 0, err);
}

static int new_with_defaults(struct config **ret, struct cb_error *err)
{
	_cleanup_(config_freep) struct config *c = calloc(1, sizeof(*c));
	_cleanup_(handler_freep) struct runtime_handler *h = NULL;
	int r;

	if (!c)
		return err_oom(err);
	r = options_default(config_options, config_n_options, c, err);
	if (r)
		return r;
	h = handler_new("crun", err);
	if (!h)
		return -ENOMEM;
	h->container_min_memory = 500 << 10;
	r = handler_put(c, h, err);
	if (!r)
		*ret = take(c);
	return r;
}

int config_defaults(struct config **ret, struct cb_error *err)
{
	return new_with_defaults(ret, err);
}

int config_read(int argc, char **argv, struct config **ret, char ***ret_warnings,
		struct cb_error *err)
{
	_cleanup_(config_freep) struct config *c = NULL;
	struct loader l = { .argc = argc, .argv = argv };
	size_t i;
	int r;

	r = new_with_defaults(&c, err);
	l.c = c;
	l.origins = calloc(config_n_options, sizeof(*l.origins));
	if (!r && !l.origins)
		r = err_oom(err);
	if (!r)
		r = read_sources(&l, err);
	if (!r)
		r = read_files(&l, err);
	if (!r)
		r = config_apply_env(&l, err);
	if (!r)
		r = config_apply_flags(&l, err);
	if (!r)
		r = config_check(c, l.origins, &l.warnings, err);
	for (i = 0; l.origins && i < config_n_options; i++)
		free(l.origins[i]);
	free(l.origins);
	*ret_warnings = l.warnings;
	if (!r)
		*ret = take(c);
	return r;
}

int config_load(int argc, char **argv, struct config **ret, char ***ret_warnings,
		struct cb_error *err)
{
	_cleanup_(config_freep) struct config *c = NULL;
	int r;

	r = config_read(argc, argv, &c, ret_warnings, err);
	if (!r)
		r = config_resolve(c, ret_warnings, err);
	if (!r)
		*ret = take(c);
	return r;
}

struct config *config_free(struct config *c)
{
	size_t i;

	if (!c)
		return NULL;
	for (i = 0; i < c->n_runtimes; i++)
		handler_done(&c->runtimes[i]);
	free(c->runtimes);
	options_done(config_options, config_n_options, c);
	free(c);
	return NULL;
}
