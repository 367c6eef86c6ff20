/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crio.conf and its drop-ins. Tables and keys that the table of options does not have are warned
 * about, by the name of the file, and passed over; a value of the wrong type is an error.
 */
#include <fcntl.h>
#include <cbase/io.h>
#include <cbase/toml.h>
#include "config_table.h"
#include "errors.h"

#define CONFIG_FILE_MAX (1u << 20) /* bytes */
#define CONFIG_FILES_MAX 1000u	   /* drop-ins */
#define CONFIG_DIR_DEPTH_MAX 8	   /* directories below config_dir */

static const struct missing_option *find_missing(const char *table, const char *key)
{
	size_t i;

	for (i = 0; i < n_missing_options; i++)
		if (missing_options[i].table && streq(missing_options[i].table, table) &&
		    (!key || streq(missing_options[i].key, key)))
			return &missing_options[i];
	return NULL;
}

static int warn_key(struct loader *l, const char *file, const char *table, const char *key,
		    bool missing)
{
	return config_warn(l, "%s: %s%s%s: %s, ignored", file, table, *table ? "." : "", key,
			   missing ? "not supported yet by this version" : "unknown option");
}

static int apply_handler(struct loader *l, const char *file, const struct json *v,
			 struct cb_error *err)
{
	_cleanup_free_ char *origin = strf("%s: crio.runtime.runtimes.%s", file, v->key);
	_cleanup_(handler_freep) struct runtime_handler *h = NULL;
	size_t i;
	int r;

	if (!origin)
		return err_oom(err);
	r = handler_check_name(v->key, origin, err);
	if (r)
		return r;
	if (v->type != JSON_OBJECT)
		return wrong_type(origin, "a table", v, err);
	h = handler_new(v->key, err);
	if (!h)
		return -ENOMEM;
	json_foreach(item, v) {
		_cleanup_free_ char *where = strf("%s.%s", origin, item->key);

		for (i = 0; i < handler_n_options && !streq(handler_options[i].key, item->key); i++)
			;
		if (!where)
			return err_oom(err);
		if (i < handler_n_options)
			r = option_set_json(&handler_options[i], h, item, where, err);
		else
			r = config_warn(l, "%s: %s, ignored", where,
					find_missing("crio.runtime.runtimes.*", item->key)
						? "not supported yet by this version"
						: "unknown option");
		if (r)
			return r;
	}
	h->origin = take(origin);
	return handler_put(l->c, h, err);
}

static int apply_runtimes(struct loader *l, const char *file, const struct json *v,
			  struct cb_error *err)
{
	int r = 0;

	if (v->type != JSON_OBJECT) {
		_cleanup_free_ char *where = strf("%s: crio.runtime.runtimes", file);

		return where ? wrong_type(where, "a table of tables", v, err) : err_oom(err);
	}
	json_foreach(item, v) {
		r = apply_handler(l, file, item, err);
		if (r)
			break;
	}
	return r;
}

/* plugin_dir: the form of plugin_dirs that CRI-O had first. */
static int apply_plugin_dir(struct loader *l, const char *file, const struct json *v,
			    struct cb_error *err)
{
	_cleanup_free_ char *where = strf("%s: crio.network.plugin_dir", file);

	if (!where)
		return err_oom(err);
	if (!json_string(v))
		return wrong_type(where, "a string", v, err);
	if (config_warn(l, "%s: is an old name, plugin_dirs takes a list", where) ||
	    strv_push(&l->c->plugin_dirs, json_string(v)))
		return err_oom(err);
	return 0;
}

static bool is_table(const char *name)
{
	size_t i, n = strlen(name);

	if (find_missing(name, NULL))
		return true;
	for (i = 0; i < config_n_options; i++) {
		const char *t = config_options[i].table;

		if (t && str_starts(t, name) && (!t[n] || t[n] == '.'))
			return true;
	}
	return false;
}

static int apply_key(struct loader *l, const char *file, const char *table, const struct json *v,
		     struct cb_error *err)
{
	_cleanup_free_ char *where = strf("%s: %s.%s", file, table, v->key);
	size_t i;
	int r;

