/* SPDX-License-Identifier: Apache-2.0 */
/* See containers.h. */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <cbase/io.h>
#include "container_request.h"
#include "container_volumes.h"
#include "containers.h"
#include "cri_pairs.h"
#include "errors.h"
#include "events.h"
#include "log.h"
#include "op_container.h"
#include "op_pod.h"
#include "pods.h"
#include "stats.h"

#define KILL_BACKOFF_FIRST 20000000ll		/* 20 ms */
#define KILL_BACKOFF_MAX 120000000000ll		/* 2 min: a process in uninterruptible sleep */
#define MONITOR_PATIENCE 5000000000ll		/* pause between kills that says "long gone": twice that has passed */

enum kind { MAKE, START, UPDATE, END, DELETE };

static const enum operation ops[] = {
	[MAKE] = OP_CREATE_CONTAINER, [START] = OP_START_CONTAINER, [UPDATE] = OP_UPDATE_CONTAINER,
	[END] = OP_END_CONTAINER, [DELETE] = OP_REMOVE_CONTAINER,
};

struct container_update {
	struct container_update *next;
	struct waiters caller;
	Runtime__V1__UpdateContainerResourcesRequest *q;
	struct arena arena;
	struct resource_info result;
};

struct container_job {
	struct job job;
	enum kind kind;
	struct container *c;
	const struct services *sv;
	struct container_info *info;
	struct pod_info *pod;		/* MAKE */
	Runtime__V1__CreateContainerRequest *request;
	struct container_make make;
	struct container_update *update;	/* UPDATE */
	struct object_state st;
	int init_fd, monitor_fd;	/* opened by MAKE */
	bool killed;			/* END: SIGKILL was sent to it */
	int r;
	struct cb_error err;
};

bool container_visible(const struct container *c)
{
	return !c->infra && c->state != CONTAINER_NEW && c->state != CONTAINER_GONE && !c->parked;
}

static void set_state(struct container *c, enum container_event ev)
{
	int next = container_next(c->state, ev);

	if (next < 0) {
		log_error("container %s: event %d is illegal while %s", c->info->id, (int)ev, container_state_name(c->state));
		return;
	}
	log_debug("container %s: %s -> %s", c->info->id, container_state_name(c->state),
		  container_state_name((enum container_state)next));
	c->state = (enum container_state)next;
	events_container(c, ev);
}

/* ---- watching processes ---- */

static void unwatch(struct watched *w)
{
	w->source = loop_remove(w->source);
	w->pidfd = close_fd(w->pidfd);
}

static void on_init_end(void *user, uint32_t events)
{
	struct container *c = user;

	/* the monitor tells the exit code a moment later; only without one this is the last word */
	unwatch(&c->init);
	if (c->monitor.pidfd < 0)
		container_hint(c);
}

static void on_monitor_end(void *user, uint32_t events)
{
	struct container *c = user;

	unwatch(&c->monitor);
	container_hint(c);
}

static void watch(struct container *c, struct watched *w, int fd, void (*fn)(void *, uint32_t))
{
	unwatch(w);
	if (fd < 0)
		return;
	w->pidfd = fd;
	if (loop_add(c->d->loop, fd, EPOLLIN, fn, c, &w->source))
		log_error("container %s: cannot watch its process", c->info->id);
}

void container_watch(struct container *c, int init_fd, int monitor_fd)
{
	watch(c, &c->init, init_fd, on_init_end);
	watch(c, &c->monitor, monitor_fd, on_monitor_end);
	if (init_fd < 0 && monitor_fd < 0)
		c->end_hint = true;
}

/* ---- objects ---- */

static struct container_update *pop_update(struct container *c)
{
	struct container_update *u = c->updates;

	c->updates = u->next;
	return u;
}

static void update_free(struct container_update *u)
{
	waiters_give_up(&u->caller);
	crisvc_cri_free(&u->q->base);
	arena_done(&u->arena);
	free(u);
}

