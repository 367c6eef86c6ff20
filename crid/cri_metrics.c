/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics of pods, with the names that cAdvisor gave them. A table has what is one number of a sample; what
 * comes per device, interface, page size or kind has a function for its family. What the kernel does not tell is
 * left out. Values are integers, as CRI has them: seconds are cut.
 */
#include <cbase/io.h>
#include "containers.h"
#include "cri.h"
#include "cri_objects.h"
#include "errors.h"
#include "pods.h"

#define LABELS_MAX 12
#define VALUES_MAX 512		/* metrics of one object */
#define SECOND 1000000000ull
#define MICROSECONDS 1000000ull

enum family { CPU, MEMORY, NETWORK, DISK, DISK_IO, HUGETLB, PROCESS, OOM, SPEC, PRESSURE, ALWAYS };

static const char *const families[] = { "cpu", "memory", "network", "disk", "diskIO", "hugetlb", "process", "oom", "spec",
	"pressure" };
static const char *const base_labels[] = { "id", "image", "namespace", "pod", "container" };

enum { COUNTER, GAUGE };

struct metric {
	enum family family;
	const char *name, *help;
	const char *labels[5];		/* besides the base */
	int type;
};

/* ---- what there is ---- */

enum metric_id {
	CPU_USER, CPU_SYSTEM, CPU_USAGE, CFS_PERIODS, CFS_THROTTLED_PERIODS, CFS_THROTTLED_SECONDS,
	MEM_CACHE, MEM_RSS, MEM_KERNEL, MEM_MAPPED, MEM_SWAP, MEM_FAILCNT, MEM_USAGE, MEM_MAX_USAGE, MEM_WORKING_SET, MEM_FAILURES,
	RX_BYTES, RX_PACKETS, RX_DROPPED, RX_ERRORS, TX_BYTES, TX_PACKETS, TX_DROPPED, TX_ERRORS,
	FS_INODES_FREE, FS_INODES_TOTAL, FS_LIMIT, FS_USAGE,
	FS_READS_BYTES, FS_READS, FS_WRITES_BYTES, FS_WRITES, BLKIO_DEVICE_USAGE,
	HUGE_USAGE, HUGE_MAX_USAGE,
	FILE_DESCRIPTORS, PROCESSES, SOCKETS, THREADS, THREADS_MAX, ULIMITS,
	OOM_EVENTS,
	SPEC_PERIOD, SPEC_SHARES, SPEC_QUOTA, SPEC_MEMORY, SPEC_RESERVATION, SPEC_SWAP, START_TIME,
	PSI_CPU_STALLED, PSI_CPU_WAITING, PSI_MEM_STALLED, PSI_MEM_WAITING, PSI_IO_STALLED, PSI_IO_WAITING,
	LAST_SEEN, METRICS
};

#define C "container_"

