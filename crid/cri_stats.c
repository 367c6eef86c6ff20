/* SPDX-License-Identifier: Apache-2.0 */
/* RPCs about what pods and containers use; stats.h measures. Containers that ended are left out. */
#include <cbase/io.h>
#include "containers.h"
#include "cri.h"
#include "cri_objects.h"
#include "errors.h"
#include "pods.h"
#include "stats.h"

bool cri_is_measured(const struct container *c)
{
	return container_visible(c) && (c->state == CONTAINER_CREATED || c->state == CONTAINER_RUNNING);
}

bool cri_pod_is_measured(const struct pod *p)
{
	return pod_visible(p) && p->state == POD_READY;
}

/* ---- parts ---- */

static void set_value(struct arena *a, Runtime__V1__UInt64Value **field, uint64_t v)
{
	if (v == USAGE_UNKNOWN)
		return;
	*field = cri_message(a, &runtime__v1__uint64_value__descriptor);
	if (*field)
		(*field)->value = v;
}

static Runtime__V1__PsiData *psi_line(struct arena *a, const struct psi_line *l)
{
	Runtime__V1__PsiData *m = cri_message(a, &runtime__v1__psi_data__descriptor);

	if (!m)
		return NULL;
	m->total = l->total * 1000;
	m->avg10 = l->avg10;
	m->avg60 = l->avg60;
	m->avg300 = l->avg300;
	return m;
}

/* NULL: the kernel does not tell. */
static Runtime__V1__PsiStats *psi(struct arena *a, const struct psi *p)
{
	Runtime__V1__PsiStats *m = p->there ? cri_message(a, &runtime__v1__psi_stats__descriptor) : NULL;

	if (!m)
		return NULL;
	m->some = psi_line(a, &p->some);
	m->full = psi_line(a, &p->full);
	return m;
}

static Runtime__V1__CpuUsage *cpu(struct arena *a, const struct cgroup_usage *u, uint64_t rate)
{
	Runtime__V1__CpuUsage *m = cri_message(a, &runtime__v1__cpu_usage__descriptor);

	if (!m)
		return NULL;
	m->timestamp = u->when;
	set_value(a, &m->usage_core_nano_seconds, u->cpu);
	set_value(a, &m->usage_nano_cores, rate);
	m->psi = psi(a, &u->cpu_psi);
	return m;
}

static Runtime__V1__MemoryUsage *memory(struct arena *a, const struct cgroup_usage *u)
{
	Runtime__V1__MemoryUsage *m = cri_message(a, &runtime__v1__memory_usage__descriptor);
	uint64_t set = cgroup_working_set(u);

	if (!m)
		return NULL;
	m->timestamp = u->when;
	set_value(a, &m->working_set_bytes, set);
	set_value(a, &m->usage_bytes, u->memory);
	set_value(a, &m->rss_bytes, u->rss);
	set_value(a, &m->page_faults, u->faults);
	set_value(a, &m->major_page_faults, u->major_faults);
	/* without a limit there is no telling what is available */
	if (u->memory_limit < USAGE_UNKNOWN && set != USAGE_UNKNOWN)
		set_value(a, &m->available_bytes, u->memory_limit > set ? u->memory_limit - set : 0);
	m->psi = psi(a, &u->memory_psi);
	return m;
}

static Runtime__V1__SwapUsage *swap(struct arena *a, const struct cgroup_usage *u)
{
	Runtime__V1__SwapUsage *m;

	if (u->swap == USAGE_UNKNOWN || !(m = cri_message(a, &runtime__v1__swap_usage__descriptor)))
		return NULL;
	m->timestamp = u->when;
	set_value(a, &m->swap_usage_bytes, u->swap);
	if (u->swap_limit < USAGE_UNKNOWN)
		set_value(a, &m->swap_available_bytes, u->swap_limit > u->swap ? u->swap_limit - u->swap : 0);
	return m;
}

static Runtime__V1__IoUsage *io(struct arena *a, const struct cgroup_usage *u)
{
	Runtime__V1__IoUsage *m = u->io_psi.there ? cri_message(a, &runtime__v1__io_usage__descriptor) : NULL;

	if (!m)
		return NULL;
	m->timestamp = u->when;
	m->psi = psi(a, &u->io_psi);
	return m;
}

/* ---- containers ---- */

