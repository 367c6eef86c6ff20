/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of the bench. A sample is the wall time of ctl_call(): packing, the wire, the server,
 * unpacking. In the life of a pod with one client the CPU time that the daemon used meanwhile is
 * noted, too; with more nobody could tell whose it is. For rounds of one call bench.c notes it.
 *
 * The container traps TERM, so it ends on its stop signal; it says that the trap is set by making a
 * file, for which an ExecSync that is not measured waits.
 */
#include <cbase/io.h>
#include "bench.h"
#include "run.h"

#define BENCH_TIMEOUT 120 /* seconds for each call */
#define STOP_GRACE 30

static const char script[] = "trap 'exit 0' TERM; : >/ready; while :; do sleep 3600 & wait; done";
static const char wait_script[] = "until [ -e /ready ]; do sleep 0.01; done";

/* [owned] reply, or NULL after complaining. */
static void *timed(struct bench *b, struct side *s, struct ctl *c, enum bench_call call,
		   const struct place *record, const char *method, const ProtobufCMessage *request)
{
	int64_t cpu, cpu_after, start, took;
	struct series *to;
	void *reply;

	if (bench_ends(b))
		return NULL;
	cpu = record && record->load == LOAD_ONE && record->net != NET_NONE ? proc_cpu_ns(s->pid)
									    : -1;
	start = mono_ns();
	reply = ctl_ask(c, method, request, BENCH_TIMEOUT);
	took = mono_ns() - start;
	cpu_after = cpu >= 0 ? proc_cpu_ns(s->pid) : -1;
	if (!reply)
		atomic_store(&b->failed, true);
	if (!reply || !record)
		return reply;
	to = &s->series[record->load][record->net][call];
	pthread_mutex_lock(&b->lock);
	samples_add(&to->wall, took);
	if (cpu_after >= 0) {
		to->cpu_ns += cpu_after - cpu;
		to->cpu_calls++;
	}
	pthread_mutex_unlock(&b->lock);
	return reply;
}

/* A call of which only the success matters. */
static bool told(struct bench *b, struct side *s, struct ctl *c, enum bench_call call,
		 const struct place *record, const char *method, const ProtobufCMessage *request)
{
	_cleanup_reply_ ProtobufCMessage *reply = timed(b, s, c, call, record, method, request);

	return reply;
}

void bench_version(struct bench *b, struct side *s, struct ctl *c, const struct place *record,
		   size_t n)
{
	CRI(VersionRequest) request = RUNTIME__V1__VERSION_REQUEST__INIT;

	while (n-- && told(b, s, c, CALL_VERSION, record, "Version", &request.base))
		;
}

void bench_list(struct bench *b, struct side *s, struct ctl *c, const struct place *record,
		size_t n)
{
	CRI(ListContainersRequest) request = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;

	for (; n; n--) {
		_cleanup_reply_ CRI(ListContainersResponse) *reply =
			timed(b, s, c, CALL_LIST, record, "ListContainers", &request.base);

		if (!reply)
			return;
		pthread_mutex_lock(&b->lock);
		s->listed = reply->n_containers;
		pthread_mutex_unlock(&b->lock);
	}
}

/* ---- pods ---- */

struct pod_job {
	struct bench *b;
	struct side *s;
	struct ctl *c;
	const struct place *record;
	struct run_config config;
	CRI(PodSandboxConfig__LabelsEntry) label, *labels[1];
	struct made_pod *made;
};

static bool keep_id(struct pod_job *j, char **to, const char *id)
{
	*to = strdup(id);
	if (!*to) {
		complain("out of memory");
		atomic_store(&j->b->failed, true);
	}
	return *to;
}

