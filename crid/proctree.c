/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of the tree is stopped first, so that it neither starts nor reaps anything while its
 * descendants are looked up: a number read from /proc then still belongs to the process it
 * belonged to. Killing a process hands its children to the root, so the look-up is repeated
 * until nothing lives below the root, and only then the root itself is killed.
 *
 * Every number is turned into a pidfd before it is used, and its parent is read once more
 * afterwards.
 *
 * Nothing is killed for a moment while runc makes the copy of itself that it runs in the container (see
 * copies_itself()). Nothing tells when that is over, so it is looked at every millisecond.
 */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "proctree.h"

#define KILL_WAIT_NS (10ll * 1000 * 1000 * 1000)
#define COPY_WAIT_NS (1ll * 1000 * 1000 * 1000)
#define COPY_LOOK_NS (1ll * 1000 * 1000)
#define TREE_MAX 4096 /* processes killed in one round; the next round takes more */

struct entry {
	pid_t pid, parent;
	bool zombie, below; /* below: a descendant of the root */
};

struct table {
	struct entry *e;
	size_t n, size;
};

static int pidfd_open_(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void pidfd_signal(int pidfd, int sig)
{
	syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

static bool read_entry(pid_t pid, struct entry *ret)
{
	_cleanup_free_ char *stat = NULL;
	char path[32];
	const char *p;
	char state;
	int parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_file(path, 4096, &stat, NULL))
		return false;
	p = strrchr(stat, ')');
	if (!p || sscanf(p + 1, " %c %d", &state, &parent) != 2)
		return false;
	*ret = (struct entry){ .pid = pid,
			       .parent = parent,
			       .zombie = state == 'Z' || state == 'X' };
	return true;
}

static bool table_add(struct table *t, const struct entry *e)
{
	size_t size = t->size ? 2 * t->size : 256;
	struct entry *p;

	if (t->n == t->size) {
		p = reallocarray(t->e, size, sizeof(*p));
		if (!p)
			return false;
		t->e = p;
		t->size = size;
	}
	t->e[t->n++] = *e;
	return true;
}

static void table_read(struct table *t)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	struct dirent *e;
	struct entry entry;

	while (d && (e = readdir(d))) {
		int pid = *e->d_name >= '1' && *e->d_name <= '9' ? atoi(e->d_name) : 0;

		if (pid > 0 && read_entry(pid, &entry) && !table_add(t, &entry))
			break;
	}
}

static bool is_below(const struct table *t, pid_t parent, pid_t root)
{
	if (parent == root)
		return true;
	for (size_t i = 0; i < t->n; i++)
		if (t->e[i].pid == parent)
			return t->e[i].below;
	return false;
}

/* Until no pass finds more: children may come before their parents. */
static void table_mark(struct table *t, pid_t root)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < t->n; i++) {
			struct entry *e = &t->e[i];

			if (!e->below && e->pid != root && is_below(t, e->parent, root))
				e->below = more = true;
		}
	}
}

static bool alive(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

static void wait_dead(int pidfd, int64_t deadline)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int64_t left;

	while ((left = deadline - mono_ns()) > 0)
		if (poll(&p, 1, (int)(left / 1000000) + 1) != -1 || errno != EINTR)
			return;
}

/* The pidfd of a process that is still the one of the table; -1 when it is not. */
static int open_entry(const struct entry *e)
{
	_cleanup_close_ int fd = pidfd_open_(e->pid);
	struct entry now;

	if (fd < 0 || !read_entry(e->pid, &now) || now.parent != e->parent)
		return -1;
	return take_fd(fd);
}

struct target {
	int fd;
	pid_t group; /* to be killed as a whole; 0: none */
};

/*
 * What a command put into the background belongs to a container's init when its parent has
 * ended, so it is not below the root any more; the process group still tells where it came from.
 * crun's commands do not lead theirs. Not our own group, nor the root's, which dies last.
 */
static pid_t group_of(pid_t pid, pid_t root)
{
	pid_t group = getpgid(pid);

	return group > 1 && group != getpgrp() && group != getpgid(root) ? group : 0;
}

static bool read_program(pid_t pid, char ret[PATH_MAX])
{
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	n = readlink(path, ret, PATH_MAX - 1);
	ret[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/*
 * "runc init" begins as runc's own program, and mounts that in runc's state directory for as long as it takes
 * to open it and become what it has opened: another program than its parent's, as far as anybody can see.
 * Killed in between it would leave the mount, and with it the directory, for ever.
 */
static bool copies_itself(const struct entry *e)
{
	char path[32], mine[PATH_MAX], parents[PATH_MAX];
	_cleanup_free_ char *args = NULL;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)e->pid);
	if (read_file(path, 4096, &args, &n) || strlen(args) + 6 != n || !streq(args + n - 5, "init"))
		return false;
	return read_program(e->pid, mine) && read_program(e->parent, parents) && streq(mine, parents);
}

/*
 * What lives below the root now, at most TREE_MAX. All of it is held before any is killed: a
 * death moves children.
 */
static size_t find_targets(int root_fd, pid_t root, struct target *ret, bool *ret_copies)
{
	struct table t = { 0 };
	size_t n = 0;

	table_read(&t);
	/* the root's death would make its number, and what was found below it, someone else's */
	if (alive(root_fd)) {
		table_mark(&t, root);
		for (size_t i = 0; i < t.n && n < TREE_MAX; i++) {
			const struct entry *e = &t.e[i];
			int fd = e->below && !e->zombie ? open_entry(e) : -1;

			if (fd >= 0 && copies_itself(e))
				*ret_copies = true;
			if (fd >= 0)
				ret[n++] = (struct target){ fd, group_of(e->pid, root) };
		}
	}
	free(t.e);
	return n;
}

/* Kills what lives below the root now; false when there was nothing. */
static bool kill_round(int root_fd, pid_t root, int64_t deadline)
{
	_cleanup_free_ struct target *targets = calloc(TREE_MAX, sizeof(*targets));
	bool copies = false;
	size_t n = targets ? find_targets(root_fd, root, targets, &copies) : 0;
	bool wait = copies && deadline - mono_ns() > KILL_WAIT_NS - COPY_WAIT_NS;

	for (size_t i = 0; i < n && !wait; i++) {
		/* a living member: the number is not another group's */
		if (targets[i].group && alive(targets[i].fd))
			kill(-targets[i].group, SIGKILL);
		pidfd_signal(targets[i].fd, SIGKILL);
	}
	for (size_t i = 0; i < n; i++) {
		wait_dead(targets[i].fd, wait ? mono_ns() + COPY_LOOK_NS : deadline);
		close_fd(targets[i].fd);
	}
	return n > 0;
}

void proctree_kill(int pidfd, pid_t pid)
{
	int64_t deadline = mono_ns() + KILL_WAIT_NS;

	if (!alive(pidfd))
		return;
	pidfd_signal(pidfd, SIGSTOP);
	while (kill_round(pidfd, pid, deadline) && mono_ns() < deadline)
		;
	pidfd_signal(pidfd, SIGKILL);
	wait_dead(pidfd, deadline);
}

void proctree_kill_child(pid_t pid)
{
	_cleanup_close_ int fd = pid > 0 ? pidfd_open_(pid) : -1;
	struct entry e;

	if (fd >= 0 && read_entry(pid, &e) && e.parent == getpid())
		proctree_kill(fd, pid);
}
