/* SPDX-License-Identifier: Apache-2.0 */
/* RPCs about pods. Lists and status are answered from the table; only verbose status reads a file. */
#include <cbase/io.h>
#include "cri.h"
#include "cri_objects.h"
#include "cri_verbose.h"
#include "errors.h"
#include "pods.h"

#define SECOND 1000000000ll
#define POD_FIELD(m, field, pairs, entry) \
	((m)->field = pairs_to_entries(a, (pairs), &runtime__v1__##entry##__descriptor, &(m)->n_##field))

static void run_pod_sandbox(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	size_t n;
	void *bytes = cri_request_copy(call, &n);

	if (!bytes) {
		crisvc_cri_free(q);
		call_fail(call, -ENOMEM, &(struct cb_error){ .message = "out of memory" });
		return;
	}
	pod_run(d, call, (Runtime__V1__RunPodSandboxRequest *)q, bytes, n);
}

/* The containers' grace is what the caller's own deadline leaves, a second kept for the rest. */
static int64_t pod_grace(const struct crisvc_call *call)
{
	int64_t left = cri_time_left(call, STOP_SECONDS_DEFAULT * SECOND) - SECOND;

	return left < 0 ? 0 : left > STOP_SECONDS_DEFAULT * SECOND ? STOP_SECONDS_DEFAULT * SECOND : left;
}

static void stop_pod_sandbox(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const char *id = ((Runtime__V1__StopPodSandboxRequest *)q)->pod_sandbox_id;
	Runtime__V1__StopPodSandboxResponse m = RUNTIME__V1__STOP_POD_SANDBOX_RESPONSE__INIT;
	struct pod *p = daemon_find_pod(d, id);
	struct cb_error err = { 0 };

	if (!*id)
		call_fail(call, err_set(&err, E_INVALID, "pod_sandbox_id is missing"), &err);
	else if (p)
		pod_stop(p, call, pod_grace(call));
	else
		call_reply(call, &m.base);
	crisvc_cri_free(q);
}

static void remove_pod_sandbox(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const char *id = ((Runtime__V1__RemovePodSandboxRequest *)q)->pod_sandbox_id;
	Runtime__V1__RemovePodSandboxResponse m = RUNTIME__V1__REMOVE_POD_SANDBOX_RESPONSE__INIT;
	struct pod *p = daemon_find_pod(d, id);
	struct cb_error err = { 0 };

	if (!*id)
		call_fail(call, err_set(&err, E_INVALID, "pod_sandbox_id is missing"), &err);
	else if (p)
		pod_remove(p, call, pod_grace(call));
	else
		call_reply(call, &m.base);
	crisvc_cri_free(q);
}

/* The pod's cgroup is the kubelet's, who has changed it already; nothing that a status shows depends on it. */
static void update_pod_sandbox_resources(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const char *id = ((Runtime__V1__UpdatePodSandboxResourcesRequest *)q)->pod_sandbox_id;
	Runtime__V1__UpdatePodSandboxResourcesResponse m = RUNTIME__V1__UPDATE_POD_SANDBOX_RESOURCES_RESPONSE__INIT;

	if (daemon_find_pod(d, id))
		call_reply(call, &m.base);
	else
		cri_not_found(call, "pod", id);
	crisvc_cri_free(q);
}

/* ---- list ---- */

static Runtime__V1__PodSandboxState cri_state(const struct pod *p)
{
	return p->state == POD_READY || (p->state == POD_STOPPING && !p->half) ? RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY :
		RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
}

Runtime__V1__PodSandboxMetadata *cri_pod_metadata(struct arena *a, const struct pod_info *i)
{
	Runtime__V1__PodSandboxMetadata *m = cri_message(a, &runtime__v1__pod_sandbox_metadata__descriptor);

	if (!m)
		return NULL;
	m->name = cri_text(i->meta_name);
	m->uid = cri_text(i->meta_uid);
	m->namespace_ = cri_text(i->meta_namespace);
	m->attempt = i->attempt;
	return m;
}

static Runtime__V1__PodSandbox *list_item(struct arena *a, const struct pod *p)
{
	Runtime__V1__PodSandbox *m = cri_message(a, &runtime__v1__pod_sandbox__descriptor);

	if (!m)
		return NULL;
	m->id = cri_text(p->info->id);
	m->metadata = cri_pod_metadata(a, p->info);
	m->state = cri_state(p);
	m->created_at = p->info->created;
	POD_FIELD(m, labels, p->info->labels, pod_sandbox__labels_entry);
	POD_FIELD(m, annotations, p->info->annotations, pod_sandbox__annotations_entry);
	m->runtime_handler = cri_text(p->info->handler);
	return m;
}

static bool wanted(const struct pod *p, const Runtime__V1__PodSandboxFilter *f, const struct pod *by_id)
{
	if (!pod_visible(p))
		return false;
	if (!f)
		return true;
	return (!*f->id || p == by_id) && (!f->state || f->state->state == cri_state(p)) &&
		pairs_match(p->info->labels, (void *const *)(void *)f->label_selector, f->n_label_selector);
}

static void list_pod_sandbox(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const Runtime__V1__PodSandboxFilter *f = cri_filter(q);
	Runtime__V1__ListPodSandboxResponse m = RUNTIME__V1__LIST_POD_SANDBOX_RESPONSE__INIT;
	const struct pod *by_id = f && *f->id ? daemon_find_pod(d, f->id) : NULL, *p;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	size_t n = 0;

	for (p = d->pods; p; p = p->next)
		n += wanted(p, f, by_id);
	m.items = arena_alloc(&a, n * sizeof(*m.items));
	for (p = d->pods; m.items && p; p = p->next)
		if (wanted(p, f, by_id))
			m.items[m.n_items++] = list_item(&a, p);
	cri_reply_list(call, &m.base, &a);
	crisvc_cri_free(q);
}

/* ---- status ---- */

/* Without addresses once they are given back. */
static Runtime__V1__PodSandboxNetworkStatus *network(struct arena *a, const struct pod *p)
{
	Runtime__V1__PodSandboxNetworkStatus *m = cri_message(a, &runtime__v1__pod_sandbox_network_status__descriptor);
	char **ips = p->network_down ? NULL : p->info->ips;
	size_t n = strv_len(ips), k;

	if (!m || !n)
		return m;
	m->ip = ips[0];
	m->additional_ips = arena_alloc(a, n * sizeof(*m->additional_ips));
	for (k = 1; m->additional_ips && k < n; k++) {
		Runtime__V1__PodIP *ip = cri_message(a, &runtime__v1__pod_ip__descriptor);

		if (!ip)
			return m;
		ip->ip = ips[k];
		m->additional_ips[m->n_additional_ips++] = ip;
	}
	return m;
}

static Runtime__V1__IDMapping **mappings(struct arena *a, const struct cstore_id_range *r, size_t n)
{
	Runtime__V1__IDMapping **v = arena_alloc(a, n * sizeof(*v));

	for (size_t i = 0; v && i < n; i++) {
		v[i] = cri_message(a, &runtime__v1__idmapping__descriptor);
		if (!v[i])
			return NULL;
		v[i]->host_id = r[i].host_id;
		v[i]->container_id = r[i].container_id;
		v[i]->length = r[i].count;
	}
	return v;
}

static Runtime__V1__UserNamespace *user_namespace(struct arena *a, const struct id_maps *m)
{
	Runtime__V1__UserNamespace *u = cri_message(a, &runtime__v1__user_namespace__descriptor);

	if (!u)
		return NULL;
	u->uids = mappings(a, m->uids, m->n_uids);
	u->gids = mappings(a, m->gids, m->n_gids);
	u->n_uids = u->uids ? m->n_uids : 0;
	u->n_gids = u->gids ? m->n_gids : 0;
	return u;
}

static Runtime__V1__LinuxPodSandboxStatus *linux_status(struct arena *a, const struct pod_info *i)
{
	Runtime__V1__LinuxPodSandboxStatus *m = cri_message(a, &runtime__v1__linux_pod_sandbox_status__descriptor);

	if (!m)
		return NULL;
	m->namespaces = cri_message(a, &runtime__v1__namespace__descriptor);
	if (!m->namespaces)
		return NULL;
	m->namespaces->options = cri_message(a, &runtime__v1__namespace_option__descriptor);
	if (!m->namespaces->options)
		return NULL;
	m->namespaces->options->network = (Runtime__V1__NamespaceMode)i->network;
	m->namespaces->options->pid = (Runtime__V1__NamespaceMode)i->pid;
	m->namespaces->options->ipc = (Runtime__V1__NamespaceMode)i->ipc;
	if (id_maps_used(&i->maps))
		m->namespaces->options->userns_options = user_namespace(a, &i->maps);
	return m;
}

Runtime__V1__PodSandboxStatus *cri_pod_status(struct arena *a, const struct pod *p)
{
	Runtime__V1__PodSandboxStatus *m = cri_message(a, &runtime__v1__pod_sandbox_status__descriptor);

	if (!m)
		return NULL;
	m->id = cri_text(p->info->id);
	m->metadata = cri_pod_metadata(a, p->info);
	m->state = cri_state(p);
	m->created_at = p->info->created;
	m->network = network(a, p);
	m->linux = linux_status(a, p->info);
	POD_FIELD(m, labels, p->info->labels, pod_sandbox_status__labels_entry);
	POD_FIELD(m, annotations, p->info->annotations, pod_sandbox_status__annotations_entry);
	m->runtime_handler = cri_text(p->info->handler);
	return m;
}

static void reply_status(struct daemon *d, struct crisvc_call *call, const char *id, const char *info)
{
	Runtime__V1__PodSandboxStatusResponse m = RUNTIME__V1__POD_SANDBOX_STATUS_RESPONSE__INIT;
	char *const pairs[] = { cri_text("info"), cri_text(info), NULL };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct pod *p = daemon_find_pod(d, id);
	struct arena *a = &arena;

	if (!p) {
		cri_not_found(call, "pod", id);
		return;
	}
	m.status = cri_pod_status(a, p);
	if (d->config->enable_pod_events) {
		m.containers_statuses = cri_container_statuses(a, p, &m.n_containers_statuses);
		m.timestamp = now_ns();
	}
	if (info)
		POD_FIELD(&m, info, pairs, pod_sandbox_status_response__info_entry);
	cri_reply(call, &m.base, a);
}

static void pod_sandbox_status(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const Runtime__V1__PodSandboxStatusRequest *s = (Runtime__V1__PodSandboxStatusRequest *)q;
	struct pod *p = daemon_find_pod(d, s->pod_sandbox_id);

	if (p && s->verbose)
		cri_verbose(d, call, p->info->id, p->info->dir, p->st.init.pid, p->info->image, NULL, false, reply_status);
	else
		reply_status(d, call, s->pod_sandbox_id, NULL);
	crisvc_cri_free(q);
}

const struct cri_rpc cri_pod_rpcs[] = {
	{ "RunPodSandbox", run_pod_sandbox },
	{ "StopPodSandbox", stop_pod_sandbox },
	{ "RemovePodSandbox", remove_pod_sandbox },
	{ "PodSandboxStatus", pod_sandbox_status },
	{ "UpdatePodSandboxResources", update_pod_sandbox_resources },
	{ "ListPodSandbox", list_pod_sandbox },
	{ "StreamPodSandboxes", list_pod_sandbox },
	{ NULL, NULL },
};