static Runtime__V1__FilesystemUsage *writable_layer(struct arena *a, const struct daemon *d, const struct stats_slot *s)
{
	Runtime__V1__FilesystemUsage *m = s->layer_when ? cri_message(a, &runtime__v1__filesystem_usage__descriptor) : NULL;

	if (!m)
		return NULL;
	m->timestamp = s->layer_when;
	m->fs_id = cri_message(a, &runtime__v1__filesystem_identifier__descriptor);
	if (m->fs_id)
		m->fs_id->mountpoint = arena_printf(a, "%s/%s-images", cstore_graph_root(d->sv.store), cstore_driver(d->sv.store));
	set_value(a, &m->used_bytes, s->layer_bytes);
	set_value(a, &m->inodes_used, s->layer_inodes);
	return m;
}

static Runtime__V1__ContainerAttributes *container_attributes(struct arena *a, const struct container_info *i)
{
	Runtime__V1__ContainerAttributes *m = cri_message(a, &runtime__v1__container_attributes__descriptor);

	if (!m)
		return NULL;
	m->id = cri_text(i->id);
	m->metadata = cri_container_metadata(a, i);
	m->labels = pairs_to_entries(a, i->labels, &runtime__v1__container_attributes__labels_entry__descriptor, &m->n_labels);
	m->annotations = pairs_to_entries(a, i->annotations, &runtime__v1__container_attributes__annotations_entry__descriptor,
					  &m->n_annotations);
	return m;
}

/* NULL: not measured, as one that was started meanwhile. */
static Runtime__V1__ContainerStats *container_message(struct arena *a, const struct container *c)
{
	const struct stats_slot *s = c->stats;
	Runtime__V1__ContainerStats *m;

	if (!s || !s->sample || !(m = cri_message(a, &runtime__v1__container_stats__descriptor)))
		return NULL;
	m->attributes = container_attributes(a, c->info);
	m->cpu = cpu(a, &s->sample->cgroup, s->has_rate ? s->rate : USAGE_UNKNOWN);
	m->memory = memory(a, &s->sample->cgroup);
	m->swap = swap(a, &s->sample->cgroup);
	m->io = io(a, &s->sample->cgroup);
	m->writable_layer = writable_layer(a, c->d, s);
	return m;
}

static void reply_container(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const char *id = ((Runtime__V1__ContainerStatsRequest *)q)->container_id;
	Runtime__V1__ContainerStatsResponse m = RUNTIME__V1__CONTAINER_STATS_RESPONSE__INIT;
	struct container *c = daemon_find_container(d, id);
	_cleanup_arena_ struct arena a = ARENA_INIT;

	if (!c) {
		cri_not_found(call, "container", id);
		return;
	}
	m.stats = container_message(&a, c);
	cri_reply(call, &m.base, &a);
}

static void container_stats(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const char *id = ((Runtime__V1__ContainerStatsRequest *)q)->container_id;
	struct container *c = daemon_find_container(d, id);
	struct stats_question *s;

	if (!c) {
		cri_not_found(call, "container", id);
		crisvc_cri_free(q);
		return;
	}
	s = stats_question_new(d, call, q, false, reply_container);
	if (!s)
		return;
	stats_question_container(s, c);
	stats_question_ask(s);
}

/* ---- lists of containers ---- */

typedef void (*container_fn)(struct container *c, void *user);

static void each_container(struct daemon *d, const Runtime__V1__ContainerStatsFilter *f, container_fn fn, void *user)
{
	const struct container *by_id = f && *f->id ? daemon_find_container(d, f->id) : NULL;
	const struct pod *by_pod = f && *f->pod_sandbox_id ? daemon_find_pod(d, f->pod_sandbox_id) : NULL;
	struct container *c;
	struct pod *p;

	for (p = d->pods; p; p = p->next)
		for (c = p->containers; c; c = c->next)
			if (cri_is_measured(c) && (!f || ((!*f->id || c == by_id) && (!*f->pod_sandbox_id || p == by_pod) &&
						      pairs_match(c->info->labels, (void *const *)f->label_selector, f->n_label_selector))))
				fn(c, user);
}

static void ask_container(struct container *c, void *user)
{
	stats_question_container(user, c);
}

struct container_list {
	struct arena *a;
	size_t n;
	Runtime__V1__ContainerStats **v;	/* NULL: only counted */
};

static void count_container(struct container *c, void *user)
{
	((size_t *)user)[0]++;
}

static void list_container(struct container *c, void *user)
{
	struct container_list *l = user;
	Runtime__V1__ContainerStats *m = l->v ? container_message(l->a, c) : NULL;

	if (m)
		l->v[l->n++] = m;
}

