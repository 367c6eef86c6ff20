/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network: a named list of plugin configurations and the CNI version it is written in. Lists are
 * files of their own, or one plugin's configuration wrapped into a list of one, or what the cache
 * kept. The bytes that go into the cache are the file's, so that libcni finds there what it would
 * have written; only a list that takes plugins from its folder is written out whole, because the
 * folder may be gone when the attachment is deleted.
 */
#include "private.h"
#include <fcntl.h>

struct cnic_network *network_ref(struct cnic_network *n)
{
	if (n)
		atomic_fetch_add(&n->refs, 1);
	return n;
}

struct cnic_network *network_unref(struct cnic_network *n)
{
	if (!n || atomic_fetch_sub(&n->refs, 1) > 1)
		return NULL;
	free(n->name);
	free(n->version);
	free(n->bytes);
	free(n->file);
	strv_free(n->capabilities);
	free(n->plugins);
	json_doc_free(n->doc);
	json_doc_free(n->folder);
	free(n);
	return NULL;
}

static int parse(const char *p, size_t len, struct json_doc **ret, struct cnic_error *err)
{
	struct cb_error why = { 0 };
	int r = text_parse_json(p, len, 0, ret, &why);

	if (r == -EINVAL)
		return err_set(err, CNIC_E_INVALID, "not a JSON document: %s", why.message);
	if (r)
		return err_sysr(err, r, "read configuration");
	if (json_root(*ret)->type != JSON_OBJECT)
		return err_set(err, CNIC_E_INVALID, "not a JSON object");
	return 0;
}

/* Booleans may also be spelled as strings. */
static int read_bool(const struct json *list, const char *key, bool *ret, struct cnic_error *err)
{
	const struct json *v = json_get(list, key);
	const char *s = json_string(v);

	if (!v)
		return 0;
	if (v->type == JSON_BOOL)
		*ret = v->boolean;
	else if (s && strcasecmp(s, "true") == 0)
		*ret = true;
	else if (s && strcasecmp(s, "false") == 0)
		*ret = false;
	else
		return err_set(err, CNIC_E_INVALID, "%s is neither true nor false", key);
	return 0;
}

/* The highest of cniVersion and cniVersions that we know, or what cniVersion says. */
static int read_version(const struct json *list, char **ret, struct cnic_error *err)
{
	const struct json *v = json_get(list, "cniVersion"), *all = json_get(list, "cniVersions");
	const char *best = json_string(v);

	if ((v && !best) || (best && *best && !version_valid(best)))
		return err_set(err, CNIC_E_INVALID, "invalid cniVersion");
	if (all && all->type != JSON_ARRAY)
		return err_set(err, CNIC_E_INVALID, "cniVersions is not a list");
	if (!best || !*best)
		best = NULL;
	if (all && best && version_compare(best, CNI_VERSION_CURRENT) > 0)
		best = NULL;
	json_foreach(e, all) {
		const char *s = json_string(e);

		if (!version_valid(s))
			return err_set(err, CNIC_E_INVALID, "invalid entry in cniVersions");
		if (version_compare(s, CNI_VERSION_CURRENT) <= 0 &&
		    (!best || version_compare(s, best) > 0))
			best = s;
	}
	if (!best)
		best = all && json_string(v) && *json_string(v) ? json_string(v)
								: CNI_VERSION_UNSET;
	*ret = strdup(best);
	return *ret ? 0 : err_oom(err);
}

/* A map of names to booleans, as libcni demands. */
static int add_capabilities(struct cnic_network *n, const struct json *conf, struct cnic_error *err)
{
	const struct json *map = json_get(conf, "capabilities");

	if (map && map->type != JSON_OBJECT && map->type != JSON_NULL)
		return err_set(err, CNIC_E_INVALID, "plugin %zu: 'capabilities' is not an object",
			       n->n_plugins);
	json_foreach(cap, map) {
		if (cap->type != JSON_BOOL)
			return err_set(err, CNIC_E_INVALID,
				       "plugin %zu: a capability is neither true nor false",
				       n->n_plugins);
		if (cap->boolean && !strv_has(n->capabilities, cap->key) &&
		    strv_push(&n->capabilities, cap->key))
			return err_oom(err);
	}
	return 0;
}

static int add_plugin(struct cnic_network *n, const struct json *conf, struct cnic_error *err)
{
	const char *type = json_get_string(conf, "type");
	struct plugin *grown;
	int r;

	if (n->n_plugins >= PLUGINS_MAX)
		return err_set(err, CNIC_E_INVALID, "more than %d plugins", PLUGINS_MAX);
	if (!conf || conf->type != JSON_OBJECT)
		return err_set(err, CNIC_E_INVALID, "plugin %zu is not an object", n->n_plugins);
	if (!type || !*type)
		return err_set(err, CNIC_E_INVALID, "plugin %zu: missing 'type'", n->n_plugins);
	if (!plugin_type_valid(type))
		return err_set(err, CNIC_E_INVALID, "plugin %zu: invalid type", n->n_plugins);
	r = add_capabilities(n, conf, err);
	if (r)
		return r;
	grown = realloc(n->plugins, (n->n_plugins + 1) * sizeof(*grown));
	if (!grown)
		return err_oom(err);
	n->plugins = grown;
	n->plugins[n->n_plugins++] = (struct plugin){ type, conf };
	return 0;
}

