/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default runner: one program from start to end. Its input is a sealed memory file, because a
 * pipe would need writing while reading, may raise SIGPIPE and can stall; its output comes through
 * two pipes. The program is waited for by pidfd, and its answer is complete when both pipes are at
 * their end. A call that ends otherwise (deadline, flood, signal, cancel, or a child that keeps a
 * pipe open when the program itself is gone) leaves nothing running: the program leads a process
 * group of its own, and its environment bears a mark by which what left that group is found.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "private.h"

#define DEATH_WAIT_MS 5000 /* after SIGKILL; longer only when stuck in the kernel */
#define LINGER_MS 5000	   /* for the end of the output after that of the program */

/* A descriptor above stdio, so that the child's dup2() calls cannot hit each other. */
static int raise_fd(int fd)
{
	int high;

	if (fd < 0 || fd > 2)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	close_fd(fd);
	return high;
}

static int input_file(const char *input, size_t len)
{
	_cleanup_close_ int fd =
		raise_fd(memfd_create("cni-input", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, input, len);
	if (r)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	return take_fd(fd);
}

/* Only our end is non-blocking. */
static int output_pipe(int *ret_read, int *ret_write)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	*ret_read = raise_fd(p[0]);
	*ret_write = raise_fd(p[1]);
	if (*ret_read < 0 || *ret_write < 0 || fcntl(*ret_read, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int set_actions(posix_spawn_file_actions_t *fa, int in, int out, int err)
{
	int r;

	if ((r = posix_spawn_file_actions_adddup2(fa, in, 0)) ||
	    (r = posix_spawn_file_actions_adddup2(fa, out, 1)) ||
	    (r = posix_spawn_file_actions_adddup2(fa, err, 2)) ||
	    (r = posix_spawn_file_actions_addclosefrom_np(fa, 3)))
		return -r;
	return 0;
}

static int set_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	if ((r = posix_spawnattr_setpgroup(attr, 0)) ||
	    (r = posix_spawnattr_setsigmask(attr, &none)) ||
	    (r = posix_spawnattr_setsigdefault(attr, &all)) ||
	    (r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
							POSIX_SPAWN_SETSIGDEF)))
		return -r;
	return 0;
}

/* posix_spawn() wants pointers to writable strings, and does not write. */
static int spawn(const char *path, const char *const *env, int in, int out, int err, pid_t *ret)
{
	union {
		const char *const *in;
		char *const *out;
	} e = { .in = env };
	union {
		const char *in;
		char *out;
	} p = { .in = path };
	char *const argv[] = { p.out, NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	int r;

	r = -posix_spawn_file_actions_init(&fa);
	if (r)
		return r;
	r = -posix_spawnattr_init(&attr);
	if (r) {
		posix_spawn_file_actions_destroy(&fa);
		return r;
	}
	r = set_actions(&fa, in, out, err);
	if (r == 0)
		r = set_attributes(&attr);
	if (r == 0)
		r = -posix_spawn(ret, path, &fa, &attr, argv, e.out);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	return r;
}

struct running {
	pid_t pid;
	int pidfd;
	int cancel_fd;
	int fds[2]; /* stdout, stderr; -1 at their end */
	struct str text[2];
	bool ended; /* the program; its children may still write */
	int64_t deadline;
	char mark[CNIC_MARK_MAX];
};

/* Reads what is there now. Past the limit stdout is an error; stderr is only comment and cut. */
static int drain(struct running *run, int i)
{
	char buf[16384];
	ssize_t n;

	while (run->fds[i] >= 0) {
		n = read(run->fds[i], buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return -errno;
		if (n == 0) {
			run->fds[i] = close_fd(run->fds[i]);
			return 0;
		}
		if (run->text[i].len + (size_t)n <= CNIC_OUTPUT_MAX)
			str_append_mem(&run->text[i], buf, (size_t)n);
		else if (i == 0)
			return -EFBIG;
		else if (mono_ns() >= run->deadline)
			return CNIC_E_TIMEOUT; /* an endless stderr must not keep us here */
		if (str_failed(&run->text[i]))
			return -ENOMEM;
	}
	return 0;
}

static int wait_ms(int64_t deadline)
{
	int64_t left;

	if (deadline == INT64_MAX)
		return -1;
	left = (deadline - mono_ns() + 999999) / 1000000;
	return left <= 0 ? 0 : left > 1000000000 ? 1000000000 : (int)left;
}

/*
 * From here on only its output is waited for, and not for long. What it started has no parent now
 * that a signal killed it, and is killed before it can keep that from being told.
 */
static void note_end(struct running *run)
{
	int64_t limit = mono_ns() + LINGER_MS * 1000000LL;
	siginfo_t si = { 0 };

	run->ended = true;
	if (limit < run->deadline)
		run->deadline = limit;
	if (waitid(P_PIDFD, (id_t)run->pidfd, &si, WEXITED | WNOWAIT) < 0 || si.si_code == CLD_EXITED)
		return;
	kill(-run->pid, SIGKILL);
	cnic_mark_kill(run->mark);
}

/* Until the program has ended and its output too. */
static int follow(struct running *run)
{
	while (!run->ended || run->fds[0] >= 0 || run->fds[1] >= 0) {
		struct pollfd p[4] = {
			{ .fd = run->fds[0], .events = POLLIN },
			{ .fd = run->fds[1], .events = POLLIN },
			{ .fd = run->ended ? -1 : run->pidfd, .events = POLLIN },
			{ .fd = run->cancel_fd, .events = POLLIN },
		};
		int r, n;

		n = poll(p, 4, wait_ms(run->deadline));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n <= 0 && mono_ns() >= run->deadline)
			return run->ended ? -EBUSY : CNIC_E_TIMEOUT;
		if (n <= 0)
			continue;
		if (p[3].revents)
			return CNIC_E_CANCELLED;
		for (int i = 0; i < 2; i++) {
			r = drain(run, i);
			if (r)
				return r;
		}
		if (p[2].revents)
			note_end(run);
	}
	return 0;
}

static int reap(const struct running *run, int *ret_status)
{
	siginfo_t si = { 0 };

	while (waitid(P_PIDFD, (id_t)run->pidfd, &si, WEXITED) < 0)
		if (errno != EINTR)
			return -errno;
	*ret_status = si.si_code == CLD_EXITED ? (si.si_status & 0xff) << 8 : si.si_status & 0x7f;
	return 0;
}

/* Not yet waited for, so the process group still is this program's. */
static void put_down(const struct running *run)
{
	struct pollfd p = { .fd = run->pidfd, .events = POLLIN };
	int64_t deadline = mono_ns() + DEATH_WAIT_MS * 1000000LL;
	int status;

	kill(-run->pid, SIGKILL);
	while (poll(&p, 1, wait_ms(deadline)) < 0 && errno == EINTR)
		;
	cnic_mark_kill(run->mark);
	if (p.revents)
		reap(run, &status);
}

/* Borrows all of env but the mark, which is put at its end. */
static const char **marked_env(const char *const *env, const char *mark)
{
	const char **copy;
	size_t n = 0;

	while (env[n])
		n++;
	copy = calloc(n + 2, sizeof(*copy));
	if (copy) {
		memcpy(copy, env, n * sizeof(*copy));
		copy[n] = mark;
	}
	return copy;
}

static int start(struct running *run, const char *path, const char *const *env, const char *input,
		 size_t len)
{
	_cleanup_close_ int in = -1, out = -1, err = -1;
	_cleanup_free_ const char **marked = marked_env(env, run->mark);
	int r;

	if (!marked)
		return -ENOMEM;
	r = cnic_mark_make(run->mark);
	if (r)
		return r;
	in = input_file(input, len);
	if (in < 0)
		return in;
	r = output_pipe(&run->fds[0], &out);
	if (r == 0)
		r = output_pipe(&run->fds[1], &err);
	if (r == 0)
		r = spawn(path, marked, in, out, err, &run->pid);
	if (r)
		return r;
	run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
	if (run->pidfd < 0) {
		r = -errno;
		kill(-run->pid, SIGKILL);
		while (waitpid(run->pid, NULL, 0) < 0 && errno == EINTR)
			;
		cnic_mark_kill(run->mark);
	}
	return r;
}

static void running_done(struct running *run)
{
	close_fd(run->pidfd);
	for (int i = 0; i < 2; i++) {
		close_fd(run->fds[i]);
		str_done(&run->text[i]);
	}
}

int run_default(void *user, const char *path, const char *const *env, const char *input,
		size_t input_len, int timeout_ms, char **ret_out, size_t *ret_out_len,
		char **ret_errout, int *ret_status)
{
	_cleanup_(running_done) struct running run = { .pidfd = -1, .fds = { -1, -1 } };
	_cleanup_free_ char *out = NULL, *errout = NULL;
	const int *cancel_fd = user;
	int r, status;

	run.cancel_fd = cancel_fd ? *cancel_fd : -1;
	run.deadline = deadline_after(timeout_ms);
	r = start(&run, path, env, input, input_len);
	if (r)
		return r;
	r = follow(&run);
	if (r) {
		put_down(&run);
		*ret_errout = str_take(&run.text[1], NULL);
		return r;
	}
	r = reap(&run, &status);
	if (r)
		return r;
	out = str_take(&run.text[0], ret_out_len);
	errout = str_take(&run.text[1], NULL);
	if (!out || !errout)
		return -ENOMEM;
	*ret_out = take(out);
	*ret_errout = take(errout);
	*ret_status = status;
	return 0;
}