struct container *container_add(struct pod *p, struct container_info *info, enum container_state state,
				const struct object_state *st, bool infra)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c) {
		container_info_unref(info);
		return NULL;
	}
	*c = (struct container){ .d = p->d, .pod = p, .info = info, .infra = infra, .state = state, .st = *st,
		.init.pidfd = -1, .monitor.pidfd = -1 };
	if (infra) {
		p->infra = c;
	} else {
		c->next = p->containers;
		p->containers = c;
	}
	return c;
}

void container_free(struct container *c)
{
	struct container **at;

	if (c->infra) {
		c->pod->infra = NULL;
	} else {
		for (at = &c->pod->containers; *at != c; at = &(*at)->next)
			;
		*at = c->next;
	}
	unwatch(&c->init);
	unwatch(&c->monitor);
	loop_cancel(c->stop_timer);
	loop_cancel(c->parked);
	/* only when the daemon ends is there still somebody */
	waiters_give_up(&c->creating);
	waiters_give_up(&c->starting);
	waiters_give_up(&c->stopping);
	waiters_give_up(&c->removing);
	while (c->updates)
		update_free(pop_update(c));
	stats_slot_unref(c->stats);
	container_info_unref(c->info);
	free(c->request);
	free(c);
}

/* ---- operations ---- */

static void job_run(struct job *job)
{
	struct container_job *j = (struct container_job *)job;

	switch (j->kind) {
	case MAKE:
		j->r = op_container_make(j->sv, &j->make, j->info, &j->st, &j->err);
		if (!j->r) {
			j->init_fd = process_open(j->st.init.pid, j->st.init.start_time);
			j->monitor_fd = process_open(j->st.monitor.pid, j->st.monitor.start_time);
		}
		break;
	case START:
		j->r = op_container_start(j->sv, j->info, &j->st, &j->err);
		break;
	case UPDATE:
		j->r = op_container_update(j->sv, j->info, j->update->q->linux, &j->update->arena, &j->update->result, &j->err);
		break;
	case END:
		j->r = op_container_ended(j->sv, j->info, j->killed, &j->st, &j->err);
		break;
	case DELETE:
		j->r = op_container_delete(j->sv, j->info, &j->err);
		break;
	}
}

static void job_done(struct job *job);

static struct container_job *submit(struct container *c, enum kind kind, enum lane lane)
{
	struct container_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	/* what an exit or a timer goes on with is still somebody's request */
	waiters_log(&c->stopping);
	waiters_log(&c->removing);
	waiters_log(&c->starting);
	*j = (struct container_job){ .job = { .run = job_run, .done = job_done, .op = ops[kind] }, .kind = kind, .c = c, .sv = &c->d->sv,
		.info = container_info_ref(c->info), .st = c->st, .init_fd = -1, .monitor_fd = -1, .killed = c->kill_backoff };
	c->busy = true;
	if (kind != MAKE && kind != UPDATE)	/* the caller has more to fill in */
		jobs_submit(c->d->jobs, lane, &j->job);
	return j;
}

static void job_free(struct container_job *j)
{
	container_info_unref(j->info);
	pod_info_unref(j->pod);
	if (j->request)
		crisvc_cri_free(&j->request->base);
	free(j);
}

static void on_parked_too_long(void *user)
{
	struct container *c = user;

	c->parked = NULL;
	log_info("container %s (%s): nobody asked again for it, it is removed", c->info->id, c->info->name);
	container_remove(c, NULL, 0);
}

