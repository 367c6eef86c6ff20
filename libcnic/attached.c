/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to an attachment that is there. DEL and CHECK work from what the cache kept of the
 * ADD: its configuration, arguments and result, so that they still fit after the configuration has
 * changed or gone.
 *
 * With no network named they take every network that this container and interface have a cached
 * attachment on: the default network may have changed since. With none cached they fall back to
 * the default network.
 */
#include "private.h"

/* Networks the request is about: see the top. */
static int request_networks(struct cnic *c, const struct request *q, char ***ret,
			    struct cnic_error *err)
{
	_cleanup_strv_ char **names = NULL;
	_cleanup_network_ struct cnic_network *n = NULL;
	int r = 0;

	if (!q->network)
		r = cache_networks(c, q->container_id, q->ifname, &names, err);
	if (r == 0 && !strv_len(names)) {
		if (!q->network)
			r = network_find(c, NULL, &n, err);
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
	struct cnic_network *network; /* NULL: neither cached nor configured */
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

static int network_from_record(const struct record *rec, struct cnic_network **ret,
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
		r = network_find(c, name, &t->network, err);
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

int detach(struct cnic *c, const struct request *q, const char *name, bool all,
	   struct cnic_error *err)
{
	_cleanup_attached_ struct attached t = { 0 };
	int r, failed = 0;

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
		struct cnic_error why = { 0 };

		r = plugin_call(c, t.network, i, &t.call, q->deadline, NULL, &why);
		if (r && !failed) {
			failed = r;
			if (err)
				*err = why;
		} else if (r) {
			err_add(err, "; ", why.message);
		}
		if (r && !all)
			break;
	}
	return failed ? failed : cache_remove(c, name, q->container_id, q->ifname, err);
}

static int detach_from_all(struct cnic *c, const struct cnic_attachment *a, bool all,
			   struct cnic_error *err)
{
	_cleanup_request_ struct request q = { 0 };
	_cleanup_strv_ char **names = NULL;
	int r, failed = 0;

	r = request_read(&q, c, a, false, err);
	if (r == 0)
		r = request_networks(c, &q, &names, err);
	for (char **n = names; r == 0 && n && *n; n++) {
		struct cnic_error why = { 0 };
		int e = detach(c, &q, *n, all, &why);

		if (e && !failed) {
			failed = e;
			if (err)
				*err = why;
		}
	}
	return r ? r : failed;
}

PUBLIC int cnic_detach(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err)
{
	return detach_from_all(c, a, false, err);
}

PUBLIC int cnic_release(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err)
{
	return detach_from_all(c, a, true, err);
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
	if (!t.network)
		return not_cached(q, name, err);
	if (!version_at_least(t.network->version, "0.4.0"))
		return err_set(err, CNIC_E_UNSUPPORTED,
			       "configuration version \"%s\" does not support the CHECK command",
			       t.network->version);
	if (!t.result && !t.network->disable_check)
		return not_cached(q, name, err);
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
