/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.conf: which files count, and what their keys mean.
 *
 * The file that $CONTAINERS_STORAGE_CONF names stands alone. Without it the first main file found counts
 * (the user's, the administrator's, the distribution's), and then the drop-in files of all three
 * places, sorted by name, where a name hides the same name of an earlier place. What
 * $CONTAINERS_STORAGE_CONF_OVERRIDE names comes last. Later files win key by key; $STORAGE_DRIVER and
 * $STORAGE_OPTS win over all of them.
 */
#include <string.h>
#include <cbase/toml.h>
#include "driver.h"
#include "options.h"

#define CONF_MAX (1u << 20)
#define CONF_NAME "storage.conf"

/* ---- which user ---- */

static bool per_user(void)
{
	const char *uid = secure_getenv("_CONTAINERS_ROOTLESS_UID");

	return uid && secure_getenv("_CONTAINERS_USERNS_CONFIGURED") ? !streq(uid, "0")
								       : geteuid() != 0;
}

/* $name, else $HOME/otherwise; [owned], NULL: unknown, or out of memory. */
static char *user_dir(const char *name, const char *otherwise)
{
	const char *dir = secure_getenv(name), *home = secure_getenv("HOME");

	if (dir && *dir == '/')
		return strdup(dir);
	return otherwise && home && *home == '/' ? strf("%s/%s", home, otherwise) : NULL;
}

static int set_user_roots(struct cstore_options *o, struct cstore_error *err)
{
	_cleanup_free_ char *data = user_dir("XDG_DATA_HOME", ".local/share"),
			    *run = user_dir("XDG_RUNTIME_DIR", NULL);
	_cleanup_free_ char *graph_root = data ? strf("%s/containers/storage", data) : NULL,
			    *run_root = run ? strf("%s/containers", run)
					    : strf("/tmp/containers-user-%u", (unsigned)geteuid());

	if (o->graph_root && o->run_root)
		return 0;
	if (!graph_root || !run_root)
		return err_set(err, CSTORE_E_INVALID, "neither XDG_DATA_HOME nor HOME is set");
	if ((!o->graph_root && options_set_path(&o->graph_root, graph_root)) ||
	    (!o->run_root && options_set_path(&o->run_root, run_root)))
		return err_oom(err);
	return 0;
}

/* ---- keys ---- */

/* "$HOME/x", "${USER}", "$UID": [owned]. */
static int expand(const char *v, char **ret)
{
	_cleanup_str_ struct str out = STR_INIT;
	_cleanup_free_ char *name = NULL;
	const char *value;
	size_t len;

	for (; *v; v++) {
		if (*v != '$') {
			str_append_char(&out, *v);
			continue;
		}
		bool braces = v[1] == '{';

		v += braces ? 2 : 1;
		len = strspn(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
		if (!len || (braces && v[len] != '}'))
			return -EINVAL;
		free(name);
		name = strndup(v, len);
		if (!name)
			return -ENOMEM;
		value = secure_getenv(name);
		if (value)
			str_append(&out, value);
		else if (streq(name, "UID"))
			str_appendf(&out, "%u", (unsigned)geteuid());
		v += braces ? len : len - 1;
	}
	*ret = str_take(&out, NULL);
	return *ret ? 0 : -ENOMEM;
}

static int take_path(char **field, const struct json *table, const char *key, const char *file,
		     struct cstore_error *err)
{
	const char *v = json_get_string(table, key);
	_cleanup_free_ char *path = NULL;
	int r;

	if (!v || !*v)
		return 0;
	r = expand(v, &path);
	if (!r)
		r = options_set_path(field, path);
	return r == -EINVAL ? err_set(err, CSTORE_E_INVALID,
				      "%s: %s = \"%s\": must be an absolute path", file, key, v)
	       : r	    ? err_oom(err)
			    : 0;
}

static int apply(struct cstore_options *o, const char *key, const char *value, const char *file,
		 struct cstore_error *err)
{
	int r = options_apply(o, key, value);

	if (r == -EOPNOTSUPP)
		return err_set(err, CSTORE_E_INVALID, "%s: %s is not supported", file, key);
	return r == -EINVAL ? err_set(err, CSTORE_E_INVALID, "%s: %s = \"%s\" is invalid", file, key,
				      value)
	       : r	    ? err_oom(err)
			    : 0;
}

/* Keys of the table that are the driver's; the values of a list one by one. */
static int take_options(struct cstore_options *o, const struct json *table, const char *file,
			struct cstore_error *err)
{
	static const char *const keys[] = {
		"mountopt", "skip_mount_home", "disable-volatile", "ignore_chown_errors", "size",
		"inodes", "force_mask", "additionalimagestores", "additionallayerstores", "sync",
		"mount_program", "use_composefs",
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys) && !r; i++) {
		const struct json *v = json_get(table, keys[i]);

		if (!v)
			continue;
		if (v->type == JSON_BOOL)
			r = apply(o, keys[i], v->boolean ? "true" : "false", file, err);
		else if (v->type == JSON_STRING || v->type == JSON_NUMBER)
			r = apply(o, keys[i], v->string, file, err);
		for (struct json *item = v->type == JSON_ARRAY ? v->first : NULL; item && !r;
		     item = item->next)
			r = apply(o, keys[i], json_string(item) ?: "", file, err);
	}
	return r;
}

static int take_driver(struct cstore_options *o, const char *driver, const char *where,
		       struct cstore_error *err)
{
	int r = driver && *driver ? cstore_options_set_driver(o, driver) : 0;

	return r == -EINVAL ? err_set(err, CSTORE_E_INVALID, "%s: driver \"%s\" is not supported",
				      where, driver)
	       : r	    ? err_oom(err)
			    : 0;
}

static int take_storage(struct cstore_options *o, const struct json *storage, const char *file,
			struct cstore_error *err)
{
	const struct json *options = json_get(storage, "options"),
			  *priority = json_get(storage, "driver_priority");
	int r;

	r = take_driver(o, json_get_string(storage, "driver"), file, err);
	if (!r && priority) {
		o->driver_priority = strv_free(o->driver_priority);
		r = json_strv(priority, &o->driver_priority) ? err_oom(err) : 0;
	}
	o->transient = json_get_bool(storage, "transient_store", o->transient);
	if (!r && per_user())
		r = take_path(&o->graph_root, storage, "rootless_storage_path", file, err);
	if (!r)
		r = take_path(&o->graph_root, storage, "graphroot", file, err);
	if (!r)
		r = take_path(&o->run_root, storage, "runroot", file, err);
	if (!r)
		r = take_path(&o->image_store, storage, "imagestore", file, err);
	if (!r)
		r = take_options(o, options, file, err);
	if (!r)
		r = take_options(o, json_get(options, "overlay"), file, err);
	return r ? r : take_options(o, json_get(options, "vfs"), file, err);
}

static int load_file(struct cstore_options *o, const char *file, struct cstore_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_free_ char *text = NULL;
	struct cb_error why = { 0 };
	size_t len;
	int r;

	r = read_file(file, CONF_MAX, &text, &len);
	if (r == -ENOENT)
		return err_set(err, CSTORE_E_NOT_FOUND, "%s does not exist", file);
	if (r)
		return err_sysr(err, r, "read %s", file);
	r = toml_parse(text, len, &doc, &why);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r)
		return err_set(err, CSTORE_E_INVALID, "%s: %s", file, why.message);
	return take_storage(o, json_get(json_root(doc), "storage"), file, err);
}

