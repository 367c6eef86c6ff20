/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store is opened with: setters, and storage.conf.
 *
 * Keys that change where or how the store keeps its data, and which this library does not implement,
 * are refused when they are set to anything but their default: ignoring them would damage the store
 * that others see. Keys that only tune other programs are ignored.
 */
#include <string.h>
#include <cbase/toml.h>
#include "options.h"
#include "private.h"

#define CONF_MAX (1u << 20)

PUBLIC int cstore_options_new(struct cstore_options **ret)
{
	struct cstore_options *o;

	if (!ret)
		return -EINVAL;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	*ret = o;
	return 0;
}

PUBLIC struct cstore_options *cstore_options_free(struct cstore_options *o)
{
	if (!o)
		return NULL;
	free(o->graph_root);
	free(o->run_root);
	free(o->driver);
	free(o->mountopt);
	free(o);
	return NULL;
}

static int set_string(char **field, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

/* Absolute, without trailing slashes; one that is all slashes is no place for a store. */
static int set_path(char **field, const char *path)
{
	size_t n = path ? strlen(path) : 0;
	int r;

	while (n && path[n - 1] == '/')
		n--;
	if (!n || path[0] != '/')
		return -EINVAL;
	r = set_string(field, path);
	if (!r)
		(*field)[n] = '\0';
	return r;
}

PUBLIC int cstore_options_set_graph_root(struct cstore_options *o, const char *path)
{
	return o ? set_path(&o->graph_root, path) : -EINVAL;
}

PUBLIC int cstore_options_set_run_root(struct cstore_options *o, const char *path)
{
	return o ? set_path(&o->run_root, path) : -EINVAL;
}

PUBLIC int cstore_options_set_driver(struct cstore_options *o, const char *driver)
{
	if (!o || !driver || !(streq(driver, "overlay") || streq(driver, "overlay2")))
		return -EINVAL;
	return set_string(&o->driver, "overlay");
}

PUBLIC int cstore_options_set_no_mounts(struct cstore_options *o, int no_mounts)
{
	if (!o)
		return -EINVAL;
	o->no_mounts = no_mounts;
	return 0;
}

PUBLIC int cstore_options_set_leave_garbage(struct cstore_options *o, int leave_garbage)
{
	if (!o)
		return -EINVAL;
	o->leave_garbage = leave_garbage;
	return 0;
}

/* ---- driver options ---- */

enum option_kind {
	OPTION_MOUNTOPT,
	OPTION_SKIP_HOME,
	OPTION_NO_VOLATILE,
	OPTION_IGNORED,
	OPTION_REFUSED
};

/* clang-format off */
static const struct driver_option {
	const char *key;
	enum option_kind kind;
} driver_options[] = {
	{ "mountopt", OPTION_MOUNTOPT },
	{ "skip_mount_home", OPTION_SKIP_HOME },
	{ "disable-volatile", OPTION_NO_VOLATILE },
	{ "sync", OPTION_IGNORED },		/* layers are always synced before they are recorded */
	{ "override_kernel_check", OPTION_IGNORED },
	{ "imagestore", OPTION_REFUSED },
	{ "additionalimagestores", OPTION_REFUSED },
	{ "additionallayerstores", OPTION_REFUSED },
	{ "additionallayerstore", OPTION_REFUSED },
	{ "mount_program", OPTION_REFUSED },
	{ "ignore_chown_errors", OPTION_REFUSED },
	{ "force_mask", OPTION_REFUSED },
	{ "use_composefs", OPTION_REFUSED },
	{ "size", OPTION_REFUSED },
	{ "inodes", OPTION_REFUSED },
};
/* clang-format on */

static bool is_default(const char *value)
{
	return !*value || streq(value, "false");
}

static int apply_option(struct cstore_options *o, const char *key, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(driver_options); i++) {
		if (!streq(driver_options[i].key, key))
			continue;
		switch (driver_options[i].kind) {
		case OPTION_MOUNTOPT:
			return set_string(&o->mountopt, value);
		case OPTION_SKIP_HOME:
			o->skip_mount_home = !is_default(value);
			return 0;
		case OPTION_NO_VOLATILE:
			o->disable_volatile = !is_default(value);
			return 0;
		case OPTION_IGNORED:
			return 0;
		case OPTION_REFUSED:
			return is_default(value) ? 0 : -EOPNOTSUPP;
		}
	}
	return -EINVAL;
}

