/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command in a container for a stream: the OCI runtime's exec is our child, as with CRI-O, with the
 * container's own process and other arguments. The runtime reads that from a memfd, so there is no file
 * to be left behind. Without a terminal the command has our pipes; with one the runtime runs on a
 * terminal of the host, whose size it carries over to the one in the container.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <cbase/io.h>
#include "errors.h"
#include "execs.h"
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

static int make_terminal(struct backend_stream *b, struct ends *e, struct cb_error *err)
{
	_cleanup_close_ int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave = -1;
	int unlock = 0;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(err, "make a terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	b->control = slave < 0 ? -1 : fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (b->control < 0)
		return err_sys(err, "make a terminal");
	b->io.in = b->io.out = take_fd(master);
	e->theirs[0] = e->theirs[1] = e->theirs[2] = take_fd(slave);
	return 0;
}

static int run(struct backend_stream *b, const struct ends *e, int process, struct cb_error *err)
{
	const struct runtime_handler *h = b->target->handler;
	bool systemd = streq(b->t->config->cgroup_manager, "systemd");
	const char *argv[] = { h->runtime_path, "--root", h->runtime_root, "exec", "--process", "/proc/self/fd/3",
			       b->target->id, NULL, NULL };
	_cleanup_strv_ char **env = NULL;
	struct spawn s = SPAWN_INIT;

	if (systemd) {
		memmove(argv + 4, argv + 3, 4 * sizeof(*argv));
		argv[3] = "--systemd-cgroup";
	}
	if (runtime_env(h, &env))
		return err_oom(err);
	s.path = h->runtime_path;
	s.argv = argv;
	s.env = (const char *const *)env;
	s.in = e->theirs[0];
	s.out = e->theirs[1];
	s.err = e->theirs[2];
	s.fds = &process;
	s.n_fds = 1;
	s.terminal = b->target->flags & CRISVC_STREAM_TTY;
	s.new_group = true;
	return spawn_start(&s, &b->child, err);
}

int stream_exec_start(struct backend_stream *b, struct cb_error *err)
{
	_cleanup_(ends_close) struct ends e = { { -1, -1, -1 } };
	_cleanup_close_ int process = -1;
	int r = process_file(b->target, &process, err);

	if (!r)
		r = b->target->flags & CRISVC_STREAM_TTY ? make_terminal(b, &e, err) : make_pipes(b, &e, err);
	return r ? r : run(b, &e, process, err);
}
