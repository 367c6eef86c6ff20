/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See network.h. Arguments and capability arguments are ocicni's, so that plugins see from crid what
 * they see from CRI-O; a cache file written by either is understood by the other.
 */
#include <cnic.h>
#include <cbase/json.h>
#include "errors.h"
#include "log.h"
#include "network.h"
#include "spawn.h"

#define ADD_TIMEOUT_MS 300000
#define DEL_TIMEOUT_MS 60000
#define STATUS_TIMEOUT_MS 30000
/* what ocicni gives as burst when only a rate is asked for */
#define BURST_DEFAULT (((1ll << 32) - 1) * 8 - 1)

struct network {
	struct cnic *cnic;
};

/* ---- plugins are started by the daemon's spawner ---- */

static int run_plugin(void *user, const char *path, const char *const *env, const char *input, size_t input_len,
		      int timeout_ms, char **ret_out, size_t *ret_out_len, char **ret_errout, int *ret_status)
{
	struct cb_error err = { 0 };
	struct spawn s = SPAWN_INIT;
	size_t errout_len;
	int r;

	s.path = path;
	s.argv = (const char *const[]){ path, NULL };
	s.env = env;
	r = spawn_run(&s, input, input_len, CNIC_OUTPUT_MAX, timeout_ms, ret_out, ret_out_len, ret_errout, &errout_len,
		      ret_status, &err);
	return r == E_DEADLINE ? CNIC_E_TIMEOUT : r > 0 ? CNIC_E_CANCELLED : r;
}

int network_new(const struct config *c, struct network **ret, struct cb_error *err)
{
	struct network *n = calloc(1, sizeof(*n));
	struct cnic_options *o = NULL;
	char **dir;
	int r;

	if (!n || cnic_options_new(&o)) {
		free(n);
		return err_oom(err);
	}
	r = cnic_options_set_conf_dir(o, c->network_dir);
	for (dir = c->plugin_dirs; dir && *dir && !r; dir++)
		r = cnic_options_add_plugin_dir(o, *dir);
	if (!r)
		r = cnic_options_set_cache_dir(o, c->cni_cache_dir);
	if (!r && *c->cni_default_network)
		r = cnic_options_set_default_network(o, c->cni_default_network);
	if (!r)
		r = cnic_options_set_runner(o, run_plugin, NULL);
	if (!r)
		r = cnic_new(o, &n->cnic);
	cnic_options_free(o);
	if (r) {
		free(n);
		return err_sysr(err, r < 0 ? r : -EINVAL, "set up the CNI library");
	}
	*ret = n;
	return 0;
}

struct network *network_free(struct network *n)
{
	if (n)
		cnic_free(n->cnic);
	free(n);
	return NULL;
}

int network_reload(struct network *n, struct cb_error *err)
{
	struct cnic_error e = { 0 };
	int r;

	r = cnic_reload(n->cnic, &e);
	if (!r)
		r = cnic_status(n->cnic, STATUS_TIMEOUT_MS, &e);
	return r ? err_from_cnic(err, r, &e) : 0;
}

/* ---- one attachment ---- */

/* A Kubernetes quantity of bits per second: digits with k, M, G, T, P or Ki, Mi, ... */
static int parse_rate(const char *text, int64_t *ret)
{
	static const char suffixes[] = "kMGTP";
	char *end, *s;
	long long v;
	int64_t rate;
	size_t i;
	int64_t base;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (end == text || errno || v < 0)
		return -EINVAL;
	rate = v;
	s = *end ? strchr(suffixes, *end == 'K' ? 'k' : *end) : NULL;
	if (*end && (!s || !*s))
		return -EINVAL;
	if (s) {
		base = end[1] == 'i' ? 1024 : 1000;
		if (end[1] && (end[1] != 'i' || end[2]))
			return -EINVAL;
		for (i = 0; i <= (size_t)(s - suffixes); i++)
			if (__builtin_mul_overflow(rate, base, &rate))
				return -ERANGE;
	}
	*ret = rate;
	return 0;
}

static const char *annotation(const struct network_pod *p, const char *key)
{
	char *const *v;

	for (v = p->annotations; v && v[0]; v += 2)
		if (streq(v[0], key))
			return v[1];
	return NULL;
}

static int add_bandwidth(struct json_doc *d, const struct network_pod *p, struct cb_error *err)
{
	static const struct {
		const char *annotation, *rate, *burst;
	} directions[] = {
		{ "kubernetes.io/ingress-bandwidth", "ingressRate", "ingressBurst" },
		{ "kubernetes.io/egress-bandwidth", "egressRate", "egressBurst" },
	};
	struct json *o;
	const char *text;
	int64_t rate;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(directions); i++) {
		text = annotation(p, directions[i].annotation);
		if (!text)
			continue;
		if (parse_rate(text, &rate))
			return err_set(err, E_INVALID, "annotation %s: \"%.100s\" is not a quantity of bits per second",
				       directions[i].annotation, text);
		if (!rate)
			continue;
		o = json_child_object(d, json_root(d), "bandwidth");
		json_set_int(d, o, directions[i].rate, rate);
		json_set_int(d, o, directions[i].burst, BURST_DEFAULT);
	}
	return 0;
}

