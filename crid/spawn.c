/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting: the child runs on a stack of its own in our memory (CLONE_VM) while the calling thread
 * is held by the kernel until it execs or exits (CLONE_VFORK), so a daemon of any size starts a
 * program in constant time. Between clone and exec the child only makes system calls and writes to
 * the struct start that its parent is waiting with. Under sanitizers, whose shadow memory cannot
 * be shared that way, the same code runs without CLONE_VM; struct start lies in shared memory in
 * both cases.
 *
 * Reaping has two steps, because collecting a zombie can take the kernel tens of milliseconds: it
 * walks what /proc has of the process. The status is noted as soon as the child is dead, by whoever
 * waits for it or by the reaper, and the waiter goes on; then the reaper, a thread that does nothing
 * else, collects it, holding no lock.
 *
 * A struct child is on the list below before clone() is called, and the kernel stores the pid into
 * it (CLONE_CHILD_SETTID: by the child itself, before its first instruction). So whenever a status
 * can be noted, its owner can be found: there is no moment at which a child that dies at once is
 * unknown. Noting takes it off the list, under the list's lock, and collecting comes behind; a pid
 * that is on the list therefore still is that process.
 *
 * States of a struct child: running (ended false) -> ended. child_free() of a running one leaves it
 * on the list, without owner; the reaper frees it then.
 */
#include "spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cbase/cleanup.h>
#include <cbase/io.h>
#include "errors.h"
#include "optime.h"

#define SPAWN_FDS_MAX 16
#define SPAWN_STACK_SIZE (32u << 10)
#define REAPER_STACK_SIZE (64u << 10)

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define SPAWN_SHARE_MEMORY 0
#else
#define SPAWN_SHARE_MEMORY CLONE_VM
#endif

struct child {
	struct child *next;
	pid_t pid;		/* written by the kernel; 0 until then */
	int pidfd;
	int status;
	bool ended;		/* and off the list; status is known */
	bool owned;		/* child_free() was not called yet */
	int64_t born, died;	/* CLOCK_MONOTONIC ns; 0 until known */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct child *children;

/*
 * What the child reads and where it reports; at the low end of the mapping that is also its stack.
 */
struct start {
	const struct spawn *s;
	int fds[3 + SPAWN_FDS_MAX];
	size_t n_fds;
	int64_t born;		/* CLOCK_MONOTONIC ns */
	int error;		/* errno of what failed, 0 after exec */
	const char *failed;	/* what it was doing */
};

/* ---- in the child: system calls only, no allocation, no locks ---- */

static int child_fail(struct start *st, const char *what)
{
	st->error = errno;
	st->failed = what;
	return -1;
}

/* All sources are moved above the targets first, so that no dup2() overwrites one still needed. */
static int child_place_fds(struct start *st)
{
	size_t i;

	for (i = 0; i < st->n_fds; i++) {
		int fd = st->fds[i] >= 0 ? st->fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);

		if (fd >= 0 && fd < (int)st->n_fds)
			fd = fcntl(fd, F_DUPFD_CLOEXEC, (int)st->n_fds);
		if (fd < 0)
			return child_fail(st, "prepare descriptors");
		st->fds[i] = fd;
	}
	for (i = 0; i < st->n_fds; i++) {
		if (dup2(st->fds[i], (int)i) < 0)
			return child_fail(st, "prepare descriptors");
	}
	if (syscall(SYS_close_range, (unsigned)st->n_fds, ~0u, 0u) < 0)
		return child_fail(st, "close descriptors");
	return 0;
}

static int child_enter_cgroups(struct start *st)
{
	const char *const *p;

	for (p = st->s->cgroup_procs; p && *p; p++) {
		int fd = open(*p, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0 || write(fd, "0", 1) != 1) {
			child_fail(st, *p);
			close_fd(fd);
			return -1;
		}
		close(fd);
	}
	return 0;
}