static int add_inlined(struct cnic_network *n, bool inlined_only, struct cnic_error *err)
{
	const struct json *plugins = json_get(json_root(n->doc), "plugins");
	int r;

	if (!plugins && inlined_only)
		return err_set(err, CNIC_E_INVALID,
			       "loadOnlyInlinedPlugins is true, and there is no 'plugins'");
	if (!plugins)
		return 0;
	if (plugins->type != JSON_ARRAY)
		return err_set(err, CNIC_E_INVALID, "'plugins' is not a list");
	if (!plugins->first)
		return err_set(err, CNIC_E_INVALID, "no plugins in list");
	json_foreach(p, plugins) {
		r = add_plugin(n, p, err);
		if (r)
			return r;
	}
	return 0;
}

static int add_folder_file(struct cnic_network *n, int fd, const char *file, struct cnic_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_free_ char *text = NULL;
	struct json *copy;
	size_t len;
	int r;

	r = read_file_at(fd, file, CONF_FILE_MAX, &text, &len);
	if (r)
		return err_sysr(err, r, "read %s/%s", n->name, file);
	r = parse(text, len, &doc, err);
	if (r)
		return err_ctx(err, r, "%s/%s", n->name, file);
	copy = json_copy(n->folder, json_root(doc));
	if (!copy)
		return err_oom(err);
	json_append(n->folder, json_root(n->folder), copy);
	r = add_plugin(n, copy, err);
	return err_ctx(err, r, "%s/%s", n->name, file);
}

/* The whole list, as if its folder's plugins had been inlined. */
static int inline_folder(struct cnic_network *n, struct cnic_error *err)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	_cleanup_str_ struct str text = STR_INIT;
	struct json *root, *list;

	if (!doc)
		return err_oom(err);
	root = json_copy(doc, json_root(n->doc));
	if (!root)
		return err_oom(err);
	json_set_bool(doc, root, "loadOnlyInlinedPlugins", true);
	list = json_set_array(doc, root, "plugins");
	for (size_t i = 0; i < n->n_plugins; i++)
		json_append(doc, list, json_copy(doc, n->plugins[i].conf));
	if (json_format(doc, root, JSON_SORT_KEYS, &text))
		return err_oom(err);
	free(n->bytes);
	n->bytes = str_take(&text, &n->len);
	return n->bytes ? 0 : err_oom(err);
}

static int add_folder(struct cnic_network *n, int dir_fd, struct cnic_error *err)
{
	static const char *const suffixes[] = { ".conf", NULL };
	_cleanup_close_ int fd = openat(dir_fd, n->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_strv_ char **files = NULL;
	int r;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : err_sys(err, "open folder %s", n->name);
	r = list_names(fd, suffixes, CONF_FILES_MAX, &files);
	if (r)
		return err_sysr(err, r, "list folder %s", n->name);
	if (!strv_len(files))
		return 0;
	n->folder = json_doc_new();
	if (!n->folder)
		return err_oom(err);
	json_set_root(n->folder, json_new_array(n->folder));
	for (char **f = files; r == 0 && *f; f++)
		r = add_folder_file(n, fd, *f, err);
	return r ? r : inline_folder(n, err);
}

static int read_list(struct cnic_network *n, int dir_fd, struct cnic_error *err)
{
	const struct json *list = json_root(n->doc);
	const char *name = json_get_string(list, "name");
	bool inlined_only = false;
	int r;

	if (!name_valid(name))
		return err_set(err, CNIC_E_INVALID, name ? "invalid name" : "no name");
	n->name = strdup(name);
	if (!n->name)
		return err_oom(err);
	if ((r = read_version(list, &n->version, err)) ||
	    (r = read_bool(list, "disableCheck", &n->disable_check, err)) ||
	    (r = read_bool(list, "disableGC", &n->disable_gc, err)) ||
	    (r = read_bool(list, "loadOnlyInlinedPlugins", &inlined_only, err)) ||
	    (r = add_inlined(n, inlined_only, err)))
		return r;
	if (!inlined_only && dir_fd >= 0)
		r = add_folder(n, dir_fd, err);
	if (r == 0 && n->n_plugins == 0)
		r = err_set(err, CNIC_E_INVALID, "no plugin configurations");
	return r;
}

int network_parse_list(const char *p, size_t len, int dir_fd, struct cnic_network **ret,
		       struct cnic_error *err)
{
	_cleanup_network_ struct cnic_network *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return err_oom(err);
	atomic_init(&n->refs, 1);
	n->bytes = malloc(len + 1);
	if (!n->bytes)
		return err_oom(err);
	memcpy(n->bytes, p, len);
	n->bytes[len] = 0;
	n->len = len;
	r = parse(p, len, &n->doc, err);
	if (r == 0)
		r = read_list(n, dir_fd, err);
	if (r)
		return r;
	*ret = take(n);
	return 0;
}

int network_parse_single(const char *p, size_t len, struct cnic_network **ret, struct cnic_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL, *wrap = NULL;
	_cleanup_str_ struct str text = STR_INIT;
	const char *name, *version;
	struct json *root;
	int r;

	r = parse(p, len, &doc, err);
	if (r)
		return r;
	if (!json_get_string(json_root(doc), "type"))
		return err_set(err, CNIC_E_INVALID,
			       "missing 'type' (is this a list that should be named .conflist?)");
	name = json_get_string(json_root(doc), "name");
	version = json_get_string(json_root(doc), "cniVersion");
	wrap = json_doc_new();
	if (!wrap)
		return err_oom(err);
	root = json_root(wrap);
	json_set_string(wrap, root, "cniVersion", version ? version : "");
	json_set_string(wrap, root, "name", name ? name : "");
	json_append(wrap, json_set_array(wrap, root, "plugins"), json_copy(wrap, json_root(doc)));
	if (json_format(wrap, root, JSON_SORT_KEYS, &text))
		return err_oom(err);
	return network_parse_list(text.data, text.len, -1, ret, err);
}
