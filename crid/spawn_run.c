/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program run to its end: one poll loop over its pipes and its pidfd.
 *
 * The end is the death of the program, not end of file on its output: what it left in the
 * background may hold the pipes open for ever. So after its death exactly the bytes are read that
 * the pipes hold at that moment, and no more.
 */
#include "spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "errors.h"

/* For a killed program to be gone; one in uninterruptible sleep is left to the reaper. */
#define KILL_WAIT_MS 5000

struct sink {
	int fd;
	struct str text;
};

struct run {
	struct child *child;
	int in;				/* -1: nothing left to write */
	const char *input;
	size_t input_len;
	struct sink out[2];
	size_t limit;
	int64_t deadline;		/* CLOCK_MONOTONIC ns; INT64_MAX: none */
};

static void run_done(struct run *r)
{
	child_free(r->child);
	close_fd(r->in);
	for (size_t i = 0; i < 2; i++) {
		close_fd(r->out[i].fd);
		str_done(&r->out[i].text);
	}
}

static void run_write(struct run *r)
{
	ssize_t n = write(r->in, r->input, r->input_len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		r->input += n;
		r->input_len -= (size_t)n;
	}
	/* A program that does not want its input (EPIPE) may still end well. */
	if (n < 0 || r->input_len == 0)
		r->in = close_fd(r->in);
}

/*
 * One read of at most max bytes; what is above the limit is dropped. Returns the bytes read, 0 at
 * the end.
 */
static size_t run_read(struct run *r, struct sink *s, size_t max)
{
	char buf[16384];
	ssize_t n = read(s->fd, buf, max < sizeof(buf) ? max : sizeof(buf));
	size_t room = r->limit - s->text.len;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		s->fd = close_fd(s->fd);
		return 0;
	}
	str_append_mem(&s->text, buf, (size_t)n < room ? (size_t)n : room);
	return (size_t)n;
}

static void run_drain(struct run *r, struct sink *s)
{
	int left = 0;

	if (s->fd < 0 || ioctl(s->fd, FIONREAD, &left) < 0)
		return;
	while (left > 0 && s->fd >= 0) {
		size_t n = run_read(r, s, (size_t)left);

		if (n == 0)
			return;
		left -= (int)n;
	}
}

static int run_poll_timeout(const struct run *r)
{
	int64_t left;

	if (r->deadline == INT64_MAX)
		return -1;
	left = r->deadline - mono_ns();
	return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

/* Until the program is dead. 0, E_DEADLINE, negative errno. */
static int run_loop(struct run *r)
{
	for (;;) {
		struct pollfd p[4] = {
			{ .fd = child_pidfd(r->child), .events = POLLIN },
			{ .fd = r->in, .events = POLLOUT },
			{ .fd = r->out[0].fd, .events = POLLIN },
			{ .fd = r->out[1].fd, .events = POLLIN },
		};
		int n = poll(p, ARRAY_SIZE(p), run_poll_timeout(r));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && p[1].revents)
			run_write(r);
		for (size_t i = 0; n > 0 && i < 2; i++) {
			if (p[2 + i].revents)
				run_read(r, &r->out[i], SIZE_MAX);
		}
		if (n > 0 && p[0].revents)
			return 0;
		/* Also when there is always something to read. */
		if (run_poll_timeout(r) == 0)
			return E_DEADLINE;
	}
}