static const struct metric metrics[METRICS] = {
	[CPU_USER] = { CPU, C "cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds.", { 0 }, COUNTER },
	[CPU_SYSTEM] = { CPU, C "cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds.", { 0 }, COUNTER },
	[CPU_USAGE] = { CPU, C "cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", { "cpu" }, COUNTER },
	[CFS_PERIODS] = { CPU, C "cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.", { 0 }, COUNTER },
	[CFS_THROTTLED_PERIODS] = { CPU, C "cpu_cfs_throttled_periods_total", "Number of throttled period intervals.", { 0 }, COUNTER },
	[CFS_THROTTLED_SECONDS] = { CPU, C "cpu_cfs_throttled_seconds_total", "Total time duration the container has been throttled.",
		{ 0 }, COUNTER },
	[MEM_CACHE] = { MEMORY, C "memory_cache", "Number of bytes of page cache memory.", { 0 }, GAUGE },
	[MEM_RSS] = { MEMORY, C "memory_rss", "Size of RSS in bytes.", { 0 }, GAUGE },
	[MEM_KERNEL] = { MEMORY, C "memory_kernel_usage", "Size of kernel memory allocated in bytes.", { 0 }, GAUGE },
	[MEM_MAPPED] = { MEMORY, C "memory_mapped_file", "Size of memory mapped files in bytes.", { 0 }, GAUGE },
	[MEM_SWAP] = { MEMORY, C "memory_swap", "Container swap usage in bytes.", { 0 }, GAUGE },
	[MEM_FAILCNT] = { MEMORY, C "memory_failcnt", "Number of memory usage hits limits", { 0 }, COUNTER },
	[MEM_USAGE] = { MEMORY, C "memory_usage_bytes",
		"Current memory usage in bytes, including all memory regardless of when it was accessed", { 0 }, GAUGE },
	[MEM_MAX_USAGE] = { MEMORY, C "memory_max_usage_bytes", "Maximum memory usage recorded in bytes", { 0 }, GAUGE },
	[MEM_WORKING_SET] = { MEMORY, C "memory_working_set_bytes", "Current working set in bytes.", { 0 }, GAUGE },
	[MEM_FAILURES] = { MEMORY, C "memory_failures_total", "Cumulative count of memory allocation failures.",
		{ "failure_type", "scope" }, COUNTER },
	[RX_BYTES] = { NETWORK, C "network_receive_bytes_total", "Cumulative count of bytes received", { "interface" }, COUNTER },
	[RX_PACKETS] = { NETWORK, C "network_receive_packets_total", "Cumulative count of packets received", { "interface" }, COUNTER },
	[RX_DROPPED] = { NETWORK, C "network_receive_packets_dropped_total", "Cumulative count of packets dropped while receiving",
		{ "interface" }, COUNTER },
	[RX_ERRORS] = { NETWORK, C "network_receive_errors_total", "Cumulative count of errors encountered while receiving",
		{ "interface" }, COUNTER },
	[TX_BYTES] = { NETWORK, C "network_transmit_bytes_total", "Cumulative count of bytes transmitted", { "interface" }, COUNTER },
	[TX_PACKETS] = { NETWORK, C "network_transmit_packets_total", "Cumulative count of packets transmitted",
		{ "interface" }, COUNTER },
	[TX_DROPPED] = { NETWORK, C "network_transmit_packets_dropped_total", "Cumulative count of packets dropped while transmitting",
		{ "interface" }, COUNTER },
	[TX_ERRORS] = { NETWORK, C "network_transmit_errors_total", "Cumulative count of errors encountered while transmitting",
		{ "interface" }, COUNTER },
	[FS_INODES_FREE] = { DISK, C "fs_inodes_free", "Number of available Inodes", { "device" }, GAUGE },
	[FS_INODES_TOTAL] = { DISK, C "fs_inodes_total", "Number of Inodes", { "device" }, GAUGE },
	[FS_LIMIT] = { DISK, C "fs_limit_bytes", "Number of bytes that can be consumed by the container on this filesystem.",
		{ "device" }, GAUGE },
	[FS_USAGE] = { DISK, C "fs_usage_bytes", "Number of bytes that are consumed by the container on this filesystem.",
		{ "device" }, GAUGE },
	[FS_READS_BYTES] = { DISK_IO, C "fs_reads_bytes_total", "Cumulative count of bytes read", { "device" }, COUNTER },
	[FS_READS] = { DISK_IO, C "fs_reads_total", "Cumulative count of reads completed", { "device" }, COUNTER },
	[FS_WRITES_BYTES] = { DISK_IO, C "fs_writes_bytes_total", "Cumulative count of bytes written", { "device" }, COUNTER },
	[FS_WRITES] = { DISK_IO, C "fs_writes_total", "Cumulative count of writes completed", { "device" }, COUNTER },
	[BLKIO_DEVICE_USAGE] = { DISK_IO, C "blkio_device_usage_total", "Blkio Device bytes usage",
		{ "device", "major", "minor", "operation" }, COUNTER },
	[HUGE_USAGE] = { HUGETLB, C "hugetlb_usage_bytes", "Current hugepage usage in bytes", { "pagesize" }, GAUGE },
	[HUGE_MAX_USAGE] = { HUGETLB, C "hugetlb_max_usage_bytes", "Maximum hugepage usage recorded in bytes", { "pagesize" }, GAUGE },
	[FILE_DESCRIPTORS] = { PROCESS, C "file_descriptors", "Number of open file descriptors for the container.", { 0 }, GAUGE },
	[PROCESSES] = { PROCESS, C "processes", "Number of processes running inside the container.", { 0 }, GAUGE },
	[SOCKETS] = { PROCESS, C "sockets", "Number of open sockets for the container.", { 0 }, GAUGE },
	[THREADS] = { PROCESS, C "threads", "Number of threads running inside the container", { 0 }, GAUGE },
	[THREADS_MAX] = { PROCESS, C "threads_max",
		"Maximum number of threads allowed inside the container, infinity if value is zero", { 0 }, GAUGE },
	[ULIMITS] = { PROCESS, C "ulimits_soft",
		"Soft ulimit values for the container root process. Unlimited if -1, except priority and nice", { "ulimit" }, GAUGE },
	[OOM_EVENTS] = { OOM, C "oom_events_total", "Count of out of memory events observed for the container", { 0 }, COUNTER },
	[SPEC_PERIOD] = { SPEC, C "spec_cpu_period", "CPU period of the container.", { 0 }, GAUGE },
	[SPEC_SHARES] = { SPEC, C "spec_cpu_shares", "CPU share of the container.", { 0 }, GAUGE },
	[SPEC_QUOTA] = { SPEC, C "spec_cpu_quota", "CPU quota of the container.", { 0 }, GAUGE },
	[SPEC_MEMORY] = { SPEC, C "spec_memory_limit_bytes", "Memory limit for the container.", { 0 }, GAUGE },
	[SPEC_RESERVATION] = { SPEC, C "spec_memory_reservation_limit_bytes", "Memory reservation limit for the container.",
		{ 0 }, GAUGE },
	[SPEC_SWAP] = { SPEC, C "spec_memory_swap_limit_bytes", "Memory swap limit for the container.", { 0 }, GAUGE },
	[START_TIME] = { SPEC, C "start_time_seconds", "Start time of the container since unix epoch in seconds.", { 0 }, GAUGE },
	[PSI_CPU_STALLED] = { PRESSURE, C "pressure_cpu_stalled_seconds_total",
		"Total time duration no tasks in the container could make progress due to CPU congestion.", { 0 }, COUNTER },
	[PSI_CPU_WAITING] = { PRESSURE, C "pressure_cpu_waiting_seconds_total",
		"Total time duration tasks in the container have waited due to CPU congestion.", { 0 }, COUNTER },
	[PSI_MEM_STALLED] = { PRESSURE, C "pressure_memory_stalled_seconds_total",
		"Total time duration no tasks in the container could make progress due to memory congestion.", { 0 }, COUNTER },
	[PSI_MEM_WAITING] = { PRESSURE, C "pressure_memory_waiting_seconds_total",
		"Total time duration tasks in the container have waited due to memory congestion.", { 0 }, COUNTER },
	[PSI_IO_STALLED] = { PRESSURE, C "pressure_io_stalled_seconds_total",
		"Total time duration no tasks in the container could make progress due to IO congestion.", { 0 }, COUNTER },
	[PSI_IO_WAITING] = { PRESSURE, C "pressure_io_waiting_seconds_total",
		"Total time duration tasks in the container have waited due to IO congestion.", { 0 }, COUNTER },
	[LAST_SEEN] = { ALWAYS, C "last_seen", "Last time a container was seen by the exporter", { 0 }, GAUGE },
};

