/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See pods.h. Stopping goes: all containers at once, then network and infra container, then what is
 * left (shm, pins, markers). Removing goes: stop, remove all containers, delete the record.
 */
#include <cbase/io.h>
#include "cgroup.h"
#include "containers.h"
#include "cri_pairs.h"
#include "errors.h"
#include "events.h"
#include "log.h"
#include "network_watch.h"
#include "op_pod.h"
#include "pod_request.h"
#include "pods.h"
#include "pulls.h"
#include "stats.h"

#define NETWORK_WAIT_NS 120000000000ll	/* for the network to be ready, when the caller has no deadline or a later one */
#define NETWORK_MARGIN_NS 500000000ll

enum kind { MAKE, NETWORK_DOWN, FINISH, DELETE };

static const enum operation ops[] = {
	[MAKE] = OP_RUN_POD, [NETWORK_DOWN] = OP_STOP_NETWORK, [FINISH] = OP_STOP_POD, [DELETE] = OP_REMOVE_POD,
};

struct pod_job {
	struct job job;
	enum kind kind;
	struct pod *p;
	const struct services *sv;
	struct pod_info *info;
	Runtime__V1__RunPodSandboxRequest *request;
	struct object_state st;
	int init_fd, monitor_fd;
	bool half;			/* MAKE failed, and so did undoing it */
	int r;
	struct cb_error err;
};

bool pod_visible(const struct pod *p)
{
	return p->state != POD_NEW && p->state != POD_GONE && !p->parked;
}

static void set_state(struct pod *p, enum pod_event ev)
{
	int next = pod_next(p->state, ev);

	if (next < 0) {
		log_error("pod %s: event %d is illegal while %s", p->info->id, (int)ev, pod_state_name(p->state));
		return;
	}
	log_debug("pod %s: %s -> %s", p->info->id, pod_state_name(p->state), pod_state_name((enum pod_state)next));
	p->state = (enum pod_state)next;
	events_pod(p, ev);
}

/* ---- objects ---- */

struct pod *pod_add(struct daemon *d, struct pod_info *info, enum pod_state state, const struct object_state *st)
{
	struct pod *p = calloc(1, sizeof(*p));

	if (!p) {
		pod_info_unref(info);
		return NULL;
	}
	*p = (struct pod){ .next = d->pods, .d = d, .info = info, .state = state, .st = *st };
	d->pods = p;
	return p;
}

void pod_release(struct pod *p)
{
	struct pod **at;

	while (p->containers)
		container_free(p->containers);
	for (at = &p->d->pods; *at != p; at = &(*at)->next)
		;
	*at = p->next;
	if (p->infra)
		container_free(p->infra);
	loop_cancel(p->parked);
	/* only when the daemon ends is there still somebody */
	waiters_give_up(&p->running);
	waiters_give_up(&p->stopping);
	waiters_give_up(&p->removing);
	stats_slot_unref(p->stats);
	pod_info_unref(p->info);
	free(p->request);
	free(p);
}

/* ---- operations ---- */

static void job_run(struct job *job)
{
	struct pod_job *j = (struct pod_job *)job;

	switch (j->kind) {
	case MAKE:
		j->r = op_pod_make(j->sv, j->request->config, j->info, &j->st, &j->half, &j->err);
		if (!j->r && j->st.init.pid) {
			j->init_fd = process_open(j->st.init.pid, j->st.init.start_time);
			j->monitor_fd = process_open(j->st.monitor.pid, j->st.monitor.start_time);
		}
		break;
	case NETWORK_DOWN:
		j->r = op_pod_network_down(j->sv, j->info, &j->err);
		break;
	case FINISH:
		j->r = op_pod_stopped(j->sv, j->info, &j->st, &j->err);
		break;
	case DELETE:
		j->r = op_pod_delete(j->sv, j->info, &j->err);
		break;
	}
}

static void job_done(struct job *job);

static struct pod_job *new_job(struct pod *p, enum kind kind)
{
	struct pod_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	*j = (struct pod_job){ .job = { .run = job_run, .done = job_done, .op = ops[kind] }, .kind = kind, .p = p, .sv = &p->d->sv,
		.info = pod_info_ref(p->info), .st = p->st, .init_fd = -1, .monitor_fd = -1 };
	p->busy = true;
	return j;
}

static void reply_id(struct waiters *w, const struct pod *p)
{
	Runtime__V1__RunPodSandboxResponse m = RUNTIME__V1__RUN_POD_SANDBOX_RESPONSE__INIT;

	m.pod_sandbox_id = (char *)(uintptr_t)p->info->id;
	waiters_reply(w, &m.base);
}

