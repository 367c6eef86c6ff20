/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a caller asks for, checked before anything is done: names by libcni's rules, arguments that
 * keep their shape in an environment variable, capability arguments that are JSON.
 */
#include "private.h"

void request_done(struct request *q)
{
	strv_free(q->args);
	json_doc_free(q->capabilities);
}
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

int request_read(struct request *q, const struct cnic *c, const struct cnic_attachment *a,
		 bool need_netns, struct cnic_error *err)
{
	int r;

	err_start(err);
	if (!c || !a || a->size < sizeof(*a) || !a->container_id)
		return err_sysr(err, -EINVAL, "network attachment");
	q->timeout_ms = a->timeout_ms;
	q->deadline = deadline_after(a->timeout_ms);
	r = read_names(q, a, need_netns, err);
	if (r == 0)
		r = read_args(q, a->args, err);
	if (r == 0)
		r = read_capabilities(q, a->capabilities, err);
	return r;
}

int network_find(struct cnic *c, const char *name, struct cnic_network **ret,
		 struct cnic_error *err)
{
	_cleanup_network_set_ struct network_set *set = networks_now(c);
	struct cnic_network *n = name ? network_set_find(set, name) : set->standard;

	if (!n && name)
		return err_set(err, CNIC_E_NO_NETWORK, "CNI network \"%s\" not found", name);
	if (!n)
		return err_set(err, CNIC_E_NO_NETWORK, "%s", set->trouble);
	*ret = network_ref(n);
	return 0;
}
