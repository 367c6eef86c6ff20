/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See hostports.h. CRI-O writes a pod's mappings as JSON into its config.json and nothing else on disk;
 * so do we, and read the JSON again where the ports are needed: few pods have any.
 *
 * Changes are made one after the other. An entry that could not be taken away is remembered, since its
 * address may be another pod's soon.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <cbase/json.h>
#include "errors.h"
#include "hostports.h"
#include "log.h"
#include "spawn.h"

#define MAPPINGS_MAX 1000
#define TIMEOUT_MS 30000
#define MESSAGE_MAX 4096

struct hostports {
	const char *program;	/* NULL: host ports are not made */
	char *lock;
	pthread_mutex_t mutex;
	char **stale;		/* ids of pods that are gone, whose entries may be there */
};

static const struct {
	const char *name;
	int number;
} protocols[] = {
	[RUNTIME__V1__PROTOCOL__TCP] = { "TCP", IPPROTO_TCP },
	[RUNTIME__V1__PROTOCOL__UDP] = { "UDP", IPPROTO_UDP },
	[RUNTIME__V1__PROTOCOL__SCTP] = { "SCTP", IPPROTO_SCTP },
};

struct hostports *hostports_new(const struct config *c, const char *run_root)
{
	struct hostports *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	pthread_mutex_init(&h->mutex, NULL);
	h->lock = strf("%s/crid-hostports.lock", run_root);
	h->program = c->disable_hostport_mapping ? NULL : c->hostports_path;
	return h->lock ? h : hostports_free(h);
}

struct hostports *hostports_free(struct hostports *h)
{
	if (!h)
		return NULL;
	pthread_mutex_destroy(&h->mutex);
	strv_free(h->stale);
	free(h->lock);
	free(h);
	return NULL;
}

/* ---- what is asked for ---- */

static bool is_address(const char *text, bool six)
{
	unsigned char a[sizeof(struct in6_addr)];

	return inet_pton(six ? AF_INET6 : AF_INET, text, a) == 1;
}

static int check_mapping(const Runtime__V1__PortMapping *m, struct cb_error *err)
{
	if ((size_t)m->protocol >= ARRAY_SIZE(protocols))
		return err_set(err, E_INVALID, "port_mappings: protocol %d is unknown", (int)m->protocol);
	if (m->host_port < 0 || m->host_port > 65535 || m->container_port < 0 || m->container_port > 65535)
		return err_set(err, E_INVALID, "port_mappings: %d -> %d is outside 0 to 65535", m->host_port, m->container_port);
	if (m->host_port && !m->container_port)
		return err_set(err, E_INVALID, "port_mappings: host port %d leads to no container port", m->host_port);
	if (*m->host_ip && !is_address(m->host_ip, false) && !is_address(m->host_ip, true))
		return err_set(err, E_INVALID, "port_mappings: host_ip \"%.64s\" is no IP address", m->host_ip);
	return 0;
}

int hostports_from_cri(struct arena *a, const Runtime__V1__PodSandboxConfig *c, const char **ret, struct cb_error *err)
{
	_cleanup_json_ struct json_doc *d = json_doc_new();
	_cleanup_str_ struct str s = STR_INIT;
	struct json *list = d ? json_new_array(d) : NULL, *o;
	int r;

	if (c->n_port_mappings > MAPPINGS_MAX)
		return err_set(err, E_LIMIT, "more than %d port_mappings", MAPPINGS_MAX);
	for (size_t i = 0; list && i < c->n_port_mappings; i++) {
		const Runtime__V1__PortMapping *m = c->port_mappings[i];

		r = check_mapping(m, err);
		if (r)
			return r;
		if (!m->host_port)
			continue;
		o = json_new_object(d);
		json_set_int(d, o, "HostPort", m->host_port);
		json_set_int(d, o, "ContainerPort", m->container_port);
		json_set_string(d, o, "Protocol", protocols[m->protocol].name);
		json_set_string(d, o, "HostIP", m->host_ip);
		json_append(d, list, o);
	}
	if (!list || json_failed(d) || json_format(d, list, 0, &s))
		return err_oom(err);
	*ret = arena_strdup(a, s.data);
	return *ret ? 0 : err_oom(err);
}

bool hostports_any(const struct pod_info *i)
{
	return i->network != NS_NODE && i->port_mappings[0] == '[' && i->port_mappings[1] != ']';
}

/* ---- what is kept ---- */

struct mapping {
	int64_t host, to;
	int proto;
	const char *ip;		/* "" all */
};

/* false: not one that can be made. */
static bool read_mapping(const struct json *o, struct mapping *m)
{
	const char *proto = json_get_string(o, "Protocol"), *ip = json_get_string(o, "HostIP");

	*m = (struct mapping){ .host = json_get_int(o, "HostPort", 0), .to = json_get_int(o, "ContainerPort", 0) };
	for (size_t i = 0; proto && i < ARRAY_SIZE(protocols); i++)
		if (streq(proto, protocols[i].name))
			m->proto = protocols[i].number;
	m->ip = ip ? ip : "";
	return m->proto && m->host > 0 && m->host <= 65535 && m->to > 0 && m->to <= 65535;
}

static struct json_doc *read_mappings(const struct pod_info *i)
{
	struct json_doc *d = NULL;

	if (hostports_any(i))
		json_parse(i->port_mappings, strlen(i->port_mappings), 0, &d, NULL);
	return d;
}

