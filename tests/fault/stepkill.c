/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kills a program at its N-th system call that changes something outside of it.
 *
 *	stepkill N LOG PID		all threads of the process PID, not its children
 *	stepkill N LOG -- PROGRAM ...	the program and all its children; the one that gets there dies
 *
 * Calls are counted over all threads together (strace counts for each thread on its own, so it
 * cannot name a step of an operation that moves between threads) and written to LOG, one line each.
 * The N-th is not executed any more. N = 0 only counts. "ready" on stdout says that PID is traced;
 * the end of stdin ends the tracing, and the process goes on.
 *
 * A call counts when a file, a mount, a process or a peer can see it: files are written through a
 * regular file's descriptor other than stdout and stderr, which is the log.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum kind { ALWAYS, MAKES, CREATES, WRITES, SENDS, FORKS, FORKS3 };

#define CALL(name, kind, path)                                                                     \
	{                                                                                          \
		SYS_##name, #name, kind, path                                                      \
	}

/* clang-format off */
/* path: number of the argument that is a path, for the log; -1: none */
static const struct call {
	long nr;
	const char *name;
	enum kind kind;
	int path;
} calls[] = {
	CALL(renameat, ALWAYS, 3), CALL(renameat2, ALWAYS, 3), CALL(mkdirat, MAKES, 1),
	CALL(mknodat, ALWAYS, 1), CALL(unlinkat, ALWAYS, 1), CALL(linkat, ALWAYS, 3),
	CALL(symlinkat, ALWAYS, 2), CALL(mount, ALWAYS, 1), CALL(umount2, ALWAYS, 0),
	CALL(move_mount, ALWAYS, 3), CALL(fchmodat, ALWAYS, 1), CALL(fchownat, ALWAYS, 1),
	CALL(fchmod, ALWAYS, -1), CALL(fchown, ALWAYS, -1), CALL(ftruncate, ALWAYS, -1),
	CALL(truncate, ALWAYS, 0), CALL(setxattr, ALWAYS, 0), CALL(lsetxattr, ALWAYS, 0),
	CALL(fsetxattr, ALWAYS, -1), CALL(utimensat, ALWAYS, -1), CALL(kill, ALWAYS, -1), CALL(pidfd_send_signal, ALWAYS, -1),
	CALL(openat, CREATES, 1), CALL(write, WRITES, -1), CALL(pwrite64, WRITES, -1),
	CALL(writev, WRITES, -1), CALL(copy_file_range, WRITES, -1), CALL(sendto, SENDS, -1),
	CALL(sendmsg, SENDS, -1), CALL(clone, FORKS, -1), CALL(clone3, FORKS3, -1),
#ifdef SYS_rename	/* not on newer architectures */
	CALL(rename, ALWAYS, 1), CALL(mkdir, MAKES, 0), CALL(rmdir, ALWAYS, 0), CALL(unlink, ALWAYS, 0),
	CALL(link, ALWAYS, 1), CALL(symlink, ALWAYS, 1), CALL(chmod, ALWAYS, 0), CALL(chown, ALWAYS, 0),
	CALL(lchown, ALWAYS, 0), CALL(mknod, ALWAYS, 0), CALL(fork, ALWAYS, -1), CALL(vfork, ALWAYS, -1),
#endif
};
/* clang-format on */

static pid_t target; /* 0: a program that we started, with its children */
static unsigned long kill_at, seen;
static FILE *out;

static bool peer_read(pid_t tid, uint64_t at, void *to, size_t n)
{
	struct iovec local = { to, n }, remote = { (void *)(uintptr_t)at, n };

	return process_vm_readv(tid, &local, 1, &remote, 1, 0) == (ssize_t)n;
}

/* A page at most, and not over its end: what is behind it may not be mapped. */
static void peer_string(pid_t tid, uint64_t at, char *to, size_t size)
{
	size_t n = 4096 - at % 4096;

	memset(to, 0, size);
	if (at)
		peer_read(tid, at, to, n < size ? n : size - 1);
}

static bool fd_is_file(pid_t tid, uint64_t fd, char *path, size_t size)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)tid, (int)fd);
	n = readlink(link, path, size - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return fd != 1 && fd != 2 && *path == '/' && strncmp(path, "/dev/", 5) != 0;
}