static void on_parked_too_long(void *user)
{
	struct pod *p = user;

	p->parked = NULL;
	log_info("pod %s (%s): nobody asked again for it, it is removed", p->info->id, p->info->name);
	pod_remove(p, NULL, 0);
}

void pod_add_infra(struct pod *p, int init_fd, int monitor_fd)
{
	struct container_info *i = container_info_new();
	struct container *c;

	if (!i)
		return;
	i->id = arena_strdup(&i->arena, p->info->id);
	i->name = arena_strdup(&i->arena, p->info->infra_name);
	i->handler = arena_strdup(&i->arena, p->info->handler);
	i->dir = arena_strdup(&i->arena, p->info->dir);
	i->run_dir = arena_strdup(&i->arena, p->info->run_dir);
	i->pid = NS_CONTAINER;
	if (arena_failed(&i->arena)) {
		container_info_unref(i);
		return;
	}
	c = container_add(p, i, streq(p->st.status, "stopped") ? CONTAINER_EXITED : CONTAINER_RUNNING, &p->st, true);
	if (c && c->state == CONTAINER_RUNNING)
		container_watch(c, init_fd, monitor_fd);
}

static void made(struct pod_job *j)
{
	struct pod *p = j->p;

	if (j->r) {
		p->half = j->half;
		set_state(p, j->half ? POD_EV_STUCK : POD_EV_FAILED);
		err_ctx(&j->err, j->r, "run pod %s", p->info->name);
		waiters_fail(&p->running, j->r, &j->err);
		return;
	}
	p->st = j->st;
	set_state(p, POD_EV_MADE);
	if (j->st.init.pid)
		pod_add_infra(p, j->init_fd, j->monitor_fd);
	log_info("running pod %s: %s", p->info->id, p->info->name);
	if (waiters_any(&p->running)) {
		free(take(p->request));
		reply_id(&p->running, p);
	} else {
		loop_timer(p->d->loop, mono_ns() + PARKED_SECONDS * 1000000000ll, on_parked_too_long, p, &p->parked);
	}
}

/* A step of stopping or removing failed: tell who asked; the next request tries again. */
static void failed(struct pod *p, struct pod_job *j, const char *what)
{
	err_ctx(&j->err, j->r, "%s pod %s", what, p->info->name);
	log_error("%s", j->err.message);
	waiters_fail(&p->stopping, j->r, &j->err);
	waiters_fail(&p->removing, j->r, &j->err);
	p->want_stop = p->want_remove = false;
}

static void stopped(struct pod_job *j)
{
	struct pod *p = j->p;

	if (j->r) {
		failed(p, j, "stop");
		return;
	}
	p->st = j->st;
	set_state(p, POD_EV_STOPPED);
	log_info("stopped pod %s", p->info->id);
}

static void deleted(struct pod_job *j)
{
	struct pod *p = j->p;

	if (j->r) {
		set_state(p, POD_EV_STUCK);
		failed(p, j, "remove");
		return;
	}
	set_state(p, POD_EV_REMOVED);
	log_info("removed pod %s", p->info->id);
	waiters_reply_empty(&p->removing);
}

static void job_done(struct job *job)
{
	struct pod_job *j = (struct pod_job *)job;
	struct pod *p = j->p;

	p->busy = false;
	switch (j->kind) {
	case MAKE:
		made(j);
		break;
	case NETWORK_DOWN:
		p->network_down = !j->r;
		if (j->r)
			failed(p, j, "stop");
		else
			network_collect_later(p->d);
		break;
	case FINISH:
		stopped(j);
		break;
	case DELETE:
		deleted(j);
		break;
	}
	pod_info_unref(j->info);
	if (j->request)
		crisvc_cri_free(&j->request->base);
	free(j);
	pod_advance(p);
}

static void start_job(struct pod *p, enum kind kind, enum lane lane)
{
	struct pod_job *j = new_job(p, kind);

	/* what the end of a container goes on with is still somebody's request */
	waiters_log(&p->stopping);
	waiters_log(&p->removing);
	if (j)
		jobs_submit(p->d->jobs, lane, &j->job);
	else
		log_error("pod %s: out of memory", p->info->id);
}

/* ---- the heart ---- */

static bool all_ended(struct pod *p)
{
	struct container *c, *next;
	bool ended = true;

	for (c = p->containers; c; c = next) {
		next = c->next;
		if (c->state == CONTAINER_EXITED || c->state == CONTAINER_REMOVING)
			continue;
		ended = false;
		if (!c->want_stop || p->stop_deadline < c->stop_deadline)
			container_stop(c, NULL, p->stop_deadline - mono_ns());
	}
	return ended;
}

static bool infra_ended(struct pod *p)
{
	if (!p->infra || p->infra->state == CONTAINER_EXITED)
		return true;
	if (!p->infra->want_stop)
		container_stop(p->infra, NULL, 0);
	return false;
}

