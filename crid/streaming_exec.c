/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command in a container for a stream: the OCI runtime's exec is our child, as with CRI-O, with the
 * container's own process and other arguments. The runtime reads that from a memfd, so there is no file
 * to be left behind. Without a terminal the command has our pipes. With one, crun brings us the container's
 * terminal (streaming_console.c), and what crun itself has to say comes by a pipe. runc does so only if it is to
 * leave the command to itself: it runs on a terminal of the host, whose size it carries over to that in the container,
 * which crun (1.8) does not.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <cbase/io.h>
#include "errors.h"
#include "execs.h"
#include "proctree.h"
#include "runtime.h"
#include "spawn.h"
#include "streaming_private.h"

#define PIPE_SIZE (256 << 10) /* less than this, if the kernel wants so */

static int process_file(const struct stream_target *t, int *ret, struct cb_error *err)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = exec_process_text(t->dir, t->args, t->flags & CRISVC_STREAM_TTY, &text, &n, err);

	if (r)
		return r;
	fd = memfd_create("exec-process", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "make a file for the process");
	r = write_all(fd, text, n);
	if (r)
		return err_sysr(err, r, "write the process");
	*ret = take_fd(fd);
	return 0;
}

struct ends {
	int theirs[3];
};

static void ends_close(struct ends *e)
{
	for (int i = 0; i < 3; i++)
		if (!i || e->theirs[i] != e->theirs[0])
			close_fd(e->theirs[i]);
}

/* i: 0 for stdin, of which they have the reading end. */
static int make_pipe(int i, int *theirs, int *ours, struct cb_error *err)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "make a pipe");
	fcntl(p[0], F_SETPIPE_SZ, PIPE_SIZE);
	*theirs = p[i ? 1 : 0];
	*ours = p[i ? 0 : 1];
	return 0;
}

static int make_pipes(struct backend_stream *b, struct ends *e, struct cb_error *err)
{
	static const int flags[] = { CRISVC_STREAM_STDIN, CRISVC_STREAM_STDOUT, CRISVC_STREAM_STDERR };
	int *ours[] = { &b->io.in, &b->io.out, &b->io.err }, r = 0;

	for (int i = 0; i < 3 && !r; i++)
		if (b->target->flags & flags[i])
			r = make_pipe(i, &e->theirs[i], ours[i], err);
	/* so that the command may open /dev/stdin again; what it writes to the runtime sees to */
	if (!r && e->theirs[0] >= 0 && fchown(e->theirs[0], b->target->uid, b->target->gid) < 0)
		r = err_sys(err, "give stdin to the container's user");
	return r;
}

static int set_control(struct backend_stream *b, struct cb_error *err)
{
	b->io.out = b->io.in;
	b->control = b->io.in < 0 ? -1 : fcntl(b->io.in, F_DUPFD_CLOEXEC, 3);
	return b->io.in >= 0 && b->control < 0 ? err_sys(err, "keep the terminal") : 0;
}

static int make_terminal(struct backend_stream *b, struct ends *e, struct cb_error *err)
{
	_cleanup_close_ int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave = -1;
	int unlock = 0;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(err, "make a terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(err, "make a terminal");
	b->io.in = take_fd(master);
	e->theirs[0] = e->theirs[1] = e->theirs[2] = take_fd(slave);
	return set_control(b, err);
}

static int run(struct backend_stream *b, const struct ends *e, int process, const struct console *console,
	       struct cb_error *err)
{
	const struct runtime_handler *h = b->target->handler;
	const char *argv[12] = { h->runtime_path, "--root", h->runtime_root };
	_cleanup_strv_ char **env = NULL;
	const int fds[] = { process, console->dir };
	struct spawn s = SPAWN_INIT;
	char path[64];
	size_t n = 3;

	if (b->t->config->systemd_cgroups)
		argv[n++] = "--systemd-cgroup";
	argv[n++] = "exec";
	argv[n++] = "--process";
	argv[n++] = "/proc/self/fd/3";
	if (*console->name) {
		snprintf(path, sizeof(path), "/proc/self/fd/4/%s", console->name);
		argv[n++] = "--console-socket";
		argv[n++] = path;
	}
	argv[n] = b->target->id;
	if (runtime_env(h, &env))
		return err_oom(err);
	s.path = h->runtime_path;
	s.argv = argv;
	s.env = (const char *const *)env;
	s.in = e->theirs[0];
	s.out = e->theirs[1];
	s.err = e->theirs[2];
	s.fds = fds;
	s.n_fds = *console->name ? 2 : 1;
	s.terminal = e->theirs[0] >= 0 && e->theirs[0] == e->theirs[1];
	s.new_group = true;
	return spawn_start(&s, &b->child, err);
}

/* When the runtime ends without a terminal, what it says and how it ended is all there is to tell. */
static int run_with_console(struct backend_stream *b, int process, struct cb_error *err)
{
	_cleanup_(console_close) struct console console = CONSOLE_NONE;
	_cleanup_(ends_close) struct ends e = { { -1, -1, -1 } };
	int r = console_open(&console, b->target->run_dir, err);

	if (!r)
		r = make_pipe(2, &e.theirs[2], &b->io.err, err);
	if (!r)
		r = run(b, &e, process, &console, err);
	if (r)
		return r;
	r = console_receive(&console, child_pidfd(b->child), &b->io.in, err);
	if (!r)
		r = set_control(b, err);
	if (r) {
		proctree_kill(child_pidfd(b->child), child_pid(b->child));
		b->child = child_free(b->child);
	}
	return r;
}

int stream_exec_start(struct backend_stream *b, struct cb_error *err)
{
	_cleanup_(ends_close) struct ends e = { { -1, -1, -1 } };
	bool tty = b->target->flags & CRISVC_STREAM_TTY;
	_cleanup_close_ int process = -1;
	int r = process_file(b->target, &process, err);

	if (!r && tty && b->target->handler->is_crun)
		return run_with_console(b, process, err);
	if (!r)
		r = tty ? make_terminal(b, &e, err) : make_pipes(b, &e, err);
	return r ? r : run(b, &e, process, &CONSOLE_NONE, err);
}