/* What is one number of a cgroup. */
static const struct number {
	enum metric_id id;
	size_t offset;
	uint64_t unit;
} numbers[] = {
#define AT(m) offsetof(struct cgroup_usage, m)
	{ CPU_USER, AT(cpu_user), SECOND },
	{ CPU_SYSTEM, AT(cpu_system), SECOND },
	{ CFS_PERIODS, AT(periods), 1 },
	{ CFS_THROTTLED_PERIODS, AT(throttled), 1 },
	{ CFS_THROTTLED_SECONDS, AT(throttled_time), SECOND },
	{ MEM_CACHE, AT(cache), 1 },
	{ MEM_RSS, AT(rss), 1 },
	{ MEM_KERNEL, AT(kernel), 1 },
	{ MEM_MAPPED, AT(mapped), 1 },
	{ MEM_SWAP, AT(swap), 1 },
	{ MEM_FAILCNT, AT(memory_failures), 1 },
	{ MEM_USAGE, AT(memory), 1 },
	{ MEM_MAX_USAGE, AT(memory_peak), 1 },
	{ OOM_EVENTS, AT(oom_kills), 1 },
	{ THREADS, AT(tasks), 1 },
	{ THREADS_MAX, AT(tasks_limit), 1 },
	{ SPEC_MEMORY, AT(memory_limit), 1 },
	{ SPEC_RESERVATION, AT(memory_reservation), 1 },
	{ SPEC_SWAP, AT(swap_limit), 1 },
};

