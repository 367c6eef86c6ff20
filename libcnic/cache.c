/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of attachments in libcni's format ("cniCacheV1"): one file NETWORK-CONTAINER-IFNAME per
 * attachment with the configuration it was made with, its arguments and its result. It is what a
 * later DEL works from, so it is written to survive a power cut. Old libcni wrote the bare result;
 * that is understood too. Files are looked up by name and believed only when what is inside agrees.
 */
#include <fcntl.h>
#include <limits.h>
#include "private.h"

#define CACHE_ENTRIES_MAX 65536

struct record *record_free(struct record *r)
{
	if (!r)
		return NULL;
	json_doc_free(r->doc);
	free(r->name);
	free(r->config);
	strv_free(r->args);
	free(r);
	return NULL;
}

static int file_name(const char *network, const char *container_id, const char *ifname, char **ret,
		     struct cnic_error *err)
{
	char *name = strf("%s-%s-%s", network, container_id, ifname);

	if (!name)
		return err_oom(err);
	if (strlen(name) > NAME_MAX) {
		free(name);
		return err_set(err, CNIC_E_INVALID,
			       "network name and container id are too long together");
	}
	*ret = name;
	return 0;
}

static int open_dir(const struct cnic *c)
{
	int fd = open(c->o.cache_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* ---- writing ---- */

static void append_member(struct str *s, const char *name, const char *text)
{
	str_appendf(s, "%c\"%s\":", s->len ? ',' : '{', name);
	json_quote(s, text, strlen(text), 0);
}

static void append_args(struct str *s, char *const *args)
{
	if (!args || !args[0])
		return;
	str_append(s, ",\"cniArgs\":[");
	for (size_t i = 0; args[i]; i += 2) {
		str_append(s, i ? ",[" : "[");
		json_quote(s, args[i], strlen(args[i]), 0);
		str_append_char(s, ',');
		json_quote(s, args[i + 1], strlen(args[i + 1]), 0);
		str_append_char(s, ']');
	}
	str_append_char(s, ']');
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const struct json *const *)a)->key, (*(const struct json *const *)b)->key);
}

/* A map for libcni, whose values are structs of its caller: sorted at the top, as given below. */
static int append_capabilities(struct str *s, struct json_doc *doc, const struct json *map)
{
	_cleanup_free_ const struct json **sorted = calloc(map->count, sizeof(struct json *));
	struct json *copy = json_new_object(doc);
	size_t n = 0;

	if (!sorted || !copy)
		return -ENOMEM;
	json_foreach(member, map)
		sorted[n++] = member;
	qsort(sorted, n, sizeof(*sorted), by_key);
	for (size_t i = 0; i < n; i++)
		json_set(doc, copy, sorted[i]->key, json_copy(doc, sorted[i]));
	str_append(s, ",\"capabilityArgs\":");
	return json_format(doc, copy, 0, s);
}

/* Go prints the struct's members in order and what is in its maps sorted. */
static int format_record(const struct cnic_network *n, const struct call *call,
			 const struct cnic_result *result, struct str *s)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct json *tree = doc ? result_as(result, result->version, doc) : NULL;
	int r = 0;

	if (!tree)
		return -ENOMEM;
	append_member(s, "kind", "cniCacheV1");
	append_member(s, "containerId", call->container_id);
	str_append(s, ",\"config\":\"");
	str_append_base64(s, n->bytes, n->len);
	str_append(s, "\"");
	append_member(s, "ifName", call->ifname);
	append_member(s, "networkName", n->name);
	if (call->netns && *call->netns)
		append_member(s, "netns", call->netns);
	append_args(s, call->args);
	if (call->capabilities && call->capabilities->first)
		r = append_capabilities(s, doc, call->capabilities);
	str_append(s, ",\"result\":");
	if (r == 0)
		r = json_format(doc, tree, JSON_SORT_KEYS, s);
	str_append_char(s, '}');
	return r ? r : str_failed(s) ? -ENOMEM : 0;
}

int cache_save(const struct cnic *c, const struct cnic_network *n, const struct call *call,
	       const struct cnic_result *result, struct cnic_error *err)
{
	_cleanup_str_ struct str text = STR_INIT;
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	r = file_name(n->name, call->container_id, call->ifname, &name, err);
	if (r)
		return r;
	r = format_record(n, call, result, &text);
	if (r)
		return err_sysr(err, r, "cache result");
	r = mkdir_p(c->o.cache_dir, 0700);
	if (r)
		return err_sysr(err, r, "create %s", c->o.cache_dir);
	fd = open_dir(c);
	if (fd < 0)
		return err_sysr(err, fd, "open %s", c->o.cache_dir);
	r = write_file_at(fd, name, 0600, text.data, text.len, IO_DURABLE);
	return r ? err_sysr(err, r, "write %s/%s", c->o.cache_dir, name) : 0;
}

