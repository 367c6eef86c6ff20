/* SPDX-License-Identifier: Apache-2.0 */
/* RPCs about containers. */
#include <cbase/io.h>
#include "containers.h"
#include "cri.h"
#include "cri_objects.h"
#include "cri_verbose.h"
#include "errors.h"
#include "events.h"
#include "execs.h"
#include "log_reopen.h"

#define SECOND 1000000000ll
#define MAP(m, field, pairs, entry) \
	((m)->field = pairs_to_entries(a, (pairs), &runtime__v1__##entry##__descriptor, &(m)->n_##field))

static void create_container(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	Runtime__V1__CreateContainerRequest *c = (Runtime__V1__CreateContainerRequest *)q;
	struct pod *p = daemon_find_pod(d, c->pod_sandbox_id);
	void *bytes;
	size_t n;

	if (!p) {
		cri_not_found(call, "pod", c->pod_sandbox_id);
		crisvc_cri_free(q);
		return;
	}
	bytes = cri_request_copy(call, &n);
	if (!bytes) {
		call_fail(call, -ENOMEM, &(struct cb_error){ .message = "out of memory" });
		crisvc_cri_free(q);
		return;
	}
	container_create(p, call, c, bytes, n);
}

static void start_container(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const char *id = ((Runtime__V1__StartContainerRequest *)q)->container_id;
	struct container *c = daemon_find_container(d, id);

	if (c)
		container_start(c, call);
	else
		cri_not_found(call, "container", id);
	crisvc_cri_free(q);
}

static void stop_container(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const Runtime__V1__StopContainerRequest *s = (Runtime__V1__StopContainerRequest *)q;
	Runtime__V1__StopContainerResponse m = RUNTIME__V1__STOP_CONTAINER_RESPONSE__INIT;
	struct container *c = daemon_find_container(d, s->container_id);
	int64_t grace;

	if (!*s->container_id)
		cri_not_found(call, "container", "");
	else if (!c)
		call_reply(call, &m.base);
	else {
		if (s->timeout <= 0)
			grace = 0;
		else if (__builtin_mul_overflow(s->timeout, SECOND, &grace) || grace > INT64_MAX / 2)
			grace = INT64_MAX / 2;
		container_stop(c, call, grace);
	}
	crisvc_cri_free(q);
}

static void remove_container(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const char *id = ((Runtime__V1__RemoveContainerRequest *)q)->container_id;
	Runtime__V1__RemoveContainerResponse m = RUNTIME__V1__REMOVE_CONTAINER_RESPONSE__INIT;
	struct container *c = daemon_find_container(d, id);
	struct cb_error err = { 0 };

	if (!*id)
		call_fail(call, err_set(&err, E_INVALID, "container_id is missing"), &err);
	else if (c)
		container_remove(c, call, 0);
	else
		call_reply(call, &m.base);
	crisvc_cri_free(q);
}

static void update_container_resources(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	Runtime__V1__UpdateContainerResourcesRequest *u = (Runtime__V1__UpdateContainerResourcesRequest *)q;
	struct container *c = daemon_find_container(d, u->container_id);
	struct cb_error err = { 0 };

	if (c && u->linux) {
		container_update(c, call, u);
		return;
	}
	if (!c)
		cri_not_found(call, "container", u->container_id);
	else
		call_fail(call, err_set(&err, E_INVALID, "update container %s: linux is missing", c->info->id), &err);
	crisvc_cri_free(q);
}

static void reopen_container_log(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const char *id = ((Runtime__V1__ReopenContainerLogRequest *)q)->container_id;
	struct container *c = daemon_find_container(d, id);
	struct cb_error err = { 0 };

	if (!c)
		cri_not_found(call, "container", id);
	else if (c->state != CONTAINER_RUNNING)
		call_fail(call, err_set(&err, E_STATE, "reopen the log of container %s: it is not running but %s", c->info->id,
					container_state_name(c->state)), &err);
	else
		log_reopen(c, call);
	crisvc_cri_free(q);
}

static void exec_sync_rpc(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	Runtime__V1__ExecSyncRequest *x = (Runtime__V1__ExecSyncRequest *)q;
	struct container *c = daemon_find_container(d, x->container_id);
	struct cb_error err = { 0 };

	if (!c) {
		cri_not_found(call, "container", x->container_id);
	} else if (!x->n_cmd || !*x->cmd[0]) {
		call_fail(call, err_set(&err, E_INVALID, "exec in container %s: cmd is empty", c->info->id), &err);
	} else if (x->timeout < 0) {
		call_fail(call, err_set(&err, E_INVALID, "exec in container %s: timeout is negative", c->info->id), &err);
	} else if (c->state != CONTAINER_RUNNING || c->want_stop) {
		call_fail(call, err_set(&err, E_NOT_FOUND, "container %s is not running but %s", c->info->id,
					c->want_stop ? "stopping" : container_state_name(c->state)), &err);
	} else {
		exec_sync(c, call, x);
		return;
	}
	crisvc_cri_free(q);
}

/* ---- list ---- */

static Runtime__V1__ContainerState cri_state(const struct container *c)
{
	switch (c->state) {
	case CONTAINER_CREATED:
		return RUNTIME__V1__CONTAINER_STATE__CONTAINER_CREATED;
	case CONTAINER_RUNNING:
		return RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
	case CONTAINER_EXITED:
	case CONTAINER_REMOVING:
		return RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED;
	default:
		return RUNTIME__V1__CONTAINER_STATE__CONTAINER_UNKNOWN;
	}
}

Runtime__V1__ContainerMetadata *cri_container_metadata(struct arena *a, const struct container_info *i)
{
	Runtime__V1__ContainerMetadata *m = cri_message(a, &runtime__v1__container_metadata__descriptor);

	if (!m)
		return NULL;
	m->name = cri_text(i->meta_name);
	m->attempt = i->attempt;
	return m;
}

static Runtime__V1__ImageSpec *image_spec(struct arena *a, const struct container_info *i)
{
	Runtime__V1__ImageSpec *m = cri_message(a, &runtime__v1__image_spec__descriptor);

	if (!m)
		return NULL;
	m->image = cri_text(i->image);
	m->user_specified_image = cri_text(i->user_image);
	return m;
}

static Runtime__V1__Container *list_item(struct arena *a, const struct container *c)
{
	Runtime__V1__Container *m = cri_message(a, &runtime__v1__container__descriptor);

	if (!m)
		return NULL;
	m->id = cri_text(c->info->id);
	m->pod_sandbox_id = cri_text(c->pod->info->id);
	m->metadata = cri_container_metadata(a, c->info);
	m->image = image_spec(a, c->info);
	m->image_ref = cri_text(c->info->image_ref);
	m->image_id = cri_text(c->info->image_id);
	m->state = cri_state(c);
	m->created_at = c->info->created;
	MAP(m, labels, c->info->labels, container__labels_entry);
	MAP(m, annotations, c->info->annotations, container__annotations_entry);
	return m;
}

/* What a filter's id and pod id name, looked up once. */
struct wanted {
	const Runtime__V1__ContainerFilter *f;
	const struct container *by_id;
	const struct pod *by_pod;
};

static bool is_wanted(const struct container *c, const struct wanted *w)
{
	const Runtime__V1__ContainerFilter *f = w->f;

	if (!container_visible(c))
		return false;
	if (!f)
		return true;
	return (!*f->id || c == w->by_id) && (!*f->pod_sandbox_id || c->pod == w->by_pod) &&
		(!f->state || f->state->state == cri_state(c)) &&
		pairs_match(c->info->labels, (void *const *)(void *)f->label_selector, f->n_label_selector);
}

static size_t each_wanted(struct daemon *d, const struct wanted *w, struct arena *a, Runtime__V1__Container **out)
{
	const struct container *c;
	const struct pod *p;
	size_t n = 0;

	for (p = d->pods; p; p = p->next)
		for (c = p->containers; c; c = c->next)
			if (is_wanted(c, w)) {
				if (out)
					out[n] = list_item(a, c);
				n++;
			}
	return n;
}

static void list_containers(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const Runtime__V1__ContainerFilter *f = cri_filter(q);
	Runtime__V1__ListContainersResponse m = RUNTIME__V1__LIST_CONTAINERS_RESPONSE__INIT;
	struct wanted w = {
		.f = f,
		.by_id = f && *f->id ? daemon_find_container(d, f->id) : NULL,
		.by_pod = f && *f->pod_sandbox_id ? daemon_find_pod(d, f->pod_sandbox_id) : NULL,
	};
	_cleanup_arena_ struct arena a = ARENA_INIT;

	m.containers = arena_alloc(&a, each_wanted(d, &w, NULL, NULL) * sizeof(*m.containers));
	if (m.containers)
		m.n_containers = each_wanted(d, &w, &a, m.containers);
	cri_reply_list(call, &m.base, &a);
	crisvc_cri_free(q);
}

/* ---- status ---- */

static Runtime__V1__Mount **mounts(struct arena *a, const struct container_info *i)
{
	Runtime__V1__Mount **v = arena_alloc(a, i->n_mounts * sizeof(*v));
	size_t n;

	for (n = 0; v && n < i->n_mounts; n++) {
		const struct mount_info *from = &i->mounts[n];

		v[n] = cri_message(a, &runtime__v1__mount__descriptor);
		if (!v[n])
			return NULL;
		v[n]->container_path = cri_text(from->container_path);
		v[n]->host_path = cri_text(from->host_path);
		v[n]->readonly = from->readonly;
		v[n]->selinux_relabel = from->selinux_relabel;
		v[n]->recursive_read_only = from->recursive_read_only;
		v[n]->propagation = (Runtime__V1__MountPropagation)from->propagation;
		v[n]->mount_options = from->options;
		v[n]->n_mount_options = strv_len(from->options);
		if (!from->image)
			continue;
		v[n]->image = cri_message(a, &runtime__v1__image_spec__descriptor);
		if (!v[n]->image)
			return NULL;
		v[n]->image->image = cri_text(from->image);
		v[n]->image->image_ref = cri_text(from->image_ref);
		v[n]->image_sub_path = cri_text(from->image_sub_path);
	}
	return v;
}

static Runtime__V1__ContainerResources *resources(struct arena *a, const struct resource_info *i)
{
	Runtime__V1__ContainerResources *m = cri_message(a, &runtime__v1__container_resources__descriptor);

	if (!m)
		return NULL;
	m->linux = cri_message(a, &runtime__v1__linux_container_resources__descriptor);
	if (!m->linux)
		return NULL;
	m->linux->cpu_shares = i->cpu_shares;
	m->linux->cpu_quota = i->cpu_quota;
	m->linux->cpu_period = i->cpu_period;
	m->linux->memory_limit_in_bytes = i->memory_limit;
	m->linux->memory_swap_limit_in_bytes = i->memory_swap;
	m->linux->oom_score_adj = i->oom_score_adj;
	m->linux->cpuset_cpus = cri_text(i->cpuset_cpus);
	m->linux->cpuset_mems = cri_text(i->cpuset_mems);
	return m;
}

static Runtime__V1__ContainerUser *user(struct arena *a, const struct container_info *i)
{
	Runtime__V1__ContainerUser *m = cri_message(a, &runtime__v1__container_user__descriptor);
	size_t n;

	if (!m)
		return NULL;
	m->linux = cri_message(a, &runtime__v1__linux_container_user__descriptor);
	if (!m->linux)
		return NULL;
	m->linux->uid = i->uid;
	m->linux->gid = i->gid;
	m->linux->supplemental_groups = arena_alloc(a, i->n_groups * sizeof(*m->linux->supplemental_groups));
	for (n = 0; m->linux->supplemental_groups && n < i->n_groups; n++)
		m->linux->supplemental_groups[m->linux->n_supplemental_groups++] = i->groups[n];
	return m;
}

static void set_end(Runtime__V1__ContainerStatus *m, const struct container *c)
{
	m->finished_at = c->st.finished == TIME_ZERO_NS ? 0 : c->st.finished;
	m->exit_code = c->st.has_exit_code ? c->st.exit_code : -1;	/* -1: nobody knows, as CRI-O says it */
	m->reason = cri_text(c->st.oom_killed ? "OOMKilled" : m->exit_code ? "Error" : "Completed");
}

Runtime__V1__ContainerStatus *cri_container_status(struct arena *a, const struct container *c)
{
	Runtime__V1__ContainerStatus *m = cri_message(a, &runtime__v1__container_status__descriptor);
	const struct container_info *i = c->info;

	if (!m)
		return NULL;
	m->id = cri_text(i->id);
	m->metadata = cri_container_metadata(a, i);
	m->state = cri_state(c);
	m->created_at = i->created;
	m->started_at = c->st.started == TIME_ZERO_NS ? 0 : c->st.started;
	if (m->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED)
		set_end(m, c);
	m->message = cri_text(c->st.error);
	m->image = image_spec(a, i);
	m->image_ref = cri_text(i->image_ref);
	m->image_id = cri_text(i->image_id);
	MAP(m, labels, i->labels, container_status__labels_entry);
	MAP(m, annotations, i->annotations, container_status__annotations_entry);
	m->mounts = mounts(a, i);
	m->n_mounts = m->mounts ? i->n_mounts : 0;
	m->log_path = cri_text(i->log_path);
	m->resources = resources(a, &i->resources);
	m->user = user(a, i);
	return m;
}

Runtime__V1__ContainerStatus **cri_container_statuses(struct arena *a, const struct pod *p, size_t *ret_n)
{
	Runtime__V1__ContainerStatus **v;
	const struct container *c;
	size_t n = 0;

	for (c = p->containers; c; c = c->next)
		n += container_visible(c);
	v = arena_alloc(a, n * sizeof(*v));
	*ret_n = v ? n : 0;
	for (c = p->containers, n = 0; v && c; c = c->next)
		if (container_visible(c))
			v[n++] = cri_container_status(a, c);
	return v;
}

static void get_container_events(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	crisvc_cri_free(q);
	events_subscribe(d, call);
}

static void reply_status(struct daemon *d, struct crisvc_call *call, const char *id, const char *info)
{
	Runtime__V1__ContainerStatusResponse m = RUNTIME__V1__CONTAINER_STATUS_RESPONSE__INIT;
	char *const pairs[] = { cri_text("info"), cri_text(info), NULL };
	struct container *c = daemon_find_container(d, id);
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct arena *a = &arena;

	if (!c) {
		cri_not_found(call, "container", id);
		return;
	}
	m.status = cri_container_status(a, c);
	if (info)
		MAP(&m, info, pairs, container_status_response__info_entry);
	cri_reply(call, &m.base, a);
}

static void container_status(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const Runtime__V1__ContainerStatusRequest *s = (Runtime__V1__ContainerStatusRequest *)q;
	struct container *c = daemon_find_container(d, s->container_id);

	if (c && s->verbose)
		cri_verbose(d, call, c->info->id, c->info->dir, c->st.init.pid, NULL, c->pod->info->id, c->info->privileged,
			    reply_status);
	else
		reply_status(d, call, s->container_id, NULL);
	crisvc_cri_free(q);
}

const struct cri_rpc cri_container_rpcs[] = {
	{ "CreateContainer", create_container },
	{ "StartContainer", start_container },
	{ "StopContainer", stop_container },
	{ "RemoveContainer", remove_container },
	{ "ListContainers", list_containers },
	{ "StreamContainers", list_containers },
	{ "ContainerStatus", container_status },
	{ "UpdateContainerResources", update_container_resources },
	{ "ReopenContainerLog", reopen_container_log },
	{ "ExecSync", exec_sync_rpc },
	{ "GetContainerEvents", get_container_events },
	{ NULL, NULL },
};