static bool included(const struct daemon *d, enum family f)
{
	char *const *list = d->config->included_pod_metrics;

	return f == ALWAYS || strv_has(list, "all") || strv_has(list, families[f]);
}

/* ---- descriptors ---- */

static Runtime__V1__MetricDescriptor *descriptor(struct arena *a, const struct metric *metric)
{
	Runtime__V1__MetricDescriptor *m = cri_message(a, &runtime__v1__metric_descriptor__descriptor);
	size_t i;

	if (!m)
		return NULL;
	m->name = cri_text(metric->name);
	m->help = cri_text(metric->help);
	m->label_keys = arena_alloc(a, LABELS_MAX * sizeof(*m->label_keys));
	for (i = 0; m->label_keys && i < ARRAY_SIZE(base_labels); i++)
		m->label_keys[m->n_label_keys++] = cri_text(base_labels[i]);
	for (i = 0; m->label_keys && metric->labels[i]; i++)
		m->label_keys[m->n_label_keys++] = cri_text(metric->labels[i]);
	return m;
}

static void list_metric_descriptors(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	Runtime__V1__ListMetricDescriptorsResponse m = RUNTIME__V1__LIST_METRIC_DESCRIPTORS_RESPONSE__INIT;
	_cleanup_arena_ struct arena a = ARENA_INIT;

	m.descriptors = arena_alloc(&a, METRICS * sizeof(*m.descriptors));
	for (size_t i = 0; m.descriptors && i < METRICS; i++)
		if (included(d, metrics[i].family))
			m.descriptors[m.n_descriptors++] = descriptor(&a, &metrics[i]);
	crisvc_cri_free(q);
	cri_reply(call, &m.base, &a);
}

/* ---- values ---- */

/* Those of one object. */
struct values {
	struct arena *a;
	const struct daemon *d;
	const char *base[ARRAY_SIZE(base_labels)];
	int64_t when;
	Runtime__V1__Metric **v;
	size_t n;
};

static void add(struct values *s, enum metric_id id, uint64_t value, const char *const *labels)
{
	Runtime__V1__Metric *m;
	size_t i;

	if (value == USAGE_UNKNOWN || s->n == VALUES_MAX || !included(s->d, metrics[id].family))
		return;
	m = cri_message(s->a, &runtime__v1__metric__descriptor);
	if (!m)
		return;
	m->name = cri_text(metrics[id].name);
	m->timestamp = s->when;
	m->metric_type = metrics[id].type == COUNTER ? RUNTIME__V1__METRIC_TYPE__COUNTER : RUNTIME__V1__METRIC_TYPE__GAUGE;
	m->value = cri_message(s->a, &runtime__v1__uint64_value__descriptor);
	m->label_values = arena_alloc(s->a, LABELS_MAX * sizeof(*m->label_values));
	if (!m->value || !m->label_values)
		return;
	m->value->value = value;
	for (i = 0; i < ARRAY_SIZE(base_labels); i++)
		m->label_values[m->n_label_values++] = cri_text(s->base[i]);
	for (i = 0; labels && metrics[id].labels[i]; i++)
		m->label_values[m->n_label_values++] = cri_text(labels[i]);
	s->v[s->n++] = m;
}

static void add1(struct values *s, enum metric_id id, uint64_t value, const char *label)
{
	add(s, id, value, &label);
}

static void add_numbers(struct values *s, const struct cgroup_usage *u)
{
	static const char *const page_faults[][2] = { { "pgfault", "hierarchy" }, { "pgmajfault", "hierarchy" } };

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint64_t v = *(const uint64_t *)(const void *)((const char *)u + numbers[i].offset);

		if (v == USAGE_UNLIMITED)
			v = 0;		/* so says cAdvisor of limits that are none */
		add(s, numbers[i].id, v == USAGE_UNKNOWN ? v : v / numbers[i].unit, NULL);
	}
	add1(s, CPU_USAGE, u->cpu == USAGE_UNKNOWN ? u->cpu : u->cpu / SECOND, "total");
	add(s, MEM_WORKING_SET, cgroup_working_set(u), NULL);
	add(s, MEM_FAILURES, u->faults, page_faults[0]);
	add(s, MEM_FAILURES, u->major_faults, page_faults[1]);
}