int cache_sweep(const struct cnic *c, struct cnic_error *err)
{
	_cleanup_close_ int fd = open_dir(c);
	int r;

	if (fd == -ENOENT)
		return 0;
	r = fd < 0 ? fd : sweep_temp_files(fd);
	return r ? err_sysr(err, r, "sweep %s", c->o.cache_dir) : 0;
}

/* ---- reading ---- */

static int read_config(struct record *rec, const struct json *root)
{
	const struct json *config = json_get(root, "config");

	if (!config || config->type != JSON_STRING)
		return CNIC_E_INVALID;
	return base64_decode(config->string, config->len, &rec->config, &rec->config_len) == -ENOMEM
		       ? -ENOMEM
	       : rec->config ? 0
			     : CNIC_E_INVALID;
}

static int read_args(struct record *rec, const struct json *root)
{
	json_foreach(pair, json_get(root, "cniArgs")) {
		const char *key = json_string(pair->first), *value;

		value = key ? json_string(pair->first->next) : NULL;
		if (!value || pair->count != 2)
			return CNIC_E_INVALID;
		if (strv_push(&rec->args, key) || strv_push(&rec->args, value))
			return -ENOMEM;
	}
	return 0;
}

static int read_record(struct record *rec, struct cnic_error *err)
{
	const struct json *root = json_root(rec->doc);
	const char *kind = json_get_string(root, "kind");
	int r;

	if (!kind && json_get(root, "cniVersion")) { /* a bare result */
		rec->result = root;
		return 0;
	}
	if (!kind || !streq(kind, "cniCacheV1"))
		return err_set(err, CNIC_E_INVALID, "%s: not a cached attachment", rec->name);
	rec->network = json_get_string(root, "networkName");
	rec->container_id = json_get_string(root, "containerId");
	rec->ifname = json_get_string(root, "ifName");
	rec->capabilities = json_get(root, "capabilityArgs");
	rec->result = json_get(root, "result");
	r = read_config(rec, root);
	if (r == 0)
		r = read_args(rec, root);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r || !rec->network || !rec->container_id || !rec->ifname)
		return err_set(err, CNIC_E_INVALID, "%s: damaged cached attachment", rec->name);
	return 0;
}

static int load_file(int dir_fd, const char *name, struct record **ret, struct cnic_error *err)
{
	_cleanup_record_ struct record *rec = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = read_file_at(dir_fd, name, CACHE_FILE_MAX, &text, &len);
	if (r == -ENOENT)
		return err_set(err, CNIC_E_NOT_CACHED, "%s is not cached", name);
	if (r == -EFBIG || r == -EISDIR || r == -EINVAL)
		return err_set(err, CNIC_E_INVALID, "%s: not a cached attachment", name);
	if (r)
		return err_sysr(err, r, "read %s", name);
	rec = calloc(1, sizeof(*rec));
	if (!rec || !(rec->name = strdup(name)))
		return err_oom(err);
	r = text_parse_json(text, len, 0, &rec->doc, NULL);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r)
		return err_set(err, CNIC_E_INVALID, "%s: damaged cached attachment", name);
	r = read_record(rec, err);
	if (r)
		return r;
	*ret = take(rec);
	return 0;
}

int cache_load(const struct cnic *c, const char *network, const char *container_id,
	       const char *ifname, struct record **ret, struct cnic_error *err)
{
	_cleanup_record_ struct record *rec = NULL;
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	r = file_name(network, container_id, ifname, &name, err);
	if (r)
		return r;
	fd = open_dir(c);
	if (fd == -ENOENT)
		return err_set(err, CNIC_E_NOT_CACHED, "%s is not cached", name);
	if (fd < 0)
		return err_sysr(err, fd, "open %s", c->o.cache_dir);
	r = load_file(fd, name, &rec, err);
	if (r)
		return r;
	/* "a-b" on "c" and "a" on "b-c" share a file name */
	if (rec->network &&
	    (!streq(rec->network, network) || !streq(rec->container_id, container_id) ||
	     !streq(rec->ifname, ifname)))
		return err_set(err, CNIC_E_NOT_CACHED, "%s is of another attachment", name);
	*ret = take(rec);
	return 0;
}