static void made(struct container_job *j)
{
	Runtime__V1__CreateContainerResponse m = RUNTIME__V1__CREATE_CONTAINER_RESPONSE__INIT;
	struct container *c = j->c;

	if (j->r) {
		set_state(c, CONTAINER_EV_FAILED);
		err_ctx(&j->err, j->r, "create container %s", c->info->name);
		waiters_fail(&c->creating, j->r, &j->err);
		return;
	}
	c->st = j->st;
	container_watch(c, j->init_fd, j->monitor_fd);
	set_state(c, CONTAINER_EV_CREATED);
	log_info("created container %s: %s", c->info->id, c->info->name);
	if (!waiters_any(&c->creating)) {
		loop_timer(c->d->loop, mono_ns() + PARKED_SECONDS * 1000000000ll, on_parked_too_long, c, &c->parked);
		return;
	}
	free(take(c->request));
	m.container_id = (char *)(uintptr_t)c->info->id;
	waiters_reply(&c->creating, &m.base);
}

static void started(struct container_job *j)
{
	struct container *c = j->c;

	c->want_start = false;
	if (j->r) {
		err_ctx(&j->err, j->r, "start container %s", c->info->name);
		utf8_copy(c->st.error, sizeof(c->st.error), j->err.message);
		waiters_fail(&c->starting, j->r, &j->err);
		/* what a failed start leaves behind must not stay "created": the process waits for ever */
		container_stop(c, NULL, 0);
		return;
	}
	c->st = j->st;
	set_state(c, CONTAINER_EV_STARTED);
	log_info("started container %s", c->info->id);
	waiters_reply_empty(&c->starting);
}

/* A text that did not change stays where it is, so that updates do not pile up in the arena. */
static const char *keep_text(struct arena *a, const char *old, const char *text)
{
	return streq(old, text) ? old : arena_strdup(a, text);
}

static void updated(struct container_job *j)
{
	struct container_info *i = j->c->info;
	struct container_update *u = j->update;

	if (j->r) {
		err_ctx(&j->err, j->r, "update container %s", i->name);
		waiters_fail(&u->caller, j->r, &j->err);
	} else {
		u->result.cpuset_cpus = keep_text(&i->arena, i->resources.cpuset_cpus, u->result.cpuset_cpus);
		u->result.cpuset_mems = keep_text(&i->arena, i->resources.cpuset_mems, u->result.cpuset_mems);
		i->resources = u->result;
		log_info("updated container %s", i->id);
		waiters_reply_empty(&u->caller);
	}
	update_free(u);
}

static void ended(struct container_job *j)
{
	struct container *c = j->c;

	if (j->r == E_NOT_FOUND)
		return;		/* it lives, or its monitor has still to write the code */
	if (j->r) {
		log_error("container %s: find its exit code: %s", c->info->id, j->err.message);
		return;
	}
	c->st = j->st;
	unwatch(&c->init);
	unwatch(&c->monitor);
	c->stop_timer = loop_cancel(c->stop_timer);
	set_state(c, CONTAINER_EV_EXITED);
	log_info("container %s ended with %d%s", c->info->id, c->st.exit_code, c->st.oom_killed ? " (out of memory)" : "");
}

static void deleted(struct container_job *j)
{
	struct container *c = j->c;

	if (j->r) {
		set_state(c, CONTAINER_EV_STUCK);
		c->want_remove = false;
		err_ctx(&j->err, j->r, "remove container %s", c->info->name);
		log_error("%s", j->err.message);
		waiters_fail(&c->removing, j->r, &j->err);
		pod_remove_failed(c->pod, j->r, &j->err);
		return;
	}
	set_state(c, CONTAINER_EV_REMOVED);
	log_info("removed container %s", c->info->id);
	waiters_reply_empty(&c->removing);
}

static void job_done(struct job *job)
{
	struct container_job *j = (struct container_job *)job;
	struct container *c = j->c;

	c->busy = false;
	switch (j->kind) {
	case MAKE:
		made(j);
		break;
	case START:
		started(j);
		break;
	case UPDATE:
		updated(j);
		break;
	case END:
		ended(j);
		break;
	case DELETE:
		deleted(j);
		break;
	}
	job_free(j);
	container_advance(c);
}

/* ---- stopping ---- */