static bool is_any(const char *ip)
{
	return !*ip || streq(ip, "0.0.0.0") || streq(ip, "::");
}

/* Any address takes in each address; IPv4 and IPv6 are apart. */
static bool collide(const struct mapping *a, const struct mapping *b)
{
	if (a->host != b->host || a->proto != b->proto)
		return false;
	if (*a->ip && *b->ip && !strchr(a->ip, ':') != !strchr(b->ip, ':'))
		return false;
	return is_any(a->ip) || is_any(b->ip) || streq(a->ip, b->ip);
}

int hostports_conflict(const struct pod_info *wants, const struct pod_info *has, struct cb_error *err)
{
	_cleanup_json_ struct json_doc *a = read_mappings(wants), *b = read_mappings(has);
	struct mapping x, y;

	if (!a || !b)
		return 0;
	json_foreach(one, json_root(a))
		json_foreach(other, json_root(b))
			if (read_mapping(one, &x) && read_mapping(other, &y) && collide(&x, &y))
				return err_set(err, E_EXISTS, "host port %s%s%lld (%s) is in use by pod %s/%s (%s)", x.ip, *x.ip ? " port " : "",
					       (long long)x.host, json_get_string(one, "Protocol"), has->meta_namespace,
					       has->meta_name, has->id);
	return 0;
}

/* ---- making it true ---- */

/* One line for each mapping and address; the first address of each family counts, as with CRI-O. */
static void append_lines(const struct pod_info *i, struct str *out)
{
	_cleanup_json_ struct json_doc *d = read_mappings(i);
	bool done[2] = { false, false };
	struct mapping m;
	char **ip;

	if (!d)
		return;
	for (ip = i->ips; ip && *ip; ip++) {
		bool six = strchr(*ip, ':');

		if (done[six])
			continue;
		done[six] = true;
		json_foreach(one, json_root(d))
			if (read_mapping(one, &m) && (!*m.ip || is_address(m.ip, six)))
				str_appendf(out, "%s %s %d %s %lld %lld\n", i->id, *ip, m.proto, is_any(m.ip) ? "*" : m.ip, (long long)m.host,
					    (long long)m.to);
	}
}

/* Locked. more: ids, or NULL to sync. */
static int run(struct hostports *h, char *const *ids, const struct str *lines, struct cb_error *err)
{
	_cleanup_free_ const char **argv = calloc(4 + strv_len(ids), sizeof(*argv));
	_cleanup_free_ char *path = strf("PATH=%s", getenv("PATH") ? getenv("PATH") : "/usr/sbin:/usr/bin:/sbin:/bin");
	const char *env[] = { path, "LC_ALL=C", NULL };
	_cleanup_free_ char *text = NULL;
	struct spawn s = SPAWN_INIT;
	int status, r, n = 0;
	size_t len;

	if (!argv || !path || lines->failed)
		return err_oom(err);
	argv[n++] = "crid-hostports";
	argv[n++] = h->lock;
	argv[n++] = ids ? "set" : "sync";
	for (; ids && *ids; ids++)
		argv[n++] = *ids;
	s.path = h->program;
	s.argv = argv;
	s.env = env;
	r = spawn_run(&s, lines->data ? lines->data : "", lines->len, MESSAGE_MAX, TIMEOUT_MS, NULL, NULL, &text, &len, &status, err);
	if (r)
		return err_ctx(err, r, "host ports");
	if (len && text[len - 1] == '\n')
		text[--len] = '\0';
	if (status)
		return err_set(err, E_FAILED, "host ports: %s", text);
	if (len)
		log_warn("host ports: %s", text);
	return 0;
}

static int set(struct hostports *h, const char *id, const struct str *lines, struct cb_error *err)
{
	_cleanup_strv_ char **ids = NULL;
	int r;

	pthread_mutex_lock(&h->mutex);
	ids = strv_copy(h->stale);
	r = !ids || strv_push(&ids, id) ? err_oom(err) : run(h, ids, lines, err);
	if (!r)
		h->stale = strv_free(h->stale);
	pthread_mutex_unlock(&h->mutex);
	return r;
}

int hostports_open(struct hostports *h, const struct pod_info *i, struct cb_error *err)
{
	_cleanup_str_ struct str lines = STR_INIT;

	if (!h->program || !hostports_any(i))
		return 0;
	append_lines(i, &lines);
	if (!lines.len && !lines.failed)
		log_warn("pod %s: it has no address for its host ports", i->id);
	return set(h, i->id, &lines, err);
}

void hostports_close(struct hostports *h, const struct pod_info *i)
{
	struct str none = STR_INIT;
	struct cb_error err = { 0 };

	if (!h->program || !hostports_any(i) || !set(h, i->id, &none, &err))
		return;
	log_warn("pod %s: %s; tried again with the next change of host ports", i->id, err.message);
	pthread_mutex_lock(&h->mutex);
	strv_push(&h->stale, i->id);
	pthread_mutex_unlock(&h->mutex);
}

void hostports_sync(struct hostports *h, const struct pod_info *const *pods, size_t n)
{
	_cleanup_str_ struct str lines = STR_INIT;
	struct cb_error err = { 0 };

	if (!h->program)
		return;
	for (; n; n--, pods++)
		append_lines(*pods, &lines);
	if (!run(h, NULL, &lines, &err))
		return;
	/* a node without nft is fine as long as no pod needs it */
	log_at(lines.len ? LOG_ERROR : LOG_DEBUG, "%s", err.message);
}