int cache_remove(const struct cnic *c, const char *network, const char *container_id,
		 const char *ifname, struct cnic_error *err)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	r = file_name(network, container_id, ifname, &name, err);
	if (r)
		return r;
	fd = open_dir(c);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return err_sysr(err, fd, "open %s", c->o.cache_dir);
	if (unlinkat(fd, name, 0) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "remove %s/%s", c->o.cache_dir, name);
	return fsync(fd) < 0 ? err_sys(err, "sync %s", c->o.cache_dir) : 0;
}

/* ---- looking through ---- */

int cache_each(const struct cnic *c, const char *suffix,
	       int (*fn)(const struct record *, void *), void *arg, struct cnic_error *err)
{
	const char *const suffixes[] = { suffix ? suffix : "", NULL };
	_cleanup_strv_ char **names = NULL;
	_cleanup_close_ int fd = open_dir(c);
	int r;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return err_sysr(err, fd, "open %s", c->o.cache_dir);
	r = list_names(fd, suffixes, CACHE_ENTRIES_MAX, &names);
	if (r)
		return err_sysr(err, r, "read %s", c->o.cache_dir);
	for (char **name = names; name && *name; name++) {
		_cleanup_record_ struct record *rec = NULL;

		if (**name == '.')
			continue;
		r = load_file(fd, *name, &rec, NULL);
		if (r == 0 && rec->network)
			r = fn(rec, arg);
		if (r == -ENOMEM)
			return err_oom(err);
	}
	return 0;
}

struct wanted {
	const char *container_id, *ifname;
	char ***ret;
};

static int take_network(const struct record *rec, void *arg)
{
	const struct wanted *w = arg;

	if (!streq(rec->container_id, w->container_id) || !streq(rec->ifname, w->ifname) ||
	    !name_valid(rec->network) || strv_has(*w->ret, rec->network))
		return 0;
	return strv_push(w->ret, rec->network);
}

int cache_networks(const struct cnic *c, const char *container_id, const char *ifname, char ***ret,
		   struct cnic_error *err)
{
	_cleanup_free_ char *suffix = strf("-%s-%s", container_id, ifname);
	_cleanup_strv_ char **networks = NULL;
	struct wanted w = { container_id, ifname, &networks };
	int r;

	if (!suffix)
		return err_oom(err);
	r = cache_each(c, suffix, take_network, &w, err);
	if (r)
		return r;
	*ret = take(networks);
	return 0;
}

static int take_container(const struct record *rec, void *arg)
{
	char ***ids = arg;

	if (!name_valid(rec->container_id) || strv_has(*ids, rec->container_id))
		return 0;
	return strv_push(ids, rec->container_id);
}

PUBLIC int cnic_cached_containers(struct cnic *c, char ***ret, struct cnic_error *err)
{
	_cleanup_strv_ char **ids = NULL;
	int r;

	err_start(err);
	if (!c || !ret)
		return err_sysr(err, -EINVAL, "list cached attachments");
	ids = strv_copy(NULL);
	if (!ids)
		return err_oom(err);
	r = cache_each(c, NULL, take_container, &ids, err);
	if (r)
		return r;
	*ret = take(ids);
	return 0;
}

struct visit {
	cnic_visit_fn fn;
	void *user;
	const char *container_id;
	int r;
};

static int visit(const struct record *rec, void *arg)
{
	struct visit *v = arg;
	_cleanup_result_ struct cnic_result *result = NULL;
	_cleanup_str_ struct str capabilities = STR_INIT;
	struct cnic_attachment a = {
		.size = sizeof(a),
		.network = rec->network,
		.container_id = rec->container_id,
		.netns = json_get_string(json_root(rec->doc), "netns"),
		.ifname = rec->ifname,
		.args = (const char *const *)rec->args,
		.timeout_ms = -1,
	};
	int r = 0;

	if (v->r || (v->container_id && !streq(v->container_id, rec->container_id)))
		return 0;
	if (rec->capabilities)
		r = json_format(rec->doc, rec->capabilities, 0, &capabilities);
	if (r == 0 && rec->result)
		r = result_parse(rec->result, CNI_VERSION_UNSET, &result, NULL);
	if (r < 0)
		return r;
	a.capabilities = capabilities.data;
	v->r = v->fn(v->user, &a, result);
	return 0;
}

PUBLIC int cnic_cached_each(struct cnic *c, const char *container_id, cnic_visit_fn fn, void *user,
			    struct cnic_error *err)
{
	struct visit v = { .fn = fn, .user = user, .container_id = container_id };
	int r;

	err_start(err);
	if (!c || !fn)
		return err_sysr(err, -EINVAL, "list cached attachments");
	r = cache_each(c, NULL, visit, &v, err);
	return r ? r : v.r;
}

PUBLIC char **cnic_strv_free(char **v)
{
	return strv_free(v);
}
