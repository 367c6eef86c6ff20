/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon adds to libcnic: the arguments that CRI-O's network library gives the plugins
 * (they are in the cache file, where CRI-O finds them after a take-over), the daemon's spawner
 * to run them, and what to do about a pod whose network cannot be taken down any more.
 */
#include <cnic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include "errors.h"
#include "log.h"
#include "namespaces.h"
#include "network.h"
#include "network_private.h"
#include "spawn.h"

#define ADD_TIMEOUT_MS (5 * 60 * 1000)
#define STATUS_TIMEOUT_MS (10 * 1000)
/* Of the limited rate: as much as the kernel's token bucket takes, in bits. */
#define BURST "34359738359"

/* ---- running plugins ---- */

/* Borrows env and mark. */
static const char **marked_env(const char *const *env, const char *mark)
{
	const char **copy;
	size_t n = 0;

	while (env[n])
		n++;
	copy = calloc(n + 2, sizeof(*copy));
	if (copy) {
		memcpy(copy, env, n * sizeof(*copy));
		copy[n] = mark;
	}
	return copy;
}

static int run_plugin(void *user, const char *path, const char *const *env, const char *input,
		      size_t input_len, int timeout_ms, char **ret_out, size_t *ret_out_len,
		      char **ret_errout, int *ret_status)
{
	const char *argv[] = { path, NULL };
	_cleanup_free_ char *out = NULL, *errout = NULL;
	_cleanup_free_ const char **marked = NULL;
	char mark[CNIC_MARK_MAX];
	struct spawn s = SPAWN_INIT;
	size_t out_len;
	int r;

	marked = marked_env(env, mark);
	if (!marked)
		return -ENOMEM;
	r = cnic_mark_make(mark);
	if (r)
		return r;
	s.path = path;
	s.argv = argv;
	s.env = marked;
	r = spawn_run(&s, input, input_len, CNIC_OUTPUT_MAX + 1, timeout_ms, &out, &out_len,
		      &errout, NULL, ret_status, NULL);
	/* what it started has lost it, and may have left its process group */
	if (r || WIFSIGNALED(*ret_status))
		cnic_mark_kill(mark);
	if (r)
		return r == E_DEADLINE ? CNIC_E_TIMEOUT : r > 0 ? -EIO : r;
	if (out_len > CNIC_OUTPUT_MAX)
		return -EFBIG;
	*ret_out = take(out);
	*ret_out_len = out_len;
	*ret_errout = take(errout);
	return 0;
}

static int set_options(struct cnic_options *o, const struct config *c)
{
	int r = cnic_options_set_conf_dir(o, c->network_dir);

	for (char **dir = c->plugin_dirs; !r && dir && *dir; dir++)
		r = cnic_options_add_plugin_dir(o, *dir);
	if (!r)
		r = cnic_options_set_cache_dir(o, c->cni_cache_dir);
	if (!r && c->cni_default_network && *c->cni_default_network)
		r = cnic_options_set_default_network(o, c->cni_default_network);
	return r ? r : cnic_options_set_runner(o, run_plugin, NULL);
}

/* As CRI-O does it. */
static void make_dirs(const struct config *c)
{
	char *const conf[] = { c->network_dir, NULL };
	char *const *const all[] = { conf, c->plugin_dirs };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (char *const *dir = all[i]; dir && *dir; dir++) {
			r = mkdir_p(*dir, 0755);
			if (r)
				log_warn("make %s: %s", *dir, strerror(-r));
		}
}

int network_new(const struct config *c, struct network **ret, struct cb_error *err)
{
	struct network *n = calloc(1, sizeof(*n));
	struct cnic_options *o = NULL;
	struct cnic_error e = { 0 };
	int r;

	if (!n)
		return err_oom(err);
	pthread_rwlock_init(&n->attaching, NULL);
	r = cnic_options_new(&o);
	if (!r)
		r = set_options(o, c);
	if (!r)
		r = cnic_new(o, &n->cnic);
	cnic_options_free(o);
	if (r) {
		network_free(n);
		return r < 0 ? err_sysr(err, r, "set up CNI")
			     : err_set(err, E_INVALID,
				       "the options of crio.network are not usable for CNI");
	}
	if (cnic_sweep(n->cnic, &e))
		log_warn("CNI: %s", e.message);
	make_dirs(c);
	if (cnic_watch_new(n->cnic, &n->watch, &e))
		log_warn("%s: it is looked at every few seconds", e.message);
	*ret = n;
	return 0;
}