static void on_stop_timer(void *user)
{
	struct container *c = user;

	c->stop_timer = NULL;
	container_advance(c);
}

static void arm(struct container *c, int64_t when)
{
	loop_cancel(c->stop_timer);
	c->stop_timer = NULL;
	if (loop_timer(c->d->loop, when, on_stop_timer, c, &c->stop_timer))
		log_error("container %s: no timer for its stop", c->info->id);
}

static void send_signal(struct container *c, int sig)
{
	/* a process that is gone is reported by its pidfd, so failure needs no handling here */
	if (c->init.pidfd >= 0)
		pidfd_send_signal(c->init.pidfd, sig, NULL, 0);
}

/* A monitor that does not tell the end of a process long gone hangs, and would for ever. */
static void kill_hung_monitor(struct container *c)
{
	if (c->init.pidfd >= 0 || c->monitor.pidfd < 0 || c->kill_backoff < MONITOR_PATIENCE)
		return;
	log_warn("container %s: its process is gone and its monitor hangs, the monitor is killed", c->info->id);
	pidfd_send_signal(c->monitor.pidfd, SIGKILL, NULL, 0);
}

static void kill_again(struct container *c)
{
	send_signal(c, SIGKILL);
	kill_hung_monitor(c);
	c->kill_backoff = !c->kill_backoff ? KILL_BACKOFF_FIRST :
		2 * c->kill_backoff > KILL_BACKOFF_MAX ? KILL_BACKOFF_MAX : 2 * c->kill_backoff;
	arm(c, mono_ns() + c->kill_backoff);
}

/* Signal, wait, kill, and kill again with growing pauses until the process is gone. */
static void advance_stop(struct container *c)
{
	if (c->st.init.pid && c->init.pidfd < 0 && c->monitor.pidfd < 0) {
		c->end_hint = true;
		return;
	}
	if (mono_ns() >= c->stop_deadline || c->state == CONTAINER_CREATED) {
		kill_again(c);
		return;
	}
	if (!c->signalled)
		send_signal(c, c->info->stop_signal);
	c->signalled = true;
	arm(c, c->stop_deadline);
}

/* ---- the heart ---- */

static void end_of_new(struct container *c)
{
	struct pod *p = c->pod;

	container_free(c);
	pod_advance(p);
}

static void advance_update(struct container *c)
{
	struct container_job *j = submit(c, UPDATE, LANE_OPS);

	if (!j)
		abort();
	j->update = pop_update(c);
	jobs_submit(c->d->jobs, LANE_OPS, &j->job);
}

static void refuse_updates(struct container *c)
{
	struct container_update *u;
	struct cb_error err = { 0 };
	int r;

	while (c->updates) {
		u = pop_update(c);
		r = err_set(&err, E_STATE, "container %s is not created or running but %s", c->info->id,
			    c->want_stop || c->want_remove ? "stopping" : container_state_name(c->state));
		waiters_fail(&u->caller, r, &err);
		update_free(u);
	}
}

static void advance_running(struct container *c)
{
	if (c->want_stop)
		advance_stop(c);
	if (c->end_hint) {
		c->end_hint = false;
		if (!submit(c, END, LANE_STOP))
			log_error("container %s: out of memory", c->info->id);
		return;
	}
	if (c->updates && !c->want_stop) {
		advance_update(c);
		return;
	}
	if (c->want_start && c->state == CONTAINER_CREATED && !c->want_stop && !submit(c, START, LANE_OPS)) {
		c->want_start = false;
		waiters_fail(&c->starting, -ENOMEM, &(struct cb_error){ .message = "out of memory" });
	}
}