static void child_reset_signals(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;
	int i;

	for (i = 1; i <= SIGRTMAX; i++)
		/* fails for KILL, STOP and those of the C library: as wanted */
		sigaction(i, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_main(void *arg)
{
	struct start *st = arg;
	const struct spawn *s = st->s;
	static const char *const no_env[] = { NULL };
	const char *const *env = s->env ? s->env : no_env;

	st->born = mono_ns();
	if (s->terminal ? setsid() < 0 : s->new_group && setpgid(0, 0) < 0) {
		child_fail(st, "set process group");
		_exit(127);
	}
	if (child_enter_cgroups(st) < 0 || child_place_fds(st) < 0)
		_exit(127);
	if (s->terminal && ioctl(0, TIOCSCTTY, 0) < 0) {
		child_fail(st, "take the terminal");
		_exit(127);
	}
	if (chdir(s->cwd ? s->cwd : "/") < 0) {
		child_fail(st, s->cwd);
		_exit(127);
	}
	child_reset_signals();
	execve(s->path, (char *const *)(uintptr_t)s->argv, (char *const *)(uintptr_t)env);
	child_fail(st, s->path);
	_exit(127);
}

/* ---- in the parent ---- */

/*
 * The kernel's own signals of the C library must be held back too: a handler running in the child
 * would run in our memory. So this is the system call, not pthread_sigmask(), which leaves those
 * two open.
 */
static void block_all_signals(uint64_t *old)
{
	uint64_t all = ~UINT64_C(0);

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, old, sizeof(all));
}

static void restore_signals(const uint64_t *old)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, old, NULL, sizeof(*old));
}

static int clone_child(struct start *st, char *stack_top, struct child *c)
{
	int flags = SPAWN_SHARE_MEMORY | CLONE_VFORK | CLONE_PIDFD | CLONE_CHILD_SETTID | SIGCHLD;
	int r;

	if (SPAWN_SHARE_MEMORY)
		r = clone(child_main, stack_top, flags, st, &c->pidfd, NULL, &c->pid);
	else {
		/*
		 * Here CHILD_SETTID writes to the child's own copy: let the kernel write to ours
		 * as well.
		 */
		struct {
			uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack,
				stack_size, tls;
		} args = {
			.flags = CLONE_VFORK | CLONE_PIDFD | CLONE_PARENT_SETTID,
			.pidfd = (uintptr_t)&c->pidfd,
			.parent_tid = (uintptr_t)&c->pid,
			.exit_signal = SIGCHLD,
		};

		r = (int)syscall(SYS_clone3, &args, sizeof(args));
		if (r == 0)
			_exit(child_main(st));
	}
	return r < 0 ? -errno : 0;
}

static void list_add(struct child *c)
{
	pthread_mutex_lock(&lock);
	c->next = children;
	children = c;
	pthread_mutex_unlock(&lock);
}

static void list_remove_locked(struct child *c)
{
	struct child **p;

	for (p = &children; *p; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			return;
		}
	}
}

static struct child *child_destroy(struct child *c)
{
	close_fd(c->pidfd);
	free(c);
	return NULL;
}

static int fill_start(struct start *st, const struct spawn *s)
{
	size_t i;

	if (!s->path || s->path[0] != '/' || !s->argv || !s->argv[0] || s->n_fds > SPAWN_FDS_MAX)
		return -EINVAL;
	*st = (struct start){ .s = s, .fds = { s->in, s->out, s->err }, .n_fds = 3 + s->n_fds };
	for (i = 0; i < s->n_fds; i++)
		st->fds[3 + i] = s->fds[i];
	return 0;
}

/* Clones, and reports what went wrong before exec. The child is on the list all the time. */
static int start_in(struct start *st, char *stack_top, struct child *c, struct cb_error *err)
{
	uint64_t mask;
	int r;

	list_add(c);
	block_all_signals(&mask);
	r = clone_child(st, stack_top, c);
	restore_signals(&mask);
	if (r < 0) {
		pthread_mutex_lock(&lock);
		list_remove_locked(c);
		pthread_mutex_unlock(&lock);
		return err_sysr(err, r, "start %s", st->s->path);
	}
	c->born = st->born;
	if (!st->error)
		return 0;
	child_wait(c, -1, NULL);	/* it is dead */
	if (st->failed && st->failed != st->s->path)
		return err_sysr(err, -st->error, "start %s: %s", st->s->path, st->failed);
	return err_sysr(err, -st->error, "start %s", st->s->path);
}