/* ---- which files ---- */

/* Adds the *.conf of a directory, whose name is freed; a file of the same name found before goes. */
static int add_drop_ins(char ***files, char *taken)
{
	_cleanup_free_ char *dir = taken;
	_cleanup_closedir_ DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *e;

	if (!d)
		return dir ? 0 : -ENOMEM; /* what cannot be read is not there, as for the main file */
	while ((e = readdir(d))) {
		_cleanup_free_ char *path = NULL;
		bool replaced = false;

		if (!str_ends(e->d_name, ".conf") || (e->d_type != DT_REG && e->d_type != DT_UNKNOWN))
			continue;
		path = strf("%s/%s", dir, e->d_name);
		if (!path)
			return -ENOMEM;
		for (size_t i = 0; i < strv_len(*files) && !replaced; i++) {
			if (!streq(strrchr((*files)[i], '/') + 1, e->d_name))
				continue;
			free((*files)[i]);
			(*files)[i] = take(path);
			replaced = true;
		}
		if (!replaced && strv_take(files, take(path)))
			return -ENOMEM;
	}
	return 0;
}

static int by_base_name(const void *a, const void *b)
{
	return strcmp(strrchr(*(char *const *)a, '/'), strrchr(*(char *const *)b, '/'));
}

static int find_drop_ins(const char *user, char ***ret)
{
	static const char *const places[] = { "/usr/share/containers", "/etc/containers" };
	const char *kind = per_user() ? "rootless" : "rootful";
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(places) && !r; i++) {
		r = add_drop_ins(ret, strf("%s/" CONF_NAME ".d", places[i]));
		if (!r)
			r = add_drop_ins(ret, strf("%s/storage.%s.conf.d", places[i], kind));
		if (!r && per_user())
			r = add_drop_ins(ret, strf("%s/storage.%s.conf.d/%u", places[i], kind,
						   (unsigned)geteuid()));
	}
	if (!r && user)
		r = add_drop_ins(ret, strf("%s.d", user));
	if (!r && *ret)
		qsort(*ret, strv_len(*ret), sizeof(**ret), by_base_name);
	return r;
}

