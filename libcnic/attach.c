/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations on attachments. ADD runs the list forwards, each plugin seeing the result of the
 * one before; DEL and CHECK work from what the cache kept of the ADD: its configuration, arguments
 * and result, so that they still fit after the configuration has changed or gone.
 *
 * An attachment with no network named is one on the default network for ADD. The others take every
 * network that this container and interface have a cached attachment on: the default network may
 * have changed since. With none cached they fall back to the default network.
 */
#include "private.h"

/* A checked struct cnic_attachment, and what its JSON argument was parsed into. */
struct request {
	const char *network, *container_id, *netns, *ifname;
	char **args;
	struct json_doc *capabilities;
	int64_t deadline;
};

static void request_done(struct request *q)
{
	strv_free(q->args);
	json_doc_free(q->capabilities);
}
#define _cleanup_request_ _cleanup_(request_done)

/* Pairs are joined by ';' and '=': neither may be in them. */
static bool arg_valid(const char *s)
{
	if (!utf8_valid(s, strlen(s)))
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f || *s == ';' || *s == '=')
			return false;
	return true;
}

static int read_args(struct request *q, const char *const *args, struct cnic_error *err)
{
	for (size_t i = 0; args && args[i]; i += 2) {
		if (i / 2 >= ARGS_MAX)
			return err_set(err, CNIC_E_INVALID, "more than %d arguments", ARGS_MAX);
		if (!args[i + 1] || !*args[i] || !arg_valid(args[i]) || !arg_valid(args[i + 1]))
			return err_set(err, CNIC_E_INVALID, "invalid CNI argument %zu", i / 2);
		if (strv_push(&q->args, args[i]) || strv_push(&q->args, args[i + 1]))
			return err_oom(err);
	}
	return 0;
}

static int read_capabilities(struct request *q, const char *text, struct cnic_error *err)
{
	struct cb_error why = { 0 };
	size_t len;
	int r;

	if (!text)
		return 0;
	len = strlen(text);
	if (len > CAPABILITIES_MAX)
		return err_set(err, CNIC_E_INVALID, "capability arguments are larger than %u bytes",
			       CAPABILITIES_MAX);
	r = text_parse_json(text, len, JSON_UNIQUE_KEYS, &q->capabilities, &why);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r)
		return err_set(err, CNIC_E_INVALID, "capability arguments: %s", why.message);
	if (json_root(q->capabilities)->type != JSON_OBJECT)
		return err_set(err, CNIC_E_INVALID, "capability arguments are not an object");
	return 0;
}

static int read_names(struct request *q, const struct cnic_attachment *a, bool need_netns,
		      struct cnic_error *err)
{
	q->network = a->network && *a->network ? a->network : NULL;
	q->container_id = a->container_id;
	q->netns = a->netns ? a->netns : "";
	q->ifname = a->ifname ? a->ifname : "eth0";
	if (!name_valid(q->container_id))
		return err_set(err, CNIC_E_INVALID, "invalid container id");
	if (q->network && !name_valid(q->network))
		return err_set(err, CNIC_E_INVALID, "invalid network name");
	if (!ifname_valid(q->ifname))
		return err_set(err, CNIC_E_INVALID, "invalid interface name");
	if (*q->netns ? *q->netns != '/' || !utf8_valid(q->netns, strlen(q->netns)) : need_netns)
		return err_set(err, CNIC_E_INVALID, "network namespace is not an absolute path");
	return 0;
}

static int request_read(struct request *q, const struct cnic *c, const struct cnic_attachment *a,
			bool need_netns, struct cnic_error *err)
{
	int r;

	err_start(err);
	if (!c || !a || a->size < sizeof(*a) || !a->container_id)
		return err_sysr(err, -EINVAL, "network attachment");
	q->deadline = deadline_after(a->timeout_ms);
	r = read_names(q, a, need_netns, err);
	if (r == 0)
		r = read_args(q, a->args, err);
	if (r == 0)
		r = read_capabilities(q, a->capabilities, err);
	return r;
}

static int find_network(struct cnic *c, const char *name, struct network **ret,
			struct cnic_error *err)
{
	_cleanup_network_set_ struct network_set *set = cnic_networks(c);
	struct network *n = name ? network_set_find(set, name) : set->standard;

	if (!n && name)
		return err_set(err, CNIC_E_NO_NETWORK, "CNI network \"%s\" not found", name);
	if (!n)
		return err_set(err, CNIC_E_NO_NETWORK, "%s", set->trouble);
	*ret = network_ref(n);
	return 0;
}

/* ---- ADD ---- */