static bool counts(pid_t tid, const struct call *c, const __uint64_t *args, char *what, size_t size)
{
	uint64_t flags = args[0];

	*what = '\0';
	if (c->path >= 0)
		peer_string(tid, args[c->path], what, size);
	switch (c->kind) {
	case MAKES:
		return *what != '/' || access(what, F_OK) < 0;
	case CREATES:
		return args[2] & O_TRUNC ||
		       (args[2] & O_CREAT && (*what != '/' || access(what, F_OK) < 0));
	case WRITES:
		return fd_is_file(tid, c->nr == SYS_copy_file_range ? args[2] : args[0], what,
				  size);
	case FORKS3:
		return peer_read(tid, args[0], &flags, sizeof(flags)) && !(flags & CLONE_THREAD);
	case FORKS:
		return !(flags & CLONE_THREAD);
	case ALWAYS:
	case SENDS:
		break;
	}
	return true;
}

static void on_call(pid_t tid)
{
	struct __ptrace_syscall_info i;
	char what[160];
	size_t n;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof(i), &i) <= 0 ||
	    i.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	for (n = 0; n < sizeof(calls) / sizeof(*calls); n++)
		if ((long)i.entry.nr == calls[n].nr)
			break;
	if (n == sizeof(calls) / sizeof(*calls) ||
	    !counts(tid, &calls[n], i.entry.args, what, sizeof(what)))
		return;
	seen++;
	if (kill_at && seen > kill_at)
		return;
	fprintf(out, "%s %s\n", calls[n].name, what);
	fflush(out);
	if (seen == kill_at)
		kill(target ? target : tid, SIGKILL);
}

static void on_stop(pid_t tid, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;

	if (event == PTRACE_EVENT_STOP && sig != SIGTRAP) {
		ptrace(PTRACE_LISTEN, tid, 0, 0);
		return;
	}
	if (sig == (SIGTRAP | 0x80))
		on_call(tid);
	ptrace(PTRACE_SYSCALL, tid, 0, event || sig == (SIGTRAP | 0x80) ? 0 : sig);
}

/* Until nothing has happened any more; false when nobody is traced any longer. */
static bool collect(int *ret_status, pid_t main_pid)
{
	int status;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
		if (WIFSTOPPED(status))
			on_stop(tid, status);
		else if (tid == main_pid)
			*ret_status = status;
	}
	return tid == 0;
}

static int seize(pid_t tid, long options)
{
	if (ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | options) < 0)
		return -1;
	return ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0 ? -1 : 0;
}

/* Threads may be born while we look; a pass that finds no new one ends it. */
static void seize_threads(pid_t pid)
{
	bool more = true;
	struct dirent *e;
	char path[32];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	while (more) {
		more = false;
		d = opendir(path);
		while (d && (e = readdir(d)))
			if (*e->d_name != '.' && seize(atoi(e->d_name), 0) == 0)
				more = true;
		if (d)
			closedir(d);
	}
}

static pid_t start(char **argv)
{
	int go[2];
	char c;
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return -1;
	if (pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		close(go[1]);
		if (read(go[0], &c, 1) != 1)
			_exit(126);
		execv(argv[0], argv);
		_exit(127);
	}
	if (seize(pid, PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK) < 0 || write(go[1], "", 1) != 1)
		return -1;
	/* what the program was given is its alone: a socket must be able to hang up */
	close_range(3, ~0u, 0);
	return pid;
}

static int trace(int events, pid_t main_pid)
{
	struct pollfd p[] = { { .fd = events, .events = POLLIN },
			      { .fd = target ? 0 : -1, .events = POLLIN } };
	struct signalfd_siginfo info;
	int status = 0;

	while (collect(&status, main_pid)) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return 1;
		if (p[1].revents) /* the kernel lets go of all when we end */
			return 0;
		while (read(events, &info, sizeof(info)) > 0)
			;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	bool run = argc > 4 && strcmp(argv[3], "--") == 0;
	pid_t main_pid;
	sigset_t set;
	int events, log;

	if (argc < 4 || (!run && argc > 4)) {
		fprintf(stderr, "usage: stepkill N LOG {PID | -- PROGRAM ...}\n");
		return 2;
	}
	kill_at = strtoul(argv[1], NULL, 10);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (run) {
		main_pid = start(argv + 4);
	} else {
		main_pid = target = atoi(argv[3]);
		seize_threads(target);
	}
	log = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	out = log < 0 ? NULL : fdopen(log, "w");
	events = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (main_pid <= 0 || !out || events < 0) {
		perror("stepkill");
		return 2;
	}
	if (target) {
		puts("ready");
		fflush(stdout);
	}
	return trace(events, main_pid);
}
