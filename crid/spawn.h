/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place that starts children and the one place that reaps them.
 *
 * A child is made by clone(CLONE_VM | CLONE_VFORK | CLONE_PIDFD) on a stack of its own, with all
 * signals blocked until exec and reset in the child, and gets exactly the descriptors named here:
 * everything else is closed. crid is a child subreaper; a thread of this module collects every dead
 * child, since that may take the kernel long. Waiting for a child counts as its time in the operation
 * (optime.h).
 */
#ifndef CRID_SPAWN_H
#define CRID_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cbase/err.h>

struct spawn {
	const char *path;		/* absolute; not searched */
	const char *const *argv;	/* NULL-terminated */
	const char *const *env;		/* complete environment, NULL-terminated; NULL: empty */
	const char *cwd;		/* NULL: "/" */
	int in, out, err;		/* -1: /dev/null; borrowed */
	/* become 3, 4, ... in the child; at most 16; -1: /dev/null; borrowed */
	const int *fds;
	size_t n_fds;
	bool new_group;			/* own process group, so that it outlives signals to ours */
	bool terminal;			/* own session; in becomes its controlling terminal */
	/*
	 * cgroup.procs files to enter before exec; NULL-terminated or NULL. Not of a frozen
	 * cgroup: the calling thread is held until exec.
	 */
	const char *const *cgroup_procs;
};
#define SPAWN_INIT { .in = -1, .out = -1, .err = -1 }

/*
 * Once, with SIGCHLD blocked in every thread there is or will be. Starts the thread that collects.
 * 0 or -errno.
 */
int spawn_init(void);

struct child;	/* from spawn_start() until child_free() */

/* The child runs (exec succeeded) when this returns 0; a failed exec is reported as its errno. */
int spawn_start(const struct spawn *s, struct child **ret, struct cb_error *err);
pid_t child_pid(const struct child *c);
int child_pidfd(const struct child *c);		/* [borrowed] polls readable when it is dead */
/* Blocks until it is dead; timeout_ms -1: no limit. 0 with its wait status, E_DEADLINE. */
int child_wait(struct child *c, int timeout_ms, int *ret_status);
/* For the owner who polled the pidfd: it is dead since now at the latest, whenever it is waited for. */
void child_saw_end(struct child *c);
int child_kill(struct child *c, int sig);	/* through the pidfd */
/*
 * Signals the process group of a child that was started with new_group or terminal. Once its end is known
 * nothing is sent: its number may name another group by then.
 */
void child_kill_group(struct child *c, int sig);
/* Forgets it; does not kill. It is collected when it dies. Returns NULL. */
struct child *child_free(struct child *c);

/*
 * Runs a program to its end with input on stdin; what it writes is [owned], cut at limit bytes each
 * (the rest is read and dropped). Past timeout_ms its process group is killed and the result is
 * E_DEADLINE. s->in, out, err are ignored. ret_out, ret_errout may be NULL (then /dev/null).
 */
int spawn_run(const struct spawn *s, const void *input, size_t input_len, size_t limit,
	      int timeout_ms, char **ret_out, size_t *ret_out_len, char **ret_errout,
	      size_t *ret_errout_len, int *ret_status, struct cb_error *err);

/* "exit status 1", "killed by signal 9 (Killed)"; for messages. buf has 64 bytes. */
const char *wait_status_text(int status, char *buf);

/*
 * pid and start time (field 22 of /proc/PID/stat) name a process for good. 0, -ESRCH when it is
 * gone (also when it is a zombie).
 */
int process_start_time(pid_t pid, uint64_t *ret);
/* A pidfd for that very process; -ESRCH when it is gone or another one has the pid now. */
int process_open(pid_t pid, uint64_t start_time);

#endif