static void reply_containers(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	Runtime__V1__ListContainerStatsResponse m = RUNTIME__V1__LIST_CONTAINER_STATS_RESPONSE__INIT;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct container_list l = { .a = &a };
	size_t n = 0;

	each_container(d, cri_filter(q), count_container, &n);
	l.v = arena_alloc(&a, n * sizeof(*l.v));
	each_container(d, cri_filter(q), list_container, &l);
	m.stats = l.v;
	m.n_stats = l.n;
	cri_reply_list(call, &m.base, &a);
}

static void list_container_stats(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	struct stats_question *s = stats_question_new(d, call, q, false, reply_containers);

	if (!s)
		return;
	each_container(d, cri_filter(q), ask_container, s);
	stats_question_ask(s);
}

/* ---- pods ---- */

static Runtime__V1__PodSandboxAttributes *pod_attributes(struct arena *a, const struct pod_info *i)
{
	Runtime__V1__PodSandboxAttributes *m = cri_message(a, &runtime__v1__pod_sandbox_attributes__descriptor);

	if (!m)
		return NULL;
	m->id = cri_text(i->id);
	m->metadata = cri_pod_metadata(a, i);
	m->labels = pairs_to_entries(a, i->labels, &runtime__v1__pod_sandbox_attributes__labels_entry__descriptor, &m->n_labels);
	m->annotations = pairs_to_entries(a, i->annotations, &runtime__v1__pod_sandbox_attributes__annotations_entry__descriptor,
					  &m->n_annotations);
	return m;
}

static Runtime__V1__NetworkInterfaceUsage *interface(struct arena *a, const struct interface_usage *u)
{
	Runtime__V1__NetworkInterfaceUsage *m = cri_message(a, &runtime__v1__network_interface_usage__descriptor);

	if (!m)
		return NULL;
	m->name = arena_strdup(a, u->name);
	set_value(a, &m->rx_bytes, u->rx_bytes);
	set_value(a, &m->rx_errors, u->rx_errors);
	set_value(a, &m->tx_bytes, u->tx_bytes);
	set_value(a, &m->tx_errors, u->tx_errors);
	return m;
}

/* The default interface is the one that CNI made, eth0; the others follow. NULL: the host's network. */
static Runtime__V1__NetworkUsage *network(struct arena *a, const struct stats_sample *s)
{
	Runtime__V1__NetworkUsage *m = s->interfaces ? cri_message(a, &runtime__v1__network_usage__descriptor) : NULL;
	size_t i;

	if (!m)
		return NULL;
	m->timestamp = s->cgroup.when;
	m->interfaces = arena_alloc(a, s->n_interfaces * sizeof(*m->interfaces));
	for (i = 0; m->interfaces && i < s->n_interfaces; i++) {
		if (streq(s->interfaces[i].name, "eth0"))
			m->default_interface = interface(a, &s->interfaces[i]);
		else
			m->interfaces[m->n_interfaces++] = interface(a, &s->interfaces[i]);
	}
	return m;
}

static Runtime__V1__ProcessUsage *processes(struct arena *a, const struct cgroup_usage *u)
{
	Runtime__V1__ProcessUsage *m = cri_message(a, &runtime__v1__process_usage__descriptor);

	if (!m)
		return NULL;
	m->timestamp = u->when;
	set_value(a, &m->process_count, u->tasks);
	return m;
}

static void add(uint64_t *sum, uint64_t v)
{
	if (v < USAGE_UNKNOWN)
		*sum = *sum == USAGE_UNKNOWN ? v : *sum + v;
}

/* A pod that was given no cgroup has none of its own: it uses what its containers use. */
static void sum_containers(const struct pod *p, struct cgroup_usage *sum, uint64_t *rate)
{
	const struct container *c;

	for (c = p->containers; c; c = c->next) {
		const struct cgroup_usage *u = cri_is_measured(c) && c->stats && c->stats->sample ? &c->stats->sample->cgroup : NULL;

		if (!u)
			continue;
		add(&sum->cpu, u->cpu);
		add(&sum->memory, u->memory);
		add(&sum->inactive_file, u->inactive_file);
		add(&sum->rss, u->rss);
		add(&sum->faults, u->faults);
		add(&sum->major_faults, u->major_faults);
		add(&sum->tasks, u->tasks);
		add(rate, c->stats->has_rate ? c->stats->rate : USAGE_UNKNOWN);
	}
}