static void advance_stopping(struct pod *p)
{
	if (!all_ended(p) || p->busy)
		return;
	if (!p->network_down)
		start_job(p, NETWORK_DOWN, LANE_NET);
	else if (infra_ended(p) && !p->busy)
		start_job(p, FINISH, LANE_STOP);
}

static void advance_removing(struct pod *p)
{
	struct container *c, *next;

	for (c = p->containers; c; c = next) {
		next = c->next;
		if (!c->want_remove)
			container_remove(c, NULL, 0);
	}
	if (p->containers || p->busy)
		return;
	set_state(p, POD_EV_REMOVE);
	start_job(p, DELETE, LANE_OPS);
}

void pod_advance(struct pod *p)
{
	if (p->busy)
		return;
	switch (p->state) {
	case POD_NEW:
	case POD_REMOVING:
		return;
	case POD_READY:
		if (p->infra && p->infra->state == CONTAINER_EXITED && !p->want_stop) {
			log_warn("pod %s: its infra container ended, the pod is stopped", p->info->id);
			p->stop_deadline = mono_ns() + STOP_SECONDS_DEFAULT * 1000000000ll;
			p->want_stop = true;
		}
		if (!p->want_stop)
			return;
		set_state(p, POD_EV_STOP);
		advance_stopping(p);
		return;
	case POD_STOPPING:
		if (p->want_stop)
			advance_stopping(p);
		return;
	case POD_NOTREADY:
		p->want_stop = false;
		waiters_reply_empty(&p->stopping);
		if (p->want_remove)
			advance_removing(p);
		return;
	case POD_GONE:
	case POD_STATES:
		pod_release(p);
		return;
	}
}

void pod_stop(struct pod *p, struct crisvc_call *call, int64_t grace)
{
	int64_t deadline = mono_ns() + grace;

	waiters_add(&p->stopping, call);
	if (p->state == POD_REMOVING) {
		waiters_reply_empty(&p->stopping);
		return;
	}
	if (!p->want_stop || deadline < p->stop_deadline)
		p->stop_deadline = deadline;
	p->want_stop = true;
	pod_advance(p);
}

void pod_remove(struct pod *p, struct crisvc_call *call, int64_t grace)
{
	waiters_add(&p->removing, call);
	p->want_remove = true;
	if (p->state == POD_NOTREADY)
		pod_advance(p);
	else
		pod_stop(p, NULL, grace);
}

void pod_remove_failed(struct pod *p, int r, const struct cb_error *err)
{
	p->want_remove = false;
	waiters_fail(&p->removing, r, err);
}

/* ---- running a new one ---- */

static void make(struct pod *p, Runtime__V1__RunPodSandboxRequest *q)
{
	struct pod_job *j = new_job(p, MAKE);

	if (!j)
		abort();
	waiters_log(&p->running);
	j->request = q;
	jobs_submit(p->d->jobs, LANE_OPS, &j->job);
}

/* It cannot even begin. */
static void give_up(struct pod *p, Runtime__V1__RunPodSandboxRequest *q, int r, struct cb_error *err)
{
	err_ctx(err, r, "run pod %s", p->info->name);
	set_state(p, POD_EV_FAILED);
	waiters_fail(&p->running, r, err);
	crisvc_cri_free(&q->base);
	pod_advance(p);
}

/* A pod and its request while they wait for something. */
struct waiting_pod {
	struct pod *p;
	Runtime__V1__RunPodSandboxRequest *q;
	struct log_request request;	/* what they wait for is somebody else's work */
};

static struct waiting_pod *wait_pod(struct pod *p, Runtime__V1__RunPodSandboxRequest *q)
{
	struct waiting_pod *w = malloc(sizeof(*w));

	if (!w)
		abort();
	*w = (struct waiting_pod){ .p = p, .q = q, .request = log_request_get() };
	p->busy = true;
	return w;
}

static void on_network(void *user, int r, const struct cb_error *why)
{
	struct waiting_pod w = *(struct waiting_pod *)user;
	struct cb_error err = { 0 };

	free(user);
	log_request_set(&w.request);
	w.p->busy = false;
	if (why)
		err_copy(&err, why);
	if (r)
		give_up(w.p, w.q, r, &err);
	else
		make(w.p, w.q);
}

/* The pause image is there. The operation begins when the network is ready, too, if it needs one. */
static void begin(struct pod *p, Runtime__V1__RunPodSandboxRequest *q, const struct image *image)
{
	p->info->image_id = arena_strdup(&p->info->arena, image->id);
	p->info->image_name = arena_strdup(&p->info->arena, image->names[0] ? image->names[0] : "");
	if (p->d->network_ready || p->info->network == NS_NODE)
		make(p, q);
	else if (network_wait(p->d, p->network_deadline, on_network, wait_pod(p, q)))
		abort();
}