static void advance_exited(struct container *c)
{
	struct cb_error err = { 0 };
	int r;

	if (c->want_start) {
		c->want_start = false;
		r = err_set(&err, E_STATE, "container %s is not created but %s", c->info->id, container_state_name(c->state));
		waiters_fail(&c->starting, r, &err);
	}
	refuse_updates(c);
	c->want_stop = false;
	waiters_reply_empty(&c->stopping);
	if (!c->want_remove || c->infra)
		return;
	set_state(c, CONTAINER_EV_REMOVE);
	if (!submit(c, DELETE, LANE_OPS)) {
		set_state(c, CONTAINER_EV_STUCK);
		waiters_fail(&c->removing, -ENOMEM, &(struct cb_error){ .message = "out of memory" });
	}
}

void container_advance(struct container *c)
{
	struct pod *p = c->pod;

	if (c->busy)
		return;
	switch (c->state) {
	case CONTAINER_NEW:
	case CONTAINER_REMOVING:
		return;
	case CONTAINER_CREATED:
	case CONTAINER_RUNNING:
		advance_running(c);
		return;
	case CONTAINER_EXITED:
		advance_exited(c);
		if (!c->busy)
			pod_advance(p);
		return;
	case CONTAINER_GONE:
	case CONTAINER_STATES:
		end_of_new(c);
		return;
	}
}

void container_hint(struct container *c)
{
	if (c->state != CONTAINER_CREATED && c->state != CONTAINER_RUNNING)
		return;
	c->end_hint = true;
	container_advance(c);
}

void container_start(struct container *c, struct crisvc_call *call)
{
	Runtime__V1__StartContainerResponse m = RUNTIME__V1__START_CONTAINER_RESPONSE__INIT;
	struct cb_error err = { 0 };
	int r;

	if (c->restored && c->state == CONTAINER_RUNNING) {
		/* the daemon died between starting it and saying so */
		call_reply(call, &m.base);
		return;
	}
	if (c->state != CONTAINER_CREATED || c->want_stop || c->want_remove) {
		r = err_set(&err, E_STATE, "container %s is not created but %s", c->info->id,
			    c->want_remove || c->want_stop ? "stopping" : container_state_name(c->state));
		call_fail(call, r, &err);
		return;
	}
	c->want_start = true;
	waiters_add(&c->starting, call);
	container_advance(c);
}

void container_update(struct container *c, struct crisvc_call *call, Runtime__V1__UpdateContainerResourcesRequest *q)
{
	struct container_update *u = calloc(1, sizeof(*u)), **at;

	if (!u)
		abort();
	u->q = q;
	waiters_add(&u->caller, call);
	for (at = &c->updates; *at; at = &(*at)->next)
		;
	*at = u;
	if (c->want_stop || c->want_remove || (c->state != CONTAINER_CREATED && c->state != CONTAINER_RUNNING))
		refuse_updates(c);
	else
		container_advance(c);
}

void container_stop(struct container *c, struct crisvc_call *call, int64_t grace)
{
	int64_t deadline = mono_ns() + grace;

	waiters_add(&c->stopping, call);
	if (c->state == CONTAINER_EXITED || c->state == CONTAINER_REMOVING) {
		waiters_reply_empty(&c->stopping);
		return;
	}
	if (!c->want_stop || deadline < c->stop_deadline)
		c->stop_deadline = deadline;
	c->want_stop = true;
	container_advance(c);
}

void container_remove(struct container *c, struct crisvc_call *call, int64_t grace)
{
	waiters_add(&c->removing, call);
	c->want_remove = true;
	if (c->state == CONTAINER_EXITED || c->state == CONTAINER_REMOVING)
		container_advance(c);
	else
		container_stop(c, NULL, grace);
}

/* ---- creating ---- */

static struct container *find_by_name(struct pod *p, const char *name)
{
	struct container *c;

	for (c = p->containers; c; c = c->next)
		if (streq(c->info->name, name))
			return c;
	return NULL;
}

/*
 * The same request again: wait for the running one, or take what it left parked, or what a daemon made
 * that died before it said so.
 */
