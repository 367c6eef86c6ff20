/* SPDX-License-Identifier: Apache-2.0 */
/* See pod_request.h. On the loop's thread: nothing here blocks, and nothing is made. */
#include <limits.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include "annotations.h"
#include "cgroup.h"
#include "cri_pairs.h"
#include "errors.h"
#include "log.h"
#include "namespaces.h"
#include "pod_request.h"

#define LABEL_MAX 4096		/* bytes of key and value together, as CRI-O */

static int check_names(const Runtime__V1__PodSandboxMetadata *m, struct cb_error *err)
{
	const char *const parts[] = { m->name, m->namespace_, m->uid };
	static const char *const what[] = { "name", "namespace", "uid" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!*parts[i])
			return err_set(err, E_INVALID, "config.metadata.%s is missing", what[i]);
		if (!name_part_valid(parts[i]))
			return err_set(err, E_INVALID, "config.metadata.%s \"%.300s\" has a '/' or a control byte or is too long",
				       what[i], parts[i]);
	}
	return 0;
}

static int check_labels(const Runtime__V1__PodSandboxConfig *c, struct cb_error *err)
{
	size_t i;

	if (c->n_labels > LIST_ENTRIES_MAX || c->n_annotations > LIST_ENTRIES_MAX)
		return err_set(err, E_LIMIT, "more than %d labels or annotations", LIST_ENTRIES_MAX);
	for (i = 0; i < c->n_labels; i++)
		if (strlen(c->labels[i]->key) + strlen(c->labels[i]->value) > LABEL_MAX)
			return err_set(err, E_INVALID, "label %.100s is longer than %d bytes", c->labels[i]->key, LABEL_MAX);
	return 0;
}

static int check_hostname(const char *name, struct cb_error *err)
{
	const char *p;

	for (p = name; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == '/' || *p == 0x7f)
			break;
	return *p || strlen(name) > HOST_NAME_MAX ?
		err_set(err, E_INVALID, "hostname \"%.100s\" has a '/', a blank or control byte, or is too long", name) : 0;
}

static const Runtime__V1__LinuxSandboxSecurityContext *security_of(const Runtime__V1__PodSandboxConfig *c)
{
	return c->linux ? c->linux->security_context : NULL;
}

static const Runtime__V1__NamespaceOption *namespaces_of(const Runtime__V1__PodSandboxConfig *c)
{
	const Runtime__V1__LinuxSandboxSecurityContext *s = security_of(c);

	return s ? s->namespace_options : NULL;
}

static int check_modes(const Runtime__V1__PodSandboxConfig *c, struct cb_error *err)
{
	const Runtime__V1__NamespaceOption *ns = namespaces_of(c);

	if (!ns)
		return 0;
	if ((int)ns->network == NS_TARGET || (int)ns->network == NS_CONTAINER || (int)ns->ipc == NS_TARGET ||
	    (int)ns->ipc == NS_CONTAINER || (int)ns->pid == NS_TARGET || (unsigned)ns->network > NS_TARGET ||
	    (unsigned)ns->ipc > NS_TARGET || (unsigned)ns->pid > NS_TARGET)
		return err_set(err, E_INVALID, "namespace modes network %d, pid %d, ipc %d: a pod has POD or NODE, for pid also CONTAINER",
			       (int)ns->network, (int)ns->pid, (int)ns->ipc);
	return 0;
}

int pod_request_check(struct daemon *d, const Runtime__V1__RunPodSandboxRequest *q, struct cb_error *err)
{
	const Runtime__V1__PodSandboxConfig *c = q->config;
	int r;

	if (!c || !c->metadata)
		return err_set(err, E_INVALID, "config.metadata is missing");
	if (!config_runtime(d->config, q->runtime_handler))
		return err_set(err, E_NOT_FOUND, "runtime handler \"%s\" is not configured", q->runtime_handler);
	if (*c->log_directory && *c->log_directory != '/')
		return err_set(err, E_INVALID, "log_directory \"%s\" is not absolute", c->log_directory);
	r = check_names(c->metadata, err);
	if (!r)
		r = check_labels(c, err);
	if (!r)
		r = check_hostname(c->hostname, err);
	return r ? r : check_modes(c, err);
}

static bool same_key(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && b[n] == '=';
}

/* "k=v" of the pod. Groups that a user namespace lacks are refused by the kernel, so the usual "all" is all of its own. */
static char *sysctl_entry(struct pod_info *i, const char *key, const char *value)
{
	unsigned long long first, last;

	if ((streq(key, "net.ipv4.ping_group_range") || streq(key, "net/ipv4/ping_group_range")) && id_maps_used(&i->maps) &&
	    sscanf(value, "%llu %llu", &first, &last) == 2 && last > id_maps_last_gid(&i->maps))
		return arena_printf(&i->arena, "%s=%llu %u", key, first, id_maps_last_gid(&i->maps));
	return arena_printf(&i->arena, "%s=%s", key, value);
}