/* As they were asked for, which on cgroup v2 is not what its files say: each runtime converts shares in its own way. */
static void add_cpu_limits(struct values *s, const struct resource_info *r)
{
	add(s, SPEC_SHARES, (uint64_t)r->cpu_shares, NULL);
	add(s, SPEC_PERIOD, (uint64_t)r->cpu_period, NULL);
	add(s, SPEC_QUOTA, r->cpu_quota > 0 ? (uint64_t)r->cpu_quota : USAGE_UNKNOWN, NULL);
}

static void add_pressure(struct values *s, const struct psi *p, enum metric_id stalled, enum metric_id waiting)
{
	add(s, stalled, p->there ? p->full.total / MICROSECONDS : USAGE_UNKNOWN, NULL);
	add(s, waiting, p->there ? p->some.total / MICROSECONDS : USAGE_UNKNOWN, NULL);
}

static void add_device(struct values *s, const struct device_usage *d)
{
	const char *labels[4] = { arena_printf(s->a, "%u:%u", d->major, d->minor), arena_printf(s->a, "%u", d->major),
		arena_printf(s->a, "%u", d->minor), "read" };

	add1(s, FS_READS_BYTES, d->read_bytes, labels[0]);
	add1(s, FS_READS, d->reads, labels[0]);
	add1(s, FS_WRITES_BYTES, d->write_bytes, labels[0]);
	add1(s, FS_WRITES, d->writes, labels[0]);
	add(s, BLKIO_DEVICE_USAGE, d->read_bytes, labels);
	labels[3] = "write";
	add(s, BLKIO_DEVICE_USAGE, d->write_bytes, labels);
}

static void add_huge(struct values *s, const struct huge_usage *h)
{
	const char *size = arena_strdup(s->a, h->size);

	add1(s, HUGE_USAGE, h->usage, size);
	add1(s, HUGE_MAX_USAGE, h->max, size);
}

static void add_processes(struct values *s, const struct process_usage *p)
{
	add(s, FILE_DESCRIPTORS, p->descriptors, NULL);
	add(s, PROCESSES, p->processes, NULL);
	add(s, SOCKETS, p->sockets, NULL);
	add1(s, ULIMITS, p->max_open_files, "max_open_files");
}

/* The file system is the one that all writable layers are on. */
static void add_disk(struct values *s, const struct stats_slot *slot)
{
	const char *device = cstore_graph_root(s->d->sv.store);
	const struct stats_sample *sample = slot->sample;

	if (slot->layer_when)
		add1(s, FS_USAGE, slot->layer_bytes, device);
	if (!sample->has_disk)
		return;
	add1(s, FS_LIMIT, sample->disk_bytes, device);
	add1(s, FS_INODES_TOTAL, sample->disk_inodes, device);
	add1(s, FS_INODES_FREE, sample->disk_inodes_free, device);
}

static void add_interface(struct values *s, const struct interface_usage *i)
{
	const char *name = arena_strdup(s->a, i->name);

	add1(s, RX_BYTES, i->rx_bytes, name);
	add1(s, RX_PACKETS, i->rx_packets, name);
	add1(s, RX_DROPPED, i->rx_dropped, name);
	add1(s, RX_ERRORS, i->rx_errors, name);
	add1(s, TX_BYTES, i->tx_bytes, name);
	add1(s, TX_PACKETS, i->tx_packets, name);
	add1(s, TX_DROPPED, i->tx_dropped, name);
	add1(s, TX_ERRORS, i->tx_errors, name);
}

static void add_cgroup(struct values *s, const struct cgroup_usage *u)
{
	size_t i;

	add_numbers(s, u);
	add_pressure(s, &u->cpu_psi, PSI_CPU_STALLED, PSI_CPU_WAITING);
	add_pressure(s, &u->memory_psi, PSI_MEM_STALLED, PSI_MEM_WAITING);
	add_pressure(s, &u->io_psi, PSI_IO_STALLED, PSI_IO_WAITING);
	for (i = 0; i < u->n_devices; i++)
		add_device(s, &u->devices[i]);
	for (i = 0; i < u->n_huge; i++)
		add_huge(s, &u->huge[i]);
}