	if (!where)
		return err_oom(err);
	for (i = 0; i < config_n_options; i++) {
		const struct option *o = &config_options[i];

		if (!o->table || !streq(o->table, table) || !streq(o->key, v->key))
			continue;
		r = option_set_json(o, l->c, v, where, err);
		if (r)
			return r;
		free(l->origins[i]);
		l->origins[i] = take(where);
		return 0;
	}
	if (streq(table, "crio.runtime") && streq(v->key, "runtimes"))
		return apply_runtimes(l, file, v, err);
	if (streq(table, "crio.network") && streq(v->key, "plugin_dir"))
		return apply_plugin_dir(l, file, v, err);
	if (warn_key(l, file, table, v->key, find_missing(table, v->key)))
		return err_oom(err);
	return 0;
}

static int apply_table(struct loader *l, const char *file, const char *name,
		       const struct json *table, struct cb_error *err)
{
	int r = 0;

	json_foreach(item, table) {
		_cleanup_free_ char *path = strf("%s%s%s", name, *name ? "." : "", item->key);

		if (!path)
			return err_oom(err);
		if (is_table(path)) {
			if (item->type == JSON_OBJECT) {
				r = apply_table(l, file, path, item, err);
			} else {
				_cleanup_free_ char *where = strf("%s: %s", file, path);

				r = where ? wrong_type(where, "a table", item, err) : err_oom(err);
			}
		} else if (*name) {
			r = apply_key(l, file, name, item, err);
		} else if (warn_key(l, file, "", item->key, false)) {
			r = err_oom(err);
		}
		if (r)
			break;
	}
	return r;
}

int config_apply_file(struct loader *l, int dirfd, const char *name, const char *file,
		      struct cb_error *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ struct json_doc *doc = NULL;
	size_t n;
	int r;

	if (l->n_files++ > CONFIG_FILES_MAX)
		return err_set(err, E_INVALID, "%s: more than %u configuration files", file,
			       CONFIG_FILES_MAX);
	r = read_file_at(dirfd, name, CONFIG_FILE_MAX, &text, &n);
	if (r == -ENOENT)
		return err_sysr(err, r, "read %s", file);
	if (r == -EINVAL)
		return err_set(err, E_INVALID, "%s: is no regular file", file);
	if (r == -EFBIG)
		return err_set(err, E_INVALID, "%s: is larger than %u bytes", file,
			       CONFIG_FILE_MAX);
	if (r)
		return err_sysr(err, r, "read %s", file);
	r = toml_parse(text, n, &doc, err);
	if (r == -EINVAL) {
		if (err)
			err->code = E_INVALID;
		return err_ctx(err, E_INVALID, "%s", file);
	}
	if (r)
		return r;
	return apply_table(l, file, "", json_root(doc), err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int sorted_names(int fd, char ***ret)
{
	_cleanup_strv_ char **names = NULL;
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3), r = 0;

	d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		r = -errno;
		close_fd(copy);
		return r;
	}
	for (errno = 0; (e = readdir(d)); errno = 0)
		if (!streq(e->d_name, ".") && !streq(e->d_name, "..") &&
		    strv_push(&names, e->d_name))
			return -ENOMEM;
	if (errno)
		return -errno;
	if (names)
		qsort(names, strv_len(names), sizeof(*names), by_name);
	*ret = take(names);
	return 0;
}

/* All files below, in the order of their names, directories in their place, as Go's filepath.Walk.
 */
int config_apply_dir(struct loader *l, int dirfd, const char *path, int depth, struct cb_error *err)
{
	_cleanup_strv_ char **names = NULL;
	int r = sorted_names(dirfd, &names);
	char **name;

	if (r)
		return err_sysr(err, r, "read directory %s", path);
	for (name = names; name && *name && !r; name++) {
		_cleanup_free_ char *file = strf("%s/%s", path, *name);
		_cleanup_close_ int fd =
			openat(dirfd, *name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (!file)
			return err_oom(err);
		if (fd < 0)
			r = config_apply_file(l, dirfd, *name, file, err);
		else if (depth == CONFIG_DIR_DEPTH_MAX)
			r = err_set(err, E_INVALID, "%s: too many directories in each other", file);
		else
			r = config_apply_dir(l, fd, file, depth + 1, err);
	}
	return r;
}