struct network *network_free(struct network *n)
{
	if (!n)
		return NULL;
	cnic_watch_free(n->watch);
	cnic_free(n->cnic);
	pthread_rwlock_destroy(&n->attaching);
	free(n);
	return NULL;
}

int network_reload(struct network *n, struct cb_error *err)
{
	struct cnic_error e = { 0 };
	int r = cnic_reload(n->cnic, &e);

	if (r)
		return err_from_cnic(err, r, &e);
	if (*e.message)
		log_warn("CNI: %s", e.message);
	r = cnic_status(n->cnic, STATUS_TIMEOUT_MS, &e);
	return r ? err_from_cnic(err, r, &e) : 0;
}

bool network_has_status(struct network *n)
{
	_cleanup_free_ char *name = NULL;
	struct cnic_network **all = NULL;
	bool has = false;

	if (cnic_default_network(n->cnic, &name) || cnic_networks(n->cnic, &all))
		return false;
	for (struct cnic_network **one = all; *one; one++)
		has |= streq(cnic_network_name(*one), name) && streq(cnic_network_version(*one), "1.1.0");
	cnic_networks_free(all);
	return has;
}

int network_watch_fd(const struct network *n)
{
	return cnic_watch_fd(n->watch);
}

bool network_changed(struct network *n)
{
	struct cnic_error e = { 0 };
	int changed = 0;

	if (!cnic_watch_dispatch(n->watch, &changed, &e))
		return changed;
	log_warn("%s", e.message);
	return true;
}

/* ---- arguments ---- */

/* 10^n or 2^n for a suffix; false when there is no such suffix. */
static bool suffix_scale(const char *s, int *ret_ten, int *ret_two)
{
	static const struct {
		char text[3];
		signed char ten, two;
	} suffixes[] = {
		{ "", 0, 0 },	 { "n", -9, 0 },  { "u", -6, 0 },  { "m", -3, 0 },
		{ "k", 3, 0 },	 { "M", 6, 0 },	  { "G", 9, 0 },   { "T", 12, 0 },
		{ "P", 15, 0 },	 { "E", 18, 0 },  { "Ki", 0, 10 }, { "Mi", 0, 20 },
		{ "Gi", 0, 30 }, { "Ti", 0, 40 }, { "Pi", 0, 50 }, { "Ei", 0, 60 },
	};
	long long exponent;

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		if (streq(s, suffixes[i].text)) {
			*ret_ten = suffixes[i].ten;
			*ret_two = suffixes[i].two;
			return true;
		}
	}
	if ((*s != 'e' && *s != 'E') || str_to_i64(s + 1 + (s[1] == '+'), &exponent) ||
	    exponent < -18 || exponent > 18)
		return false;
	*ret_ten = (int)exponent;
	*ret_two = 0;
	return true;
}

int quantity_parse(const char *text, int64_t *ret)
{
	bool negative = *text == '-', point = false;
	const char *p = text + (*text == '-' || *text == '+');
	unsigned __int128 value = 0, divisor = 1;
	int digits = 0, ten, two;

	for (; (*p >= '0' && *p <= '9') || (*p == '.' && !point); p++) {
		if (*p == '.') {
			point = true;
			continue;
		}
		if (++digits > 18)
			return -ERANGE;
		value = value * 10 + (unsigned)(*p - '0');
		if (point)
			divisor *= 10;
	}
	if (!digits || !suffix_scale(p, &ten, &two))
		return -EINVAL;
	/* at most 10^18 * 2^60 and 10^36: both fit */
	for (; ten > 0; ten--)
		value *= 10;
	for (; ten < 0; ten++)
		divisor *= 10;
	value <<= two;
	if (!negative)
		value = (value + divisor - 1) / divisor;
	else
		value /= divisor;
	if (value > INT64_MAX)
		value = INT64_MAX;
	*ret = negative ? -(int64_t)value : (int64_t)value;
	return 0;
}