/* DEL of plugins count-1 .. 0, whatever each says; their complaints are added to the error. */
static void undo(struct cnic *c, const struct network *n, size_t count, const struct call *added,
		 const struct cnic_result *previous, struct cnic_error *err)
{
	int64_t deadline = deadline_after(UNDO_TIMEOUT_MS);
	struct call call = *added;

	call.command = "DEL";
	call.finish = true;
	call.previous = version_at_least(n->version, "0.4.0") ? previous : NULL;
	while (count-- > 0) {
		struct cnic_error why = { 0 };
		size_t len;

		if (plugin_call(c, n, count, &call, deadline, NULL, &why) == 0 || !err)
			continue;
		len = strlen(err->message);
		if (len + strlen(why.message) + 16 < sizeof(err->message))
			snprintf(err->message + len, sizeof(err->message) - len, "; undo: %s",
				 why.message);
	}
}

/* ret_done: plugins that may have left something behind. */
static int add_all(struct cnic *c, const struct network *n, struct call *call, int64_t deadline,
		   size_t *ret_done, struct cnic_result **result, struct cnic_error *err)
{
	for (size_t i = 0; i < n->n_plugins; i++) {
		struct cnic_result *next = NULL;
		int r;

		*ret_done = i + 1;
		call->previous = *result;
		r = plugin_call(c, n, i, call, deadline, &next, err);
		if (r)
			return r;
		cnic_result_free(*result);
		*result = next;
	}
	return 0;
}

static int attach(struct cnic *c, const struct request *q, const struct network *n,
		  struct cnic_result **ret, struct cnic_error *err)
{
	_cleanup_result_ struct cnic_result *result = NULL;
	struct call call = {
		.command = "ADD",
		.container_id = q->container_id,
		.netns = q->netns,
		.ifname = q->ifname,
		.args = q->args,
		.capabilities = json_root(q->capabilities),
	};
	size_t done = 0;
	int r;

	r = add_all(c, n, &call, q->deadline, &done, &result, err);
	if (r == 0)
		r = cache_save(c, n, &call, result, err);
	if (r) {
		undo(c, n, done, &call, result, err);
		return r;
	}
	if (ret)
		*ret = take(result);
	return 0;
}

PUBLIC int cnic_attach(struct cnic *c, const struct cnic_attachment *a, struct cnic_result **ret,
		       struct cnic_error *err)
{
	_cleanup_request_ struct request q = { 0 };
	_cleanup_network_ struct network *n = NULL;
	int r;

	r = request_read(&q, c, a, true, err);
	if (r == 0)
		r = find_network(c, q.network, &n, err);
	return r ? r : attach(c, &q, n, ret, err);
}

/* ---- the others ---- */

/* Networks the request is about: see the top. */
static int request_networks(struct cnic *c, const struct request *q, char ***ret,
			    struct cnic_error *err)
{
	_cleanup_strv_ char **names = NULL;
	_cleanup_network_ struct network *n = NULL;
	int r = 0;

	if (!q->network)
		r = cache_networks(c, q->container_id, q->ifname, &names, err);
	if (r == 0 && !strv_len(names)) {
		if (!q->network)
			r = find_network(c, NULL, &n, err);
		if (r == 0 && strv_push(&names, q->network ? q->network : n->name))
			r = err_oom(err);
	}
	if (r)
		return r;
	*ret = take(names);
	return 0;
}

/* An attachment as it was made, put together from the cache and the request. */
struct attached {
	struct record *record;	 /* NULL: not cached, or damaged */
	struct network *network; /* NULL: neither cached nor configured */
	struct cnic_result *result;
	struct call call;
};

static void attached_done(struct attached *t)
{
	record_free(t->record);
	network_unref(t->network);
	cnic_result_free(t->result);
}
#define _cleanup_attached_ _cleanup_(attached_done)

static int network_from_record(const struct record *rec, struct network **ret,
			       struct cnic_error *err)
{
	int r;

	if (!rec || !rec->config)
		return CNIC_E_NOT_CACHED;
	r = network_parse_list(rec->config, rec->config_len, -1, ret, err);
	if (r == 0 && !streq((*ret)->name, rec->network)) {
		*ret = network_unref(*ret);
		return CNIC_E_INVALID;
	}
	return r;
}

/*
 * What is damaged counts as not there: a torn record must not keep a pod from being deleted. Only
 * memory and reading errors are passed on.
 */
static int attached_load(struct cnic *c, const struct request *q, const char *name,
			 struct attached *t, struct cnic_error *err)
{
	int r;

	r = cache_load(c, name, q->container_id, q->ifname, &t->record, err);
	if (r < 0)
		return r;
	r = network_from_record(t->record, &t->network, err);
	if (r > 0)
		r = find_network(c, name, &t->network, err);
	if (r < 0)
		return r;
	if (t->record && t->record->result && t->network) {
		r = result_parse(t->record->result, t->network->version, &t->result, err);
		if (r < 0)
			return r;
	}
	t->call = (struct call){
		.container_id = q->container_id,
		.netns = q->netns,
		.ifname = q->ifname,
		.args = t->record && t->record->args ? t->record->args : q->args,
		.capabilities = t->record && t->record->config ? t->record->capabilities
							       : json_root(q->capabilities),
		.previous = t->result,
	};
	err_start(err);
	return 0;
}