static void join(struct container *c, struct crisvc_call *call, const Runtime__V1__ContainerConfig *q,
		 const void *bytes, size_t len)
{
	Runtime__V1__CreateContainerResponse m = RUNTIME__V1__CREATE_CONTAINER_RESPONSE__INIT;
	bool same = c->request && c->request_len == len && !memcmp(c->request, bytes, len);
	struct cb_error err = { 0 };

	if (same && c->state == CONTAINER_NEW) {
		waiters_add(&c->creating, call);
	} else if ((same && c->parked) || (c->restored && c->state == CONTAINER_CREATED && !c->want_stop && container_request_made(q, c->info))) {
		c->parked = loop_cancel(c->parked);
		free(take(c->request));
		m.container_id = (char *)(uintptr_t)c->info->id;
		call_reply(call, &m.base);
	} else {
		call_fail(call, err_set(&err, E_EXISTS, "container name %s is taken by container %s", c->info->name, c->info->id), &err);
	}
}

/* The process whose pid namespace is to be shared; pid 0: it is not there. */
static struct process_id target_of(struct pod *p, const Runtime__V1__ContainerConfig *q)
{
	const Runtime__V1__LinuxContainerSecurityContext *s = q->linux ? q->linux->security_context : NULL;
	const char *id = s && s->namespace_options ? s->namespace_options->target_id : "";
	struct container *c;

	for (c = p->containers; c; c = c->next)
		if (streq(c->info->id, id) && c->state == CONTAINER_RUNNING)
			return c->st.init;
	return (struct process_id){ 0 };
}

static int begin(struct pod *p, Runtime__V1__CreateContainerRequest *q, const char *name, struct container **ret,
		 struct cb_error *err)
{
	const struct image *image = image_table_find(p->d->images, q->config->image->image);
	struct container_job *j = NULL;
	struct container_info *info;
	struct object_state st;
	struct container *c;
	int r;

	if (!image)
		return err_set(err, E_NOT_FOUND, "image %s is not here: pull it first", q->config->image->image);
	object_state_init(&st);
	info = container_request_info(p, q->config, name, image);
	r = info ? container_volumes_plan(info, q->config, config_runtime(p->d->config, p->info->handler), p->d->images, err) : 0;
	if (r) {
		container_info_unref(info);
		return err_ctx(err, r, "create container %s", name);
	}
	c = info ? container_add(p, info, CONTAINER_NEW, &st, false) : NULL;
	if (c)
		j = submit(c, MAKE, LANE_OPS);
	if (!j) {
		if (c)
			container_free(c);
		return err_oom(err);
	}
	j->request = q;
	j->pod = pod_info_ref(p->info);
	j->make = (struct container_make){ .config = q->config, .pod = p->info,
		.infra = p->infra ? p->infra->st.init : (struct process_id){ 0 }, .target = target_of(p, q->config) };
	jobs_submit(p->d->jobs, LANE_OPS, &j->job);
	*ret = c;
	return 0;
}

void container_create(struct pod *p, struct crisvc_call *call, Runtime__V1__CreateContainerRequest *q,
		      void *bytes, size_t len)
{
	_cleanup_free_ char *name = NULL;
	struct cb_error err = { 0 };
	struct container *c;
	int r;

	r = container_request_check(p, q, &err);
	if (!r) {
		name = strf("k8s_%s_%s_%s_%s_%u", q->config->metadata->name, p->info->meta_name,
			    p->info->meta_namespace, p->info->meta_uid, q->config->metadata->attempt);
		if (!name)
			r = err_oom(&err);
	}
	c = name ? find_by_name(p, name) : NULL;
	if (c) {
		join(c, call, q->config, bytes, len);
	} else {
		if (!r)
			r = begin(p, q, name, &c, &err);
		if (!r) {
			c->request = take(bytes);
			c->request_len = len;
			waiters_add(&c->creating, call);
			return;
		}
		call_fail(call, r, &err);
	}
	crisvc_cri_free(&q->base);
	free(bytes);
}