static void on_pause_image(void *user, int r, const struct cb_error *why)
{
	struct waiting_pod w = *(struct waiting_pod *)user;
	const struct image *image = image_table_find(w.p->d->images, w.p->d->config->pause_image);
	struct cb_error err = { 0 };

	free(user);
	log_request_set(&w.request);
	w.p->busy = false;
	if (image) {
		begin(w.p, w.q, image);
		return;
	}
	if (why)
		err_copy(&err, why);
	else
		r = err_set(&err, E_NOT_FOUND, "not there after the pull");
	err_ctx(&err, r, "pause image %s", w.p->d->config->pause_image);
	give_up(w.p, w.q, r, &err);
}

static void begin_after_pull(struct pod *p, Runtime__V1__RunPodSandboxRequest *q)
{
	pull_internal(p->d, p->d->config->pause_image, p->d->config->pause_image_auth_file, on_pause_image, wait_pod(p, q));
}

static void join(struct pod *p, struct crisvc_call *call, const void *bytes, size_t len)
{
	Runtime__V1__RunPodSandboxResponse m = RUNTIME__V1__RUN_POD_SANDBOX_RESPONSE__INIT;
	bool same = p->request && p->request_len == len && !memcmp(p->request, bytes, len);
	struct cb_error err = { 0 };

	if (p->state == POD_NEW && !same) {
		call_fail(call, err_set(&err, E_EXISTS, "pod name %s is taken by pod %s, which is being made from another request",
					p->info->name, p->info->id), &err);
	} else if (p->state == POD_NEW) {
		waiters_add(&p->running, call);
	} else if (p->half) {
		call_fail(call, err_set(&err, E_STATE, "pod %s of that name could not be made nor undone: stop and remove it", p->info->id),
			  &err);
	} else if (p->want_remove || p->state == POD_REMOVING) {
		call_fail(call, err_set(&err, E_STATE, "pod %s of that name is being removed", p->info->id), &err);
	} else {
		p->parked = loop_cancel(p->parked);
		free(take(p->request));
		m.pod_sandbox_id = (char *)(uintptr_t)p->info->id;
		call_reply(call, &m.base);
	}
}

/* A moment before the caller's, so that he is told why. */
static int64_t network_deadline(const struct crisvc_call *call)
{
	int64_t now = mono_ns(), theirs = crisvc_call_deadline(call), most = now + NETWORK_WAIT_NS;
	int64_t left = theirs - now;

	return !theirs || theirs > most ? most : theirs - (left < 5 * NETWORK_MARGIN_NS ? left / 5 : NETWORK_MARGIN_NS);
}

static int start_new(struct daemon *d, struct crisvc_call *call, Runtime__V1__RunPodSandboxRequest *q, const char *name,
		     void *bytes, size_t len, struct cb_error *err)
{
	struct pod_info *info = pod_info_new();
	const struct image *image;
	struct object_state st;
	struct pod *p;
	int r;

	if (!info)
		return err_oom(err);
	r = pod_request_fill(d, info, q, name, err);
	for (p = d->pods; !r && p; p = p->next)
		r = p->network_down ? 0 : hostports_conflict(info, p->info, err);
	if (r) {
		pod_info_unref(info);
		return r;
	}
	object_state_init(&st);
	p = pod_add(d, info, POD_NEW, &st);
	if (!p)
		return err_oom(err);
	p->request = bytes;
	p->request_len = len;
	p->network_deadline = network_deadline(call);
	waiters_add(&p->running, call);
	image = image_table_find(d->images, d->config->pause_image);
	if (image)
		begin(p, q, image);
	else
		begin_after_pull(p, q);
	return 0;
}

void pod_run(struct daemon *d, struct crisvc_call *call, Runtime__V1__RunPodSandboxRequest *q, void *bytes, size_t len)
{
	_cleanup_free_ char *name = NULL;
	struct cb_error err = { 0 };
	struct pod *p = NULL;
	int r;

	r = pod_request_check(d, q, &err);
	if (!r) {
		name = strf("k8s_%s_%s_%s_%u", q->config->metadata->name, q->config->metadata->namespace_,
			    q->config->metadata->uid, q->config->metadata->attempt);
		if (!name)
			r = err_oom(&err);
		else
			p = daemon_find_pod_by_name(d, name);
	}
	if (p)
		join(p, call, bytes, len);
	else if (!r)
		r = start_new(d, call, q, name, bytes, len, &err);
	if (!p && !r)
		return;
	if (r)
		call_fail(call, r, &err);
	crisvc_cri_free(&q->base);
	free(bytes);
}
