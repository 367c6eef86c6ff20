/* SPDX-License-Identifier: Apache-2.0 */
/* What is loaded, and whether it works. */
#include "private.h"

PUBLIC int cnic_default_network(struct cnic *c, char **ret)
{
	_cleanup_network_set_ struct network_set *set = NULL;
	char *name;

	if (!c || !ret)
		return -EINVAL;
	set = networks_now(c);
	if (!set->standard)
		return CNIC_E_NO_NETWORK;
	name = strdup(set->standard->name);
	if (!name)
		return -ENOMEM;
	*ret = name;
	return 0;
}

PUBLIC int cnic_networks(struct cnic *c, struct cnic_network ***ret)
{
	_cleanup_network_set_ struct network_set *set = NULL;
	struct cnic_network **v;

	if (!c || !ret)
		return -EINVAL;
	set = networks_now(c);
	v = calloc(set->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < set->n; i++)
		v[i] = network_ref(set->networks[i]);
	*ret = v;
	return 0;
}

PUBLIC struct cnic_network **cnic_networks_free(struct cnic_network **v)
{
	for (struct cnic_network **n = v; n && *n; n++)
		network_unref(*n);
	free(v);
	return NULL;
}

PUBLIC const char *cnic_network_name(const struct cnic_network *n)
{
	return n ? n->name : NULL;
}

PUBLIC const char *cnic_network_version(const struct cnic_network *n)
{
	return n ? n->version : NULL;
}

PUBLIC const char *cnic_network_file(const struct cnic_network *n)
{
	return n ? n->file : NULL;
}

PUBLIC const char *cnic_network_plugin(const struct cnic_network *n, size_t i)
{
	return n && i < n->n_plugins ? n->plugins[i].type : NULL;
}

PUBLIC int cnic_network_config(const struct cnic_network *n, size_t i, char **ret)
{
	_cleanup_str_ struct str s = STR_INIT;
	int r;

	if (!n || !ret || i >= n->n_plugins)
		return -EINVAL;
	r = json_format(n->doc, n->plugins[i].conf, 0, &s);
	if (!r)
		*ret = str_take(&s, NULL);
	return r ? r : *ret ? 0 : -ENOMEM;
}

PUBLIC const char *cnic_network_capability(const struct cnic_network *n, size_t i)
{
	return n && i < strv_len(n->capabilities) ? n->capabilities[i] : NULL;
}

static int status_of(struct cnic *c, const struct cnic_network *n, int64_t deadline,
		     struct cnic_error *err)
{
	static const struct call call = { .command = "STATUS" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < n->n_plugins; i++) {
		_cleanup_free_ char *path = NULL;

		if (version_at_least(n->version, "1.1.0"))
			r = plugin_call(c, n, i, &call, deadline, NULL, err);
		else
			r = plugin_find(c, n->plugins[i].type, &path, NULL, err);
	}
	return r;
}

PUBLIC int cnic_network_status(struct cnic *c, const char *network, int timeout_ms,
			       struct cnic_error *err)
{
	_cleanup_network_ struct cnic_network *n = NULL;
	int r;

	err_start(err);
	if (!c)
		return err_sysr(err, -EINVAL, "network status");
	r = network_find(c, network && *network ? network : NULL, &n, err);
	return r ? r : status_of(c, n, deadline_after(timeout_ms), err);
}

PUBLIC int cnic_status(struct cnic *c, int timeout_ms, struct cnic_error *err)
{
	return cnic_network_status(c, NULL, timeout_ms, err);
}