static Runtime__V1__LinuxPodSandboxStats *linux_stats(struct arena *a, const struct pod *p)
{
	Runtime__V1__LinuxPodSandboxStats *m = cri_message(a, &runtime__v1__linux_pod_sandbox_stats__descriptor);
	struct cgroup_usage u = p->stats->sample->cgroup;
	uint64_t rate = p->stats->has_rate ? p->stats->rate : USAGE_UNKNOWN;
	struct container *c;
	size_t n = 0;

	if (!m)
		return NULL;
	if (!p->stats->sample->has_cgroup)
		sum_containers(p, &u, &rate);
	m->cpu = cpu(a, &u, rate);
	m->memory = memory(a, &u);
	m->process = processes(a, &u);
	m->io = io(a, &u);
	m->network = network(a, p->stats->sample);
	for (c = p->containers; c; c = c->next)
		n += cri_is_measured(c);
	m->containers = arena_alloc(a, n * sizeof(*m->containers));
	for (c = p->containers; m->containers && c; c = c->next)
		if (cri_is_measured(c) && (m->containers[m->n_containers] = container_message(a, c)))
			m->n_containers++;
	return m;
}

static Runtime__V1__PodSandboxStats *pod_message(struct arena *a, const struct pod *p)
{
	Runtime__V1__PodSandboxStats *m;

	if (!p->stats || !p->stats->sample || !(m = cri_message(a, &runtime__v1__pod_sandbox_stats__descriptor)))
		return NULL;
	m->attributes = pod_attributes(a, p->info);
	m->linux = linux_stats(a, p);
	return m;
}

void cri_ask_pod(struct stats_question *s, struct pod *p)
{
	struct container *c;

	stats_question_pod(s, p);
	for (c = p->containers; c; c = c->next)
		if (cri_is_measured(c))
			stats_question_container(s, c);
}

static void reply_pod(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const char *id = ((Runtime__V1__PodSandboxStatsRequest *)q)->pod_sandbox_id;
	Runtime__V1__PodSandboxStatsResponse m = RUNTIME__V1__POD_SANDBOX_STATS_RESPONSE__INIT;
	struct pod *p = daemon_find_pod(d, id);
	_cleanup_arena_ struct arena a = ARENA_INIT;

	if (!p) {
		cri_not_found(call, "pod", id);
		return;
	}
	m.stats = pod_message(&a, p);
	cri_reply(call, &m.base, &a);
}

static void pod_sandbox_stats(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const char *id = ((Runtime__V1__PodSandboxStatsRequest *)q)->pod_sandbox_id;
	struct pod *p = daemon_find_pod(d, id);
	struct stats_question *s;

	if (!p) {
		cri_not_found(call, "pod", id);
		crisvc_cri_free(q);
		return;
	}
	s = stats_question_new(d, call, q, false, reply_pod);
	if (!s)
		return;
	cri_ask_pod(s, p);
	stats_question_ask(s);
}

static bool pod_wanted(const struct pod *p, const Runtime__V1__PodSandboxStatsFilter *f, const struct pod *by_id)
{
	return cri_pod_is_measured(p) &&
		(!f || ((!*f->id || p == by_id) && pairs_match(p->info->labels, (void *const *)f->label_selector, f->n_label_selector)));
}

static void reply_pods(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	Runtime__V1__ListPodSandboxStatsResponse m = RUNTIME__V1__LIST_POD_SANDBOX_STATS_RESPONSE__INIT;
	const Runtime__V1__PodSandboxStatsFilter *f = cri_filter(q);
	const struct pod *by_id = f && *f->id ? daemon_find_pod(d, f->id) : NULL, *p;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	size_t n = 0;

	for (p = d->pods; p; p = p->next)
		n += pod_wanted(p, f, by_id);
	m.stats = arena_alloc(&a, n * sizeof(*m.stats));
	for (p = d->pods; m.stats && p; p = p->next)
		if (pod_wanted(p, f, by_id) && (m.stats[m.n_stats] = pod_message(&a, p)))
			m.n_stats++;
	cri_reply_list(call, &m.base, &a);
}

static void list_pod_sandbox_stats(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const Runtime__V1__PodSandboxStatsFilter *f = cri_filter(q);
	const struct pod *by_id = f && *f->id ? daemon_find_pod(d, f->id) : NULL;
	struct stats_question *s = stats_question_new(d, call, q, false, reply_pods);
	struct pod *p;

	if (!s)
		return;
	for (p = d->pods; p; p = p->next)
		if (pod_wanted(p, f, by_id))
			cri_ask_pod(s, p);
	stats_question_ask(s);
}

const struct cri_rpc cri_stats_rpcs[] = {
	{ "ContainerStats", container_stats },
	{ "ListContainerStats", list_container_stats },
	{ "StreamContainerStats", list_container_stats },
	{ "PodSandboxStats", pod_sandbox_stats },
	{ "ListPodSandboxStats", list_pod_sandbox_stats },
	{ "StreamPodSandboxStats", list_pod_sandbox_stats },
	{ NULL, NULL },
};