static const char *annotation(const struct network_pod *p, const char *key)
{
	for (char *const *a = p->annotations; a && a[0] && a[1]; a += 2)
		if (streq(a[0], key))
			return a[1];
	return NULL;
}

static int add_rate(struct json_doc *doc, const struct network_pod *p, const char *direction,
		    struct cb_error *err)
{
	char key[64], number[24];
	struct json *bandwidth;
	const char *text;
	int64_t rate;

	snprintf(key, sizeof(key), "kubernetes.io/%s-bandwidth", direction);
	text = annotation(p, key);
	if (!text)
		return 0;
	if (quantity_parse(text, &rate))
		return err_set(err, E_INVALID, "annotation %s: \"%s\" is not a quantity", key,
			       text);
	if (rate <= 0)
		return 0;
	bandwidth = json_child_object(doc, json_root(doc), "bandwidth");
	snprintf(number, sizeof(number), "%lld", (long long)rate);
	snprintf(key, sizeof(key), "%sRate", direction);
	json_set(doc, bandwidth, key, json_new_number(doc, number));
	snprintf(key, sizeof(key), "%sBurst", direction);
	json_set(doc, bandwidth, key, json_new_number(doc, BURST));
	return 0;
}

int network_capabilities(const struct network_pod *p, struct str *out, struct cb_error *err)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct json *annotations;
	int r;

	if (!doc)
		return err_oom(err);
	r = add_rate(doc, p, "ingress", err);
	if (!r)
		r = add_rate(doc, p, "egress", err);
	if (r)
		return r;
	if (p->cgroup_parent && *p->cgroup_parent)
		json_set_string(doc, json_root(doc), "cgroupPath", p->cgroup_parent);
	annotations = json_set_object(doc, json_root(doc), "io.kubernetes.cri.pod-annotations");
	for (char *const *a = p->annotations; a && a[0] && a[1]; a += 2)
		json_set_string(doc, annotations, a[0], a[1]);
	return json_format(doc, json_root(doc), JSON_SORT_KEYS, out) ? err_oom(err) : 0;
}

/* They become "KEY=VALUE;KEY=VALUE" in CNI_ARGS, which has no quoting. */
static int check_arg(const char *what, const char *value, struct cb_error *err)
{
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == ';' || *p == '=')
			return err_set(err, E_INVALID,
				       "%s of the pod holds ';', '=' or a control character", what);
	return 0;
}

struct call {
	const char *args[11];
	struct str capabilities;
	struct cnic_attachment a;
};

static void call_done(struct call *c)
{
	str_done(&c->capabilities);
}
#define _cleanup_call_ _cleanup_(call_done)

static int call_init(struct call *c, const struct network_pod *p, int timeout_ms,
		     struct cb_error *err)
{
	/* a pod that CRI-O left may lack some */
	const char *name = p->name ? p->name : "", *namespace = p->namespace ? p->namespace : "";
	const char *uid = p->uid ? p->uid : "";
	int r = check_arg("name", name, err);

	*c = (struct call){
		.args = {
			"IgnoreUnknown", "1", "K8S_POD_NAMESPACE", namespace, "K8S_POD_NAME", name,
			"K8S_POD_INFRA_CONTAINER_ID", p->id, "K8S_POD_UID", uid,
		},
		.capabilities = STR_INIT,
	};
	if (!r)
		r = check_arg("namespace", namespace, err);
	if (!r)
		r = check_arg("uid", uid, err);
	if (!r)
		r = network_capabilities(p, &c->capabilities, err);
	if (r)
		return r;
	c->a = (struct cnic_attachment){
		.size = sizeof(c->a),
		.container_id = p->id,
		.netns = p->netns,
		.args = c->args,
		.capabilities = c->capabilities.data,
		.timeout_ms = timeout_ms,
	};
	return 0;
}