static void values_begin(struct values *s, const char *id, const char *image, const struct pod_info *pod, const char *container,
			 const struct stats_sample *sample)
{
	s->base[0] = id;
	s->base[1] = image;
	s->base[2] = pod->meta_namespace;
	s->base[3] = pod->meta_name;
	s->base[4] = container;
	s->when = sample->cgroup.when;
	s->n = 0;
	s->v = arena_alloc(s->a, VALUES_MAX * sizeof(*s->v));
	if (s->v)
		add(s, LAST_SEEN, (uint64_t)s->when / SECOND, NULL);
}

static Runtime__V1__ContainerMetrics *container_metrics(struct arena *a, const struct container *c)
{
	Runtime__V1__ContainerMetrics *m = cri_message(a, &runtime__v1__container_metrics__descriptor);
	const struct stats_sample *sample = c->stats->sample;
	struct values s = { .a = a, .d = c->d };

	if (!m)
		return NULL;
	values_begin(&s, c->info->id, c->info->image_name, c->pod->info, c->info->meta_name, sample);
	if (!s.v)
		return NULL;
	add_cgroup(&s, &sample->cgroup);
	add_cpu_limits(&s, &c->info->resources);
	add_disk(&s, c->stats);
	if (sample->has_processes)
		add_processes(&s, &sample->processes);
	if (c->st.started > 0)
		add(&s, START_TIME, (uint64_t)c->st.started / SECOND, NULL);
	m->container_id = cri_text(c->info->id);
	m->metrics = s.v;
	m->n_metrics = s.n;
	return m;
}

/* The network is the pod's, and so is its cgroup, when it has one. */
static Runtime__V1__PodSandboxMetrics *pod_metrics(struct arena *a, struct pod *p)
{
	Runtime__V1__PodSandboxMetrics *m = cri_message(a, &runtime__v1__pod_sandbox_metrics__descriptor);
	struct values s = { .a = a, .d = p->d };
	struct container *c;
	size_t n = 0, i;

	if (!m)
		return NULL;
	values_begin(&s, p->info->id, p->info->image_name, p->info, "POD", p->stats->sample);
	if (!s.v)
		return NULL;
	if (p->stats->sample->has_cgroup)
		add_cgroup(&s, &p->stats->sample->cgroup);
	for (i = 0; i < p->stats->sample->n_interfaces; i++)
		add_interface(&s, &p->stats->sample->interfaces[i]);
	m->pod_sandbox_id = cri_text(p->info->id);
	m->metrics = s.v;
	m->n_metrics = s.n;
	for (c = p->containers; c; c = c->next)
		n++;
	m->container_metrics = arena_alloc(a, n * sizeof(*m->container_metrics));
	for (c = p->containers; m->container_metrics && c; c = c->next)
		if (cri_is_measured(c) && c->stats && c->stats->sample)
			m->container_metrics[m->n_container_metrics++] = container_metrics(a, c);
	return m;
}

static void reply_metrics(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	Runtime__V1__ListPodSandboxMetricsResponse m = RUNTIME__V1__LIST_POD_SANDBOX_METRICS_RESPONSE__INIT;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p;
	size_t n = 0;

	for (p = d->pods; p; p = p->next)
		n++;
	m.pod_metrics = arena_alloc(&a, n * sizeof(*m.pod_metrics));
	for (p = d->pods; m.pod_metrics && p; p = p->next)
		if (cri_pod_is_measured(p) && p->stats && p->stats->sample)
			m.pod_metrics[m.n_pod_metrics++] = pod_metrics(&a, p);
	cri_reply_list(call, &m.base, &a);
}

static void list_pod_sandbox_metrics(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	struct stats_question *s = stats_question_new(d, call, q, true, reply_metrics);
	struct pod *p;

	if (!s)
		return;
	for (p = d->pods; p; p = p->next)
		if (cri_pod_is_measured(p))
			cri_ask_pod(s, p);
	stats_question_ask(s);
}

const struct cri_rpc cri_metrics_rpcs[] = {
	{ "ListMetricDescriptors", list_metric_descriptors },
	{ "ListPodSandboxMetrics", list_pod_sandbox_metrics },
	{ "StreamPodSandboxMetrics", list_pod_sandbox_metrics },
	{ NULL, NULL },
};