static bool fill_config(struct pod_job *j, enum bench_net net)
{
	static char *command[] = { (char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c",
				   (char *)(uintptr_t)script };
	char name[64];
	struct run_options o = { .name = name, .host_network = net == NET_HOST };

	snprintf(name, sizeof(name), "bench-%s-%u", j->b->run_id, atomic_fetch_add(&j->b->next, 1));
	if (run_config_fill(&j->config, &o, j->s->image, j->b->image, j->b->log_dir, 0, NULL)) {
		atomic_store(&j->b->failed, true);
		return false;
	}
	runtime__v1__pod_sandbox_config__labels_entry__init(&j->label);
	j->label.key = pb(BENCH_LABEL);
	j->label.value = j->b->run_id;
	j->labels[0] = &j->label;
	j->config.pod.labels = j->labels;
	j->config.pod.n_labels = 1;
	j->config.container.command = command;
	j->config.container.n_command = ARRAY_SIZE(command);
	return true;
}

static bool run_pod(struct pod_job *j)
{
	CRI(RunPodSandboxRequest) request = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT;
	_cleanup_reply_ CRI(RunPodSandboxResponse) *reply = NULL;

	request.config = &j->config.pod;
	reply = timed(j->b, j->s, j->c, CALL_RUN_POD, j->record, "RunPodSandbox", &request.base);
	return reply && keep_id(j, &j->made->pod, reply->pod_sandbox_id);
}

static bool create(struct pod_job *j)
{
	CRI(CreateContainerRequest) request = RUNTIME__V1__CREATE_CONTAINER_REQUEST__INIT;
	_cleanup_reply_ CRI(CreateContainerResponse) *reply = NULL;

	request.pod_sandbox_id = j->made->pod;
	request.config = &j->config.container;
	request.sandbox_config = &j->config.pod;
	reply = timed(j->b, j->s, j->c, CALL_CREATE, j->record, "CreateContainer", &request.base);
	return reply && keep_id(j, &j->made->container, reply->container_id);
}

static bool start(struct pod_job *j)
{
	CRI(StartContainerRequest) request = RUNTIME__V1__START_CONTAINER_REQUEST__INIT;

	request.container_id = j->made->container;
	return told(j->b, j->s, j->c, CALL_START, j->record, "StartContainer", &request.base);
}

static bool exec(struct pod_job *j, const char *text, const struct place *record)
{
	char *command[] = { pb("/bin/sh"), pb("-c"), pb(text) };
	CRI(ExecSyncRequest) request = RUNTIME__V1__EXEC_SYNC_REQUEST__INIT;
	_cleanup_reply_ CRI(ExecSyncResponse) *reply = NULL;

	request.container_id = j->made->container;
	request.cmd = command;
	request.n_cmd = ARRAY_SIZE(command);
	request.timeout = BENCH_TIMEOUT / 2;
	reply = timed(j->b, j->s, j->c, CALL_EXEC, record, "ExecSync", &request.base);
	if (reply && reply->exit_code) {
		complain("ExecSync: \"%s\" ended with status %d", text, reply->exit_code);
		atomic_store(&j->b->failed, true);
	}
	return reply && !reply->exit_code;
}

static bool stop_and_remove(struct pod_job *j)
{
	CRI(StopContainerRequest) stop = RUNTIME__V1__STOP_CONTAINER_REQUEST__INIT;
	CRI(RemoveContainerRequest) rm = RUNTIME__V1__REMOVE_CONTAINER_REQUEST__INIT;
	CRI(StopPodSandboxRequest) stop_pod = RUNTIME__V1__STOP_POD_SANDBOX_REQUEST__INIT;
	CRI(RemovePodSandboxRequest) rm_pod = RUNTIME__V1__REMOVE_POD_SANDBOX_REQUEST__INIT;
	const struct {
		enum bench_call call;
		const char *method;
		const ProtobufCMessage *request;
	} steps[] = {
		{ CALL_STOP, "StopContainer", &stop.base },
		{ CALL_REMOVE, "RemoveContainer", &rm.base },
		{ CALL_STOP_POD, "StopPodSandbox", &stop_pod.base },
		{ CALL_REMOVE_POD, "RemovePodSandbox", &rm_pod.base },
	};
	bool ok = true;
	size_t i;

	stop.container_id = rm.container_id = j->made->container;
	stop_pod.pod_sandbox_id = rm_pod.pod_sandbox_id = j->made->pod;
	stop.timeout = STOP_GRACE;
	for (i = 0; i < ARRAY_SIZE(steps) && ok; i++)
		ok = told(j->b, j->s, j->c, steps[i].call, j->record, steps[i].method,
			  steps[i].request);
	return ok;
}

void bench_cycle(struct bench *b, struct side *s, struct ctl *c, enum bench_net net,
		 const struct place *record)
{
	struct made_pod made = { 0 };
	struct pod_job j = { .b = b, .s = s, .c = c, .record = record, .made = &made };

	if (fill_config(&j, net) && run_pod(&j) && create(&j) && start(&j) &&
	    exec(&j, wait_script, NULL) && exec(&j, ":", record))
		stop_and_remove(&j);
	run_config_done(&j.config);
	free(made.pod);
	free(made.container);
}

void bench_make_pod(struct bench *b, struct side *s, struct ctl *c, enum bench_net net,
		    struct made_pod *ret)
{
	struct pod_job j = { .b = b, .s = s, .c = c, .made = ret };

	if (fill_config(&j, net) && run_pod(&j) && create(&j))
		start(&j);
	run_config_done(&j.config);
}

int bench_remove_pods(struct bench *b, struct side *s)
{
	CRI(PodSandboxFilter__LabelSelectorEntry)
	label = RUNTIME__V1__POD_SANDBOX_FILTER__LABEL_SELECTOR_ENTRY__INIT;
	CRI(PodSandboxFilter__LabelSelectorEntry) * labels[] = { &label };
	CRI(PodSandboxFilter) filter = RUNTIME__V1__POD_SANDBOX_FILTER__INIT;
	CRI(ListPodSandboxRequest) request = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
	CRI(StopPodSandboxRequest) stop = RUNTIME__V1__STOP_POD_SANDBOX_REQUEST__INIT;
	CRI(RemovePodSandboxRequest) rm = RUNTIME__V1__REMOVE_POD_SANDBOX_REQUEST__INIT;
	_cleanup_reply_ CRI(ListPodSandboxResponse) *pods = NULL;
	struct ctl *c = &s->clients[0];
	int failed = 0;
	size_t i;

	label.key = pb(BENCH_LABEL);
	label.value = b->run_id;
	filter.label_selector = labels;
	filter.n_label_selector = 1;
	request.filter = &filter;
	pods = ctl_ask(c, "ListPodSandbox", &request.base, BENCH_TIMEOUT);
	for (i = 0; pods && i < pods->n_items; i++) {
		stop.pod_sandbox_id = rm.pod_sandbox_id = pods->items[i]->id;
		if (!ctl_tell(c, "StopPodSandbox", &stop.base, BENCH_TIMEOUT) &&
		    !ctl_tell(c, "RemovePodSandbox", &rm.base, BENCH_TIMEOUT))
			continue;
		complain("pod %s is left behind on %s", pods->items[i]->id, s->endpoint);
		failed = EXIT_FAILURE;
	}
	return pods ? failed : EXIT_FAILURE;
}