/* ---- operations ---- */

static int result_ips(const struct cnic_result *result, char ***ret, struct cb_error *err)
{
	_cleanup_strv_ char **v = strv_copy(NULL);

	if (!v)
		return err_oom(err);
	for (size_t i = 0; i < cnic_result_ip_count(result); i++)
		if (strv_push(&v, cnic_result_ip(result, i)))
			return err_oom(err);
	*ret = take(v);
	return 0;
}

int network_setup(struct network *n, const struct network_pod *p, char ***ret_ips,
		  char **ret_result, struct cb_error *err)
{
	_cleanup_call_ struct call c;
	_cleanup_strv_ char **ips = NULL;
	struct cnic_result *result = NULL;
	struct cnic_error e = { 0 };
	char *text = NULL;
	int r = call_init(&c, p, ADD_TIMEOUT_MS, err);

	if (r)
		return r;
	pthread_rwlock_rdlock(&n->attaching);
	r = cnic_attach(n->cnic, &c.a, &result, &e);
	pthread_rwlock_unlock(&n->attaching);
	if (r)
		return err_ctx(err, err_from_cnic(err, r, &e), "network of pod %s/%s", p->namespace,
			       p->name);
	r = result_ips(result, &ips, err);
	if (!r) {
		text = strdup(cnic_result_json(result));
		r = text ? 0 : err_oom(err);
	}
	cnic_result_free(result);
	if (r) {
		cnic_detach(n->cnic, &c.a, NULL);
		return r;
	}
	*ret_ips = take(ips);
	*ret_result = text;
	return 0;
}

/*
 * May the pod go although its network was not taken down? When there is nothing left to take it
 * down with: no namespace, no network, no plugin or one that does not answer in CNI's terms. A
 * plugin that says no may say yes at the next try, so its addresses are not given up as long as
 * the namespace is there.
 */
static bool give_up(const struct network_pod *p, int r)
{
	return !pin_exists(p->netns) || r == CNIC_E_NO_NETWORK || r == CNIC_E_INVALID;
}

int network_teardown(struct network *n, const struct network_pod *p, struct cb_error *err)
{
	_cleanup_call_ struct call c;
	struct cnic_error e = { 0 };
	struct network_pod bare = *p;
	int r;

	/*
	 * what the ADD was given is in the cache; today's annotations must not be able to stop a
	 * DEL
	 */
	bare.annotations = NULL;
	if (!pin_exists(p->netns))
		bare.netns = NULL;
	r = call_init(&c, &bare, NETWORK_DEL_TIMEOUT_MS, err);
	if (r)
		return r;
	r = cnic_detach(n->cnic, &c.a, &e);
	if (!r)
		return 0;
	if (!give_up(p, r))
		return err_ctx(err, err_from_cnic(err, r, &e), "take down the network of pod %s/%s",
			       p->namespace, p->name);
	r = cnic_release(n->cnic, &c.a, &e);
	if (!r)
		return 0;
	if (r != CNIC_E_NO_NETWORK)
		atomic_store(&n->leftovers, true);
	log_warn("network of pod %s/%s (%s) is given up%s: %s", p->namespace, p->name, p->id,
		 r == CNIC_E_NO_NETWORK ? "" : " for now", e.message);
	return 0;
}

int network_addresses(const char *result, char ***ret_ips, struct cb_error *err)
{
	_cleanup_json_ struct json_doc *d = NULL;
	_cleanup_strv_ char **ips = strv_copy(NULL);
	int r = json_parse(result, strlen(result), 0, &d, err);

	if (r)
		return err_ctx(err, r, "result of CNI");
	json_foreach(item, json_get(json_root(d), "ips")) {
		const char *address = json_get_string(item, "address");
		_cleanup_free_ char *ip = address ? strndup(address, strcspn(address, "/")) : NULL;

		if (address && (!ip || strv_push(&ips, ip)))
			return err_oom(err);
	}
	*ret_ips = take(ips);
	return 0;
}
