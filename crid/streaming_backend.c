/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library asks for: exec, attach and connections, each begun by an operation thread. All of
 * this runs on the streaming thread.
 *
 * An exec: starting -> running (the runtime's pidfd is watched) -> ended, told to the library; a client
 * that leaves has it killed, with all that it started. A kill under way holds the end up.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <cbase/io.h>
#include "errors.h"
#include "log.h"
#include "proctree.h"
#include "spawn.h"
#include "streaming_private.h"

static struct backend_stream *of_kill(struct job *job)
{
	return (struct backend_stream *)(void *)((char *)job - offsetof(struct backend_stream, kill));
}

/* ---- the end of an exec ---- */

static void tell_end(struct backend_stream *b)
{
	int status = 0;

	if (!b->ended || b->killing)
		return;
	child_wait(b->child, -1, &status);
	b->child = child_free(b->child);
	b->t->lib.crisvc_stream_exit(b->stream, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void on_end(void *user, uint32_t events)
{
	struct backend_stream *b = user;

	b->source = loop_remove(b->source);
	b->ended = true;
	child_saw_end(b->child);
	tell_end(b);
}

static void run_kill(struct job *job)
{
	struct backend_stream *b = of_kill(job);

	proctree_kill(child_pidfd(b->child), child_pid(b->child));
}

static void done_kill(struct job *job)
{
	struct backend_stream *b = of_kill(job);

	b->killing = false;
	tell_end(b);
}

static void kill_exec(struct backend_stream *b)
{
	if (b->killing || b->ended)
		return;
	b->killing = true;
	b->kill = (struct job){ .run = run_kill, .done = done_kill };
	jobs_submit(b->t->jobs, LANE_STOP, &b->kill);
}

/* ---- the start ---- */

static void close_io(struct backend_stream *b)
{
	if (b->io.out != b->io.in)
		close_fd(b->io.out);
	close_fd(b->io.in);
	close_fd(b->io.err);
	b->io.in = b->io.out = b->io.err = -1;
}

static void run_start(struct job *job)
{
	struct backend_stream *b = (struct backend_stream *)job;

	switch (b->target->kind) {
	case CRISVC_STREAM_EXEC:
		b->r = stream_exec_start(b, &b->err);
		break;
	case CRISVC_STREAM_ATTACH:
		b->r = stream_attach_start(b, &b->err);
		break;
	default:
		b->r = stream_port_start(b, &b->err);
	}
	if (b->r)
		close_io(b);
}

static void watch_exec(struct backend_stream *b)
{
	if (loop_add(b->t->loop, child_pidfd(b->child), EPOLLIN, on_end, b, &b->source)) {
		/* nobody will tell when it ends, so it ends now */
		proctree_kill(child_pidfd(b->child), child_pid(b->child));
		on_end(b, 0);
	} else if (b->cancelled) {
		kill_exec(b);
	}
}

static void done_start(struct job *job)
{
	struct backend_stream *b = (struct backend_stream *)job;
	struct crisvc_stream_io io;
	bool exec;

	b->starting = false;
	if (b->r) {
		log_warn("stream of %s: %s", b->target->id, b->err.message);
		b->t->lib.crisvc_stream_fail(b->stream, b->err.message);
		return;
	}
	/* the descriptors are the library's from here on; and only an exec surely outlives this call */
	io = b->io;
	b->io.in = b->io.out = b->io.err = -1;
	exec = b->target->kind == CRISVC_STREAM_EXEC;
	b->t->lib.crisvc_stream_run(b->stream, &io);
	if (exec)
		watch_exec(b);
}

/* ---- what the library calls ---- */

static void start(void *user, struct crisvc_stream *s)
{
	struct streaming_thread *t = user;
	struct backend_stream *b = calloc(1, sizeof(*b));

	if (!b) {
		t->lib.crisvc_stream_fail(s, "out of memory");
		return;
	}
	*b = (struct backend_stream){ .start = { .run = run_start, .done = done_start }, .t = t, .stream = s,
		.target = t->lib.crisvc_stream_data(s), .port = t->lib.crisvc_stream_port(s), .starting = true,
		.io = { .size = sizeof(b->io), .in = -1, .out = -1, .err = -1 }, .control = -1 };
	t->lib.crisvc_stream_set_user(s, b);
	jobs_submit(t->jobs, LANE_EXEC, &b->start);
}

static void resize(void *user, struct crisvc_stream *s, unsigned width, unsigned height)
{
	struct streaming_thread *t = user;
	struct backend_stream *b = t->lib.crisvc_stream_user(s);
	struct winsize size = { .ws_col = (unsigned short)width, .ws_row = (unsigned short)height };
	char text[32];
	int n;

	if (!b || b->control < 0)
		return;
	if (b->target->kind == CRISVC_STREAM_EXEC) {
		ioctl(b->control, TIOCSWINSZ, &size);
		return;
	}
	n = snprintf(text, sizeof(text), "1 %u %u\n", height, width);
	if (write(b->control, text, (size_t)n) != n)
		log_debug("stream of %s: its monitor does not take the size of the terminal", b->target->id);
}

static void cancel(void *user, struct crisvc_stream *s)
{
	struct streaming_thread *t = user;
	struct backend_stream *b = t->lib.crisvc_stream_user(s);

	if (!b)
		return;
	b->cancelled = true;
	if (b->child && !b->starting)
		kill_exec(b);
}

static void done(void *user, struct crisvc_stream *s)
{
	struct streaming_thread *t = user;
	struct backend_stream *b = t->lib.crisvc_stream_user(s);

	if (!b)
		return;
	loop_remove(b->source);
	if (b->child) { /* only when the daemon ends */
		proctree_kill(child_pidfd(b->child), child_pid(b->child));
		child_free(b->child);
	}
	close_io(b);
	close_fd(b->control);
	free(b);
}

const struct crisvc_stream_backend streaming_backend = {
	.size = sizeof(streaming_backend),
	.start = start,
	.resize = resize,
	.cancel = cancel,
	.done = done,
};