/* One of the configuration, which is for all pods: where it would reach the host it is left out. */
static int add_default_sysctl(struct pod_info *i, const char *entry, char **ret)
{
	const char *value = strchrnul(entry, '='), *key = arena_strndup(&i->arena, entry, (size_t)(value - entry));
	struct cb_error err = { 0 };

	if (!key || sysctl_check(key, *value ? value + 1 : "", i->network == NS_NODE, i->ipc == NS_NODE, &err)) {
		log_warn("pod %s: default_sysctls: %s", i->id, key ? err.message : "out of memory");
		return 0;
	}
	*ret = sysctl_entry(i, key, value + 1);
	return 1;
}

/* The configuration's first; the pod's own win. */
static int set_sysctls(struct daemon *d, struct pod_info *i, const Runtime__V1__PodSandboxConfig *c, struct cb_error *err)
{
	size_t defaults = strv_len(d->config->default_sysctls), own = c->linux ? c->linux->n_sysctls : 0, n = 0, k;
	char *const *v;
	int r;

	i->sysctls = arena_alloc(&i->arena, (defaults + own + 1) * sizeof(*i->sysctls));
	if (!i->sysctls)
		return err_oom(err);
	for (k = 0; k < own; k++) {
		r = sysctl_check(c->linux->sysctls[k]->key, c->linux->sysctls[k]->value, i->network == NS_NODE, i->ipc == NS_NODE, err);
		if (r)
			return r;
		i->sysctls[n++] = sysctl_entry(i, c->linux->sysctls[k]->key, c->linux->sysctls[k]->value);
	}
	for (v = d->config->default_sysctls; v && *v; v++) {
		for (k = 0; k < own && i->sysctls[k] && !same_key(*v, i->sysctls[k]); k++)
			;
		if (k == own)
			n += add_default_sysctl(i, *v, &i->sysctls[n]);
	}
	return arena_failed(&i->arena) ? err_oom(err) : 0;
}

static void set_hostname(struct pod_info *i, const char *hostname)
{
	char host[HOST_NAME_MAX + 1] = "";

	if (!*hostname && i->network == NS_NODE)
		gethostname(host, sizeof(host) - 1);
	i->hostname = *hostname ? arena_strdup(&i->arena, hostname) : *host ? arena_strdup(&i->arena, host) :
		arena_strndup(&i->arena, i->id, 12);
}

static void set_modes(struct pod_info *i, const struct config *config, const Runtime__V1__PodSandboxConfig *c)
{
	const Runtime__V1__NamespaceOption *ns = namespaces_of(c);
	const Runtime__V1__LinuxSandboxSecurityContext *s = security_of(c);

	i->network = ns ? (enum ns_mode)ns->network : NS_POD;
	i->pid = ns ? (enum ns_mode)ns->pid : NS_POD;
	i->ipc = ns ? (enum ns_mode)ns->ipc : NS_POD;
	i->privileged = s && s->privileged;
	i->spoofed = config->drop_infra_ctr && i->pid != NS_POD;
}

/* Those of the request, and what the kubelet would have set when somebody else asks, as CRI-O does. */
static char **pod_labels(struct arena *a, const Runtime__V1__PodSandboxConfig *c)
{
	const char *const usual[][2] = {
		{ "io.kubernetes.container.name", "POD" }, { "io.kubernetes.pod.name", c->metadata->name },
		{ "io.kubernetes.pod.namespace", c->metadata->namespace_ }, { "io.kubernetes.pod.uid", c->metadata->uid },
	};
	char **own = PAIRS_FROM(a, c->labels, c->n_labels), **all = arena_alloc(a, (2 * (c->n_labels + ARRAY_SIZE(usual)) + 1) * sizeof(*all));
	size_t n;

	if (!own || !all)
		return NULL;
	n = strv_len(own);
	memcpy(all, own, n * sizeof(*all));
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
		if (pairs_get(own, usual[i][0]))
			continue;
		all[n++] = arena_strdup(a, usual[i][0]);
		all[n++] = arena_strdup(a, usual[i][1]);
	}
	return all;
}

static void set_number(struct json_doc *d, const char *key, int64_t value)
{
	if (value)
		json_set_int(d, json_root(d), key, value);
}

static void set_text(struct json_doc *d, const char *key, const char *value)
{
	if (*value)
		json_set_string(d, json_root(d), key, value);
}

static void set_hugepages(struct json_doc *d, const Runtime__V1__LinuxContainerResources *q)
{
	struct json *list = q->n_hugepage_limits ? json_set_array(d, json_root(d), "hugepage_limits") : NULL, *o;

	for (size_t i = 0; i < q->n_hugepage_limits; i++) {
		o = json_new_object(d);
		json_append(d, list, o);
		json_set_string(d, o, "page_size", q->hugepage_limits[i]->page_size);
		if (q->hugepage_limits[i]->limit)
			json_set_int(d, o, "limit", (int64_t)q->hugepage_limits[i]->limit);
	}
}