static int capabilities(const struct network_pod *p, char **ret, struct cb_error *err)
{
	_cleanup_json_ struct json_doc *d = json_doc_new();
	_cleanup_str_ struct str text = STR_INIT;
	struct json *annotations;
	char *const *v;
	int r;

	if (!d)
		return err_oom(err);
	r = add_bandwidth(d, p, err);
	if (r)
		return r;
	json_set_string(d, json_root(d), "cgroupPath", p->cgroup_parent ? p->cgroup_parent : "");
	annotations = json_set_object(d, json_root(d), "io.kubernetes.cri.pod-annotations");
	for (v = p->annotations; v && v[0]; v += 2)
		json_set_string(d, annotations, v[0], v[1]);
	if (json_format(d, json_root(d), JSON_SORT_KEYS, &text))
		return err_oom(err);
	*ret = str_take(&text, NULL);
	return *ret ? 0 : err_oom(err);
}

struct attachment {
	struct cnic_attachment a;
	const char *args[11];
	char *capabilities;
};

static int attachment_init(struct attachment *t, const struct network_pod *p, int timeout_ms, struct cb_error *err)
{
	int r;

	*t = (struct attachment){
		.args = { "IgnoreUnknown", "1", "K8S_POD_NAMESPACE", p->namespace, "K8S_POD_NAME", p->name,
			  "K8S_POD_INFRA_CONTAINER_ID", p->id, "K8S_POD_UID", p->uid, NULL },
	};
	t->a = (struct cnic_attachment){
		.size = sizeof(t->a), .container_id = p->id, .netns = p->netns, .args = t->args, .timeout_ms = timeout_ms,
	};
	r = capabilities(p, &t->capabilities, err);
	t->a.capabilities = t->capabilities;
	return r;
}

static int take_ips(const struct cnic_result *result, char ***ret, struct cb_error *err)
{
	_cleanup_strv_ char **v = strv_copy(NULL);
	size_t i;

	for (i = 0; v && i < cnic_result_ip_count(result); i++)
		if (strv_push(&v, cnic_result_ip(result, i)))
			return err_oom(err);
	if (!v)
		return err_oom(err);
	*ret = take(v);
	return 0;
}

int network_setup(struct network *n, const struct network_pod *p, char ***ret_ips, char **ret_result,
		  struct cb_error *err)
{
	_cleanup_free_ char *json = NULL;
	_cleanup_strv_ char **ips = NULL;
	struct cnic_result *result = NULL;
	struct cnic_error e = { 0 };
	struct attachment t;
	int r;

	r = attachment_init(&t, p, ADD_TIMEOUT_MS, err);
	if (r)
		return r;
	r = cnic_attach(n->cnic, &t.a, &result, &e);
	free(t.capabilities);
	if (r)
		return err_from_cnic(err, r, &e);
	r = take_ips(result, &ips, err);
	json = strdup(cnic_result_json(result));
	cnic_result_free(result);
	if (!r && !json)
		r = err_oom(err);
	if (r)
		return r;
	*ret_ips = take(ips);
	*ret_result = take(json);
	return 0;
}

int network_teardown(struct network *n, const struct network_pod *p, struct cb_error *err)
{
	struct cnic_error e = { 0 };
	struct attachment t;
	int r;

	/* bad annotations never got as far as ADD */
	r = attachment_init(&t, p, DEL_TIMEOUT_MS, err);
	if (r)
		return r;
	r = cnic_detach(n->cnic, &t.a, &e);
	if (r == CNIC_E_NO_NETWORK || r == CNIC_E_NOT_CACHED)
		r = 0;
	if (r && !p->netns) {
		/* nothing is left to take apart: its plugins had their chance to free the addresses */
		log_warn("pod %s: network teardown without its namespace: %s", p->id, e.message);
		r = cnic_forget(n->cnic, &t.a, &e);
	}
	free(t.capabilities);
	return r ? err_from_cnic(err, r, &e) : 0;
}

int network_addresses(struct network *n, const struct network_pod *p, char ***ret_ips, struct cb_error *err)
{
	struct cnic_result *result = NULL;
	struct cnic_error e = { 0 };
	struct attachment t;
	int r;

	r = attachment_init(&t, p, DEL_TIMEOUT_MS, err);
	if (r)
		return r;
	r = cnic_cached(n->cnic, &t.a, &result, &e);
	free(t.capabilities);
	if (r == CNIC_E_NOT_CACHED)
		return err_set(err, E_NOT_FOUND, "%s", e.message);
	if (r)
		return err_from_cnic(err, r, &e);
	r = take_ips(result, ret_ips, err);
	cnic_result_free(result);
	return r;
}