/* A pipe of which our end does not block; *ret_theirs goes to the child. */
static int run_pipe(int *ret_ours, int *ret_theirs, bool we_write)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	*ret_ours = p[we_write];
	*ret_theirs = p[!we_write];
	if (fcntl(*ret_ours, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int run_start(struct run *r, const struct spawn *s, const bool want[2], struct cb_error *err)
{
	_cleanup_close_ int in = -1, out = -1, errout = -1;
	struct spawn copy = *s;
	int e = 0;

	if (r->input_len > 0)
		e = run_pipe(&r->in, &in, true);
	if (!e && want[0])
		e = run_pipe(&r->out[0].fd, &out, false);
	if (!e && want[1])
		e = run_pipe(&r->out[1].fd, &errout, false);
	if (e)
		return err_sysr(err, e, "start %s: make a pipe", s->path);
	copy.in = in;
	copy.out = out;
	copy.err = errout;
	copy.new_group = true;
	return spawn_start(&copy, &r->child, err);
}

/* The outcome of a program that was started; on failure its process group is killed. */
static int run_finish(struct run *r, const struct spawn *s, int timeout_ms, int *ret_status,
		      struct cb_error *err)
{
	int e = run_loop(r);

	if (!e) {
		child_saw_end(r->child);
		run_drain(r, &r->out[0]);
		run_drain(r, &r->out[1]);
		child_wait(r->child, -1, ret_status);
		if (!str_failed(&r->out[0].text) && !str_failed(&r->out[1].text))
			return 0;
		return err_oom(err);
	}
	child_kill_group(r->child, SIGKILL);
	child_wait(r->child, KILL_WAIT_MS, NULL);
	if (e == E_DEADLINE)
		return err_set(err, E_DEADLINE, "%s did not finish within %d ms and was killed",
			       s->path, timeout_ms);
	return err_sysr(err, e, "run %s", s->path);
}

/* SIGPIPE of run_write() must not reach a process that does not expect it. */
static bool sigpipe_block(sigset_t *old)
{
	sigset_t set, pending;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &set, old);
	return sigismember(&pending, SIGPIPE) == 1;
}

static void sigpipe_restore(const sigset_t *old, bool was_pending)
{
	struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	if (!was_pending)
		sigtimedwait(&set, NULL, &now);
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

static int take_text(struct str *text, char **ret, size_t *ret_len, char **tmp)
{
	if (!ret)
		return 0;
	*tmp = str_take(text, ret_len);
	return *tmp ? 0 : -ENOMEM;
}

int spawn_run(const struct spawn *s, const void *input, size_t input_len, size_t limit,
	      int timeout_ms, char **ret_out, size_t *ret_out_len, char **ret_errout,
	      size_t *ret_errout_len, int *ret_status, struct cb_error *err)
{
	struct run r = {
		.in = -1, .input = input, .input_len = input_len,
		.out = { { .fd = -1 }, { .fd = -1 } }, .limit = limit,
		.deadline = timeout_ms < 0 ? INT64_MAX : mono_ns() + (int64_t)timeout_ms * 1000000,
	};
	const bool want[2] = { ret_out != NULL, ret_errout != NULL };
	_cleanup_free_ char *out = NULL, *errout = NULL;
	size_t out_len = 0, errout_len = 0;
	bool was_pending;
	sigset_t mask;
	int e, status = 0;

	was_pending = sigpipe_block(&mask);
	e = run_start(&r, s, want, err);
	if (!e)
		e = run_finish(&r, s, timeout_ms, &status, err);
	sigpipe_restore(&mask, was_pending);
	if (!e && (take_text(&r.out[0].text, ret_out, &out_len, &out) ||
		   take_text(&r.out[1].text, ret_errout, &errout_len, &errout)))
		e = err_oom(err);
	run_done(&r);
	if (e)
		return e;
	if (ret_out)
		*ret_out = take(out);
	if (ret_out_len)
		*ret_out_len = out_len;
	if (ret_errout)
		*ret_errout = take(errout);
	if (ret_errout_len)
		*ret_errout_len = errout_len;
	if (ret_status)
		*ret_status = status;
	return 0;
}

const char *wait_status_text(int status, char *buf)
{
	if (WIFEXITED(status))
		snprintf(buf, 64, "exit status %d", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		snprintf(buf, 64, "killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(buf, 64, "wait status %#x", (unsigned)status);
	return buf;
}