/* The message as Go prints it, for a record; "null" when there is none. */
static const char *resources_json(struct arena *a, const Runtime__V1__LinuxContainerResources *q)
{
	_cleanup_json_ struct json_doc *d = q ? json_doc_new() : NULL;
	_cleanup_str_ struct str s = STR_INIT;
	struct json *unified;

	if (!q)
		return "null";
	if (!d)
		return NULL;
	set_number(d, "cpu_period", q->cpu_period);
	set_number(d, "cpu_quota", q->cpu_quota);
	set_number(d, "cpu_shares", q->cpu_shares);
	set_number(d, "memory_limit_in_bytes", q->memory_limit_in_bytes);
	set_number(d, "oom_score_adj", q->oom_score_adj);
	set_text(d, "cpuset_cpus", q->cpuset_cpus);
	set_text(d, "cpuset_mems", q->cpuset_mems);
	set_hugepages(d, q);
	unified = q->n_unified ? json_set_object(d, json_root(d), "unified") : NULL;
	for (size_t i = 0; i < q->n_unified; i++)
		json_set_string(d, unified, q->unified[i]->key, q->unified[i]->value);
	set_number(d, "memory_swap_limit_in_bytes", q->memory_swap_limit_in_bytes);
	return json_format(d, json_root(d), 0, &s) ? NULL : arena_strdup(a, s.data);
}

/* Does a pod of the table have the level? Each has its own, if nobody asked for another. */
static bool level_taken(const struct daemon *d, const char *level)
{
	for (const struct pod *p = d->pods; p; p = p->next)
		if (streq(selinux_level_of(p->info->process_label), level))
			return true;
	return false;
}

/* Pods that share much with the host have no label of their own, and files that every container may use. */
static int set_labels(struct daemon *d, struct pod_info *i, const Runtime__V1__PodSandboxConfig *c, struct cb_error *err)
{
	const Runtime__V1__LinuxSandboxSecurityContext *q = security_of(c);
	const Runtime__V1__SELinuxOption *o = q ? q->selinux_options : NULL;
	const struct selinux *s = d->sv.selinux;
	char level[SELINUX_LEVEL_LEN] = "";
	int r = 0;

	i->process_label = i->mount_label = "";
	if (!s)
		return 0;
	i->mount_label = selinux_file_label(s);
	if (i->privileged || i->pid == NS_NODE || i->ipc == NS_NODE ||
	    (i->network == NS_NODE && d->config->hostnetwork_disable_selinux))
		return 0;
	while (!r && (!o || !*o->level) && (!*level || level_taken(d, level)))
		r = selinux_level_make(level);
	if (r)
		return err_sysr(err, r, "choose a level");
	r = selinux_process_make(&i->arena, selinux_process_label(s), o, level, &i->process_label, err);
	return r ? r : selinux_file_make(&i->arena, selinux_file_label(s), i->process_label, &i->mount_label, err);
}

int pod_request_fill(struct daemon *d, struct pod_info *i, const Runtime__V1__RunPodSandboxRequest *q, const char *name,
		     struct cb_error *err)
{
	const Runtime__V1__PodSandboxConfig *c = q->config;
	_cleanup_free_ char *cgroup = NULL;
	struct arena *a = &i->arena;
	char id[65];
	int r;

	r = daemon_new_id(id);
	if (r)
		return err_sysr(err, r, "make an id");
	i->id = arena_strdup(a, id);
	i->name = arena_strdup(a, name);
	i->infra_name = arena_printf(a, "k8s_POD_%s", name + strlen("k8s_"));
	i->meta_name = arena_strdup(a, c->metadata->name);
	i->meta_uid = arena_strdup(a, c->metadata->uid);
	i->meta_namespace = arena_strdup(a, c->metadata->namespace_);
	i->attempt = c->metadata->attempt;
	i->created = now_ns();
	i->labels = pod_labels(a, c);
	i->overhead = resources_json(a, c->linux ? c->linux->overhead : NULL);
	i->resources = resources_json(a, c->linux ? c->linux->resources : NULL);
	if (!i->labels || !i->overhead || !i->resources)
		return err_oom(err);
	i->annotations = PAIRS_FROM(a, c->annotations, c->n_annotations);
	annotations_drop(i->annotations, config_runtime(d->config, q->runtime_handler)->allowed_annotations);
	i->log_dir = *c->log_directory ? arena_strdup(a, c->log_directory) : arena_printf(a, "%s/%s", d->config->log_dir, id);
	i->handler = arena_strdup(a, q->runtime_handler);
	i->cgroup_parent = arena_strdup(a, c->linux ? c->linux->cgroup_parent : "");
	i->image = arena_strdup(a, d->config->pause_image);
	set_modes(i, d->config, c);
	if (arena_failed(a))
		return err_oom(err);
	r = set_labels(d, i, c, err);
	if (r)
		return r;
	r = id_maps_from_cri(a, namespaces_of(c) ? namespaces_of(c)->userns_options : NULL, d->config, &i->maps, err);
	if (r)
		return r;
	set_hostname(i, c->hostname);
	r = cgroup_path(d->config->systemd_cgroups, i->cgroup_parent, id, &cgroup, err);
	if (r)
		return r;
	i->cgroup_path = arena_strdup(a, cgroup);
	r = hostports_from_cri(a, c, &i->port_mappings, err);
	return r ? r : set_sysctls(d, i, c, err);
}
