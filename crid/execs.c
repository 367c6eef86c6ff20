/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See execs.h. An exec keeps nothing of the table but a reference to the container's immutable
 * description, so the container may end and be removed while it runs: its process dies with the
 * container, and the exec ends as any other.
 */
#include <sys/epoll.h>
#include <cbase/io.h>
#include "conmon.h"
#include "errors.h"
#include "execs.h"
#include "log.h"

/* conmon ends an exec at its timeout; when it does not, we do this much later. */
#define EXEC_GRACE_NS 5000000000ll

struct exec {
	struct job job;
	struct job kill_job;
	bool killing, ended;		/* the result waits while a kill is under way */
	struct daemon *d;
	struct container_info *info;
	struct waiters caller;
	Runtime__V1__ExecSyncRequest *q;
	struct conmon_exec_run *run;
	struct loop_source *source;
	struct loop_timer *timer;
	struct exec_result result;
	int r;
	struct cb_error err;
};

static void exec_free(struct exec *x)
{
	loop_remove(x->source);
	loop_cancel(x->timer);
	container_info_unref(x->info);
	crisvc_cri_free(&x->q->base);
	exec_result_done(&x->result);
	x->d->execs--;
	free(x);
}

/* ---- the result ---- */

static void run_finish(struct job *job)
{
	struct exec *x = (struct exec *)job;

	x->r = conmon_exec_finish(x->run, &x->result, &x->err);
	x->run = NULL;
}

static void done_finish(struct job *job)
{
	Runtime__V1__ExecSyncResponse m = RUNTIME__V1__EXEC_SYNC_RESPONSE__INIT;
	struct exec *x = (struct exec *)job;

	if (x->r) {
		err_ctx(&x->err, x->r, "exec in container %s", x->info->id);
		waiters_fail(&x->caller, x->r, &x->err);
	} else {
		m.stdout = (ProtobufCBinaryData){ .data = (uint8_t *)x->result.out, .len = x->result.out_len };
		m.stderr = (ProtobufCBinaryData){ .data = (uint8_t *)x->result.errout, .len = x->result.errout_len };
		m.exit_code = x->result.exit_code;
		waiters_reply(&x->caller, &m.base);
	}
	exec_free(x);
}

static void finish_when_ended(struct exec *x)
{
	if (!x->ended || x->killing)
		return;
	waiters_log(&x->caller);
	x->job = (struct job){ .run = run_finish, .done = done_finish };
	jobs_submit(x->d->jobs, LANE_EXEC, &x->job);
}

static void on_end(void *user, uint32_t events)
{
	struct exec *x = user;

	x->source = loop_remove(x->source);
	x->timer = loop_cancel(x->timer);
	x->ended = true;
	finish_when_ended(x);
}

/* ---- cut short: killing looks into /proc and waits a little, so it is an operation too ---- */

static struct exec *of_kill_job(struct job *job)
{
	return (struct exec *)(void *)((char *)job - offsetof(struct exec, kill_job));
}

static void run_kill(struct job *job)
{
	conmon_exec_kill(of_kill_job(job)->run);
}

static void done_kill(struct job *job)
{
	struct exec *x = of_kill_job(job);

	x->killing = false;
	finish_when_ended(x);
}

static void kill_exec(struct exec *x)
{
	if (x->killing || x->ended)
		return;
	x->killing = true;
	x->kill_job = (struct job){ .run = run_kill, .done = done_kill };
	jobs_submit(x->d->jobs, LANE_STOP, &x->kill_job);
}

static void on_too_long(void *user)
{
	struct exec *x = user;

	x->timer = NULL;
	kill_exec(x);
}

static void on_abandoned(void *user)
{
	struct exec *x = user;

	if (x->source)
		kill_exec(x);
}

/* ---- the start ---- */

int exec_process_text(const char *dir, char *const *args, bool tty, char **ret, size_t *ret_len,
		      struct cb_error *err)
{
	struct ocispec *s = NULL;
	int r;

	r = config_json_load(dir, &s, err);
	if (r)
		return r;
	r = ocispec_set_args(s, (const char *const *)args);
	if (!r)
		r = ocispec_set_terminal(s, tty);
	if (!r)
		r = ocispec_format(s, OCISPEC_FORMAT_PROCESS, ret, ret_len);
	ocispec_free(s);
	return r ? err_sysr(err, r < 0 ? r : -EINVAL, "build the process of an exec") : 0;
}

static int process_text(const struct exec *x, char **ret, size_t *ret_len, struct cb_error *err)
{
	_cleanup_strv_ char **args = NULL;
	size_t i;
	int r = 0;

	for (i = 0; i < x->q->n_cmd && !r; i++)
		r = strv_push(&args, x->q->cmd[i]);
	return r ? err_oom(err) : exec_process_text(x->info->dir, args, x->info->tty, ret, ret_len, err);
}

static void run_start(struct job *job)
{
	struct exec *x = (struct exec *)job;
	_cleanup_free_ char *process = NULL;
	struct conmon_exec c = {
		.config = x->d->config, .handler = config_runtime(x->d->config, x->info->handler),
		.id = x->info->id, .name = x->info->name, .tty = x->info->tty, .timeout = x->q->timeout,
		.bundle = x->info->run_dir,
	};

	x->r = process_text(x, &process, &c.process_len, &x->err);
	if (x->r)
		return;
	c.process = process;
	x->r = conmon_exec_start(&c, &x->run, &x->err);
}

static void done_start(struct job *job)
{
	struct exec *x = (struct exec *)job;

	int64_t limit;

	if (x->r) {
		done_finish(&x->job);
		return;
	}
	if (loop_add(x->d->loop, child_pidfd(conmon_exec_child(x->run)), EPOLLIN, on_end, x, &x->source)) {
		kill_exec(x);
		on_end(x, 0);
		return;
	}
	if (x->q->timeout > 0 && !__builtin_mul_overflow(x->q->timeout, 1000000000ll, &limit) && limit < INT64_MAX / 2)
		loop_timer(x->d->loop, mono_ns() + limit + EXEC_GRACE_NS, on_too_long, x, &x->timer);
	if (!waiters_any(&x->caller))
		kill_exec(x);
}

void exec_sync(struct container *c, struct crisvc_call *call, Runtime__V1__ExecSyncRequest *q)
{
	struct exec *x = calloc(1, sizeof(*x));

	if (!x)
		abort();
	*x = (struct exec){ .job = { .run = run_start, .done = done_start }, .d = c->d,
		.info = container_info_ref(c->info), .q = q };
	x->caller = (struct waiters){ .abandoned = on_abandoned, .user = x };
	waiters_add(&x->caller, call);
	c->d->execs++;
	jobs_submit(c->d->jobs, LANE_EXEC, &x->job);
}