static int load_found(struct cstore_options *o, struct cstore_error *err)
{
	_cleanup_free_ char *dir = user_dir("XDG_CONFIG_HOME", ".config"),
			    *user = dir ? strf("%s/containers/" CONF_NAME, dir) : NULL;
	const char *const main_files[] = { user, "/etc/containers/" CONF_NAME,
					   "/usr/share/containers/" CONF_NAME };
	_cleanup_strv_ char **drop_ins = NULL;
	int r = 0;

	/* root's home has no say, unless it is told where to look */
	if (user && !per_user() && !secure_getenv("XDG_CONFIG_HOME"))
		*user = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(main_files); i++) {
		if (!main_files[i] || !*main_files[i] || access(main_files[i], F_OK) < 0)
			continue;
		r = load_file(o, main_files[i], err);
		break;
	}
	if (!r && find_drop_ins(user && *user ? user : NULL, &drop_ins))
		r = err_oom(err);
	for (size_t i = 0; i < strv_len(drop_ins) && !r; i++)
		r = load_file(o, drop_ins[i], err);
	return r;
}

/* They replace all options of the driver, as upstream. */
static int take_environment(struct cstore_options *o, struct cstore_error *err)
{
	const char *options = secure_getenv("STORAGE_OPTS");
	_cleanup_strv_ char **list = NULL;
	int r = take_driver(o, secure_getenv("STORAGE_DRIVER"), "STORAGE_DRIVER", err);

	if (r || !options)
		return r;
	free(o->mountopt);
	o->mountopt = NULL;
	o->image_stores = strv_free(o->image_stores);
	o->size = o->inodes = 0;
	o->force_mask_plus_1 = 0;
	o->skip_mount_home = false;
	if (strv_split(options, ',', &list))
		return err_oom(err);
	for (size_t i = 0; i < strv_len(list) && !r; i++) {
		r = cstore_options_add_driver_option(o, list[i]);
		if (r)
			r = err_set(err, CSTORE_E_INVALID, "STORAGE_OPTS: %s is %s", list[i],
				    r == -EOPNOTSUPP ? "not supported" : "invalid");
	}
	return r;
}

static int load_all(struct cstore_options *o, struct cstore_error *err)
{
	const char *file = secure_getenv("CONTAINERS_STORAGE_CONF"),
		   *override = secure_getenv("CONTAINERS_STORAGE_CONF_OVERRIDE");
	int r = file && *file ? load_file(o, file, err) : load_found(o, err);

	if (!r && override && *override)
		r = load_file(o, override, err);
	if (!r)
		r = take_environment(o, err);
	if (!r && per_user())
		r = set_user_roots(o, err);
	return r;
}

PUBLIC int cstore_options_load(struct cstore_options *o, const char *path, struct cstore_error *err)
{
	int r;

	if (!o)
		return err_sysr(err, -EINVAL, "load storage.conf");
	r = path ? load_file(o, path, err) : load_all(o, err);
	if (!r && o->image_store && o->graph_root && streq(o->image_store, o->graph_root))
		r = err_set(err, CSTORE_E_INVALID, "imagestore and graphroot are both %s",
			    o->graph_root);
	return r;
}