static int detach(struct cnic *c, const struct request *q, const char *name, struct cnic_error *err)
{
	_cleanup_attached_ struct attached t = { 0 };
	int r;

	r = attached_load(c, q, name, &t, err);
	if (r)
		return r;
	if (!t.network)
		return err_set(err, CNIC_E_NO_NETWORK,
			       "CNI network \"%s\" not found, nor cached for %.64s", name,
			       q->container_id);
	t.call.command = "DEL";
	if (!version_at_least(t.network->version, "0.4.0"))
		t.call.previous = NULL;
	for (size_t i = t.network->n_plugins; i-- > 0;) {
		r = plugin_call(c, t.network, i, &t.call, q->deadline, NULL, err);
		if (r)
			return r;
	}
	return cache_remove(c, name, q->container_id, q->ifname, err);
}

PUBLIC int cnic_detach(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err)
{
	_cleanup_request_ struct request q = { 0 };
	_cleanup_strv_ char **names = NULL;
	int r;

	r = request_read(&q, c, a, false, err);
	if (r == 0)
		r = request_networks(c, &q, &names, err);
	for (char **n = names; r == 0 && n && *n; n++)
		r = detach(c, &q, *n, err);
	return r;
}

static int not_cached(const struct request *q, const char *name, struct cnic_error *err)
{
	return err_set(err, CNIC_E_NOT_CACHED, "no cached result of %.64s on network \"%s\"",
		       q->container_id, name);
}

static int check(struct cnic *c, const struct request *q, const char *name, struct cnic_error *err)
{
	_cleanup_attached_ struct attached t = { 0 };
	int r;

	r = attached_load(c, q, name, &t, err);
	if (r)
		return r;
	if (!t.network || !t.result)
		return not_cached(q, name, err);
	if (!version_at_least(t.network->version, "0.4.0"))
		return err_set(err, CNIC_E_UNSUPPORTED,
			       "configuration version \"%s\" does not support the CHECK command",
			       t.network->version);
	t.call.command = "CHECK";
	for (size_t i = 0; r == 0 && i < t.network->n_plugins && !t.network->disable_check; i++)
		r = plugin_call(c, t.network, i, &t.call, q->deadline, NULL, err);
	return r;
}

PUBLIC int cnic_check(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err)
{
	_cleanup_request_ struct request q = { 0 };
	_cleanup_strv_ char **names = NULL;
	int r;

	r = request_read(&q, c, a, true, err);
	if (r == 0)
		r = request_networks(c, &q, &names, err);
	for (char **n = names; r == 0 && n && *n; n++)
		r = check(c, &q, *n, err);
	return r;
}

PUBLIC int cnic_cached(struct cnic *c, const struct cnic_attachment *a, struct cnic_result **ret,
		       struct cnic_error *err)
{
	_cleanup_request_ struct request q = { 0 };
	_cleanup_strv_ char **names = NULL;
	_cleanup_record_ struct record *rec = NULL;
	int r;

	r = request_read(&q, c, a, false, err);
	if (r)
		return r;
	if (!ret)
		return err_sysr(err, -EINVAL, "cached result");
	r = request_networks(c, &q, &names, err);
	if (r == CNIC_E_NO_NETWORK)
		return err_set(err, CNIC_E_NOT_CACHED, "no cached result of %.64s", q.container_id);
	if (r == 0)
		r = cache_load(c, names[0], q.container_id, q.ifname, &rec, err);
	if (r)
		return r;
	if (!rec->result)
		return not_cached(&q, names[0], err);
	return result_parse(rec->result, CNI_VERSION_UNSET, ret, err);
}

PUBLIC int cnic_forget(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err)
{
	_cleanup_request_ struct request q = { 0 };
	_cleanup_strv_ char **names = NULL;
	int r;

	r = request_read(&q, c, a, false, err);
	if (r == 0)
		r = request_networks(c, &q, &names, err);
	if (r == CNIC_E_NO_NETWORK)
		return 0; /* nothing cached, nothing configured */
	for (char **n = names; r == 0 && n && *n; n++)
		r = cache_remove(c, *n, q.container_id, q.ifname, err);
	return r;
}

PUBLIC int cnic_sweep(struct cnic *c, struct cnic_error *err)
{
	err_start(err);
	return c ? cache_sweep(c, err) : err_sysr(err, -EINVAL, "sweep the cache");
}