PUBLIC int cstore_options_add_driver_option(struct cstore_options *o, const char *key_value)
{
	_cleanup_free_ char *key = NULL;
	const char *equals = key_value ? strchr(key_value, '=') : NULL, *dot;

	if (!o || !equals)
		return -EINVAL;
	key = strndup(key_value, (size_t)(equals - key_value));
	if (!key)
		return -ENOMEM;
	for (char *p = key; *p; p++) /* upstream ignores case here */
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	dot = strchr(key, '.');
	if (dot && !str_starts(key, "overlay.") && !str_starts(key, "overlay2.") &&
	    !str_starts(key, "storage."))
		return 0; /* another driver's */
	return apply_option(o, dot ? dot + 1 : key, equals + 1);
}

/* ---- storage.conf ---- */

static const char *find_conf(void)
{
	const char *env = secure_getenv("CONTAINERS_STORAGE_CONF");
	static const char *const places[] = { "/etc/containers/storage.conf",
					      "/usr/share/containers/storage.conf" };

	if (env && *env)
		return env;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], F_OK) == 0)
			return places[i];
	return NULL;
}

static int take_path(char **field, const struct json *table, const char *key, const char *file,
		     struct cstore_error *err)
{
	const char *v = json_get_string(table, key);
	int r;

	if (!v || !*v)
		return 0;
	if (strchr(v, '$'))
		return err_set(err, CSTORE_E_INVALID,
			       "%s: %s = \"%s\": variables are not supported", file, key, v);
	r = set_path(field, v);
	return r == -EINVAL ? err_set(err, CSTORE_E_INVALID, "%s: %s must be an absolute path",
				      file, key)
	       : r	    ? err_oom(err)
			    : 0;
}

/* A member's value as driver options have it: text, or "true"/"false". NULL: neither, or an empty list. */
static const char *option_text(const struct json *v)
{
	if (v->type == JSON_BOOL)
		return v->boolean ? "true" : "false";
	if (v->type == JSON_ARRAY)
		return v->count ? "list" : NULL;
	return v->type == JSON_STRING || v->type == JSON_NUMBER ? v->string : NULL;
}

static int take_options(struct cstore_options *o, const struct json *table, const char *file,
			struct cstore_error *err)
{
	const char *value;
	int r;

	json_foreach(item, table) {
		value = option_text(item);
		if (!value)
			continue;
		r = apply_option(o, item->key, value);
		if (r == -EOPNOTSUPP)
			return err_set(err, CSTORE_E_INVALID, "%s: %s is not supported", file,
				       item->key);
		if (r && r != -EINVAL) /* unknown: not for the driver */
			return err_sysr(err, r, "%s: %s", file, item->key);
	}
	return 0;
}

static int take_storage(struct cstore_options *o, const struct json *storage, const char *file,
			struct cstore_error *err)
{
	const char *driver = json_get_string(storage, "driver"),
		   *imagestore = json_get_string(storage, "imagestore");
	const struct json *options = json_get(storage, "options");
	int r;

	if (driver && *driver && cstore_options_set_driver(o, driver))
		return err_set(err, CSTORE_E_INVALID, "%s: driver \"%s\" is not supported", file,
			       driver);
	if ((imagestore && *imagestore) || json_get_bool(storage, "transient_store", false))
		return err_set(err, CSTORE_E_INVALID,
			       "%s: imagestore and transient_store are not supported", file);
	r = take_path(&o->graph_root, storage, "graphroot", file, err);
	if (!r)
		r = take_path(&o->run_root, storage, "runroot", file, err);
	if (!r)
		r = take_options(o, options, file, err);
	return r ? r : take_options(o, json_get(options, "overlay"), file, err);
}

PUBLIC int cstore_options_load(struct cstore_options *o, const char *path, struct cstore_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_free_ char *text = NULL;
	const char *file = path ? path : find_conf();
	struct cb_error why = { 0 };
	size_t len;
	int r;

	if (!o)
		return err_sysr(err, -EINVAL, "load storage.conf");
	if (!file)
		return 0;
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