int spawn_start(const struct spawn *s, struct child **ret, struct cb_error *err)
{
	struct start plan;
	struct child *c;
	char *map;
	int r;

	r = fill_start(&plan, s);
	if (r)
		return err_sysr(err, r, "start %s", s->path ? s->path : "(no path)");
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_oom(err);
	c->pidfd = -1;
	c->owned = true;
	map = mmap(NULL, SPAWN_STACK_SIZE, PROT_READ | PROT_WRITE,
		   (SPAWN_SHARE_MEMORY ? MAP_PRIVATE | MAP_STACK : MAP_SHARED) | MAP_ANONYMOUS, -1,
		   0);
	if (map == MAP_FAILED) {
		r = err_sys(err, "start %s", s->path);
		child_destroy(c);
		return r;
	}
	memcpy(map, &plan, sizeof(plan));
	r = start_in((struct start *)(void *)map, map + SPAWN_STACK_SIZE, c, err);
	munmap(map, SPAWN_STACK_SIZE);
	if (r) {
		child_destroy(c);
		return r;
	}
	*ret = c;
	return 0;
}

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

int child_pidfd(const struct child *c)
{
	return c->pidfd;
}

int child_kill(struct child *c, int sig)
{
	return syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

/* The status as waitpid() would give it. Locked; once. */
static void note_end_locked(struct child *c, const siginfo_t *info)
{
	c->ended = true;
	if (!c->died)
		c->died = mono_ns();
	if (info->si_code == CLD_EXITED)
		c->status = W_EXITCODE(info->si_status, 0);
	else
		c->status = info->si_status | (info->si_code == CLD_DUMPED ? WCOREFLAG : 0);
	list_remove_locked(c);
}

/* Until it is dead. False: it lived on at the deadline. */
static bool wait_for_death(const struct child *c, int timeout_ms)
{
	int64_t end = mono_ns() + (int64_t)timeout_ms * 1000000, left;
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };
	int n;

	for (;;) {
		left = (end - mono_ns() + 999999) / 1000000;
		n = poll(&p, 1, timeout_ms < 0 ? -1 : left > 0 ? (int)left : 0);
		if (n >= 0)
			return n > 0;
	}
}

int child_wait(struct child *c, int timeout_ms, int *ret_status)
{
	bool dead = wait_for_death(c, timeout_ms);
	siginfo_t info;
	int64_t died;

	pthread_mutex_lock(&lock);
	/* Nobody collects it before its end was noted. */
	if (dead && !c->ended &&
	    waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		note_end_locked(c, &info);
	dead = c->ended;
	if (dead && ret_status)
		*ret_status = c->status;
	died = c->died;
	pthread_mutex_unlock(&lock);
	optime_waited(c->born, died ? died : mono_ns());
	return dead ? 0 : E_DEADLINE;
}

void child_saw_end(struct child *c)
{
	pthread_mutex_lock(&lock);
	if (!c->died)
		c->died = mono_ns();
	pthread_mutex_unlock(&lock);
}

struct child *child_free(struct child *c)
{
	bool destroy;

	if (!c)
		return NULL;
	pthread_mutex_lock(&lock);
	c->owned = false;
	destroy = c->ended;
	pthread_mutex_unlock(&lock);
	return destroy ? child_destroy(c) : NULL;
}

/*
 * Notes the end of a dead child and collects it; what was not started here (an orphan of the
 * subreaper) is only collected.
 */
static void reap_one(const siginfo_t *info)
{
	struct child *c, *unowned = NULL;

	pthread_mutex_lock(&lock);
	for (c = children; c && __atomic_load_n(&c->pid, __ATOMIC_RELAXED) != info->si_pid;
	     c = c->next)
		;
	if (c) {
		note_end_locked(c, info);
		if (!c->owned)
			unowned = c;
	}
	pthread_mutex_unlock(&lock);
	if (unowned)
		child_destroy(unowned);
	waitpid(info->si_pid, NULL, WNOHANG);
}

static void *reaper_main(void *unused)
{
	siginfo_t info;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
			reap_one(&info);
		else
			sigwait(&set, &sig);
	}
	return NULL;
}

int spawn_init(void)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;
	int r;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return -errno;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, REAPER_STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&thread, &attr, reaper_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

void child_kill_group(struct child *c, int sig)
{
	pthread_mutex_lock(&lock);
	if (!c->ended)
		kill(-c->pid, sig);
	pthread_mutex_unlock(&lock);
}
