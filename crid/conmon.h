/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conmon, the monitor of one container: its command lines and its handshake. All functions run on
 * operation threads. Command lines, environment and descriptors are CRI-O's, so that either daemon
 * can take over the other's containers.
 */
#ifndef CRID_CONMON_H
#define CRID_CONMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "config.h"
#include "spawn.h"

struct conmon_create {
	const struct config *config;
	const struct runtime_handler *handler;
	const char *id, *name; /* name: the k8s_... container name */
	const char *bundle;    /* run directory; cwd of conmon, holds config.json */
	const char *persist_dir;
	const char *log_path;
	bool tty, stdin, stdin_once;
	const char *cgroup_path; /* of the container */
};

struct process_id {
	pid_t pid;
	uint64_t start_time; /* field 22 of /proc/PID/stat */
};

/*
 * Starts the monitor, which runs `runtime create`; returns when the container is created: pids
 * of its init and of the monitor. On failure nothing of it runs any more and the text carries
 * what the runtime said ("container create failed: ..."); past the handler's create timeout:
 * E_DEADLINE.
 */
int conmon_create(const struct conmon_create *c, struct process_id *ret_init,
		  struct process_id *ret_monitor, struct cb_error *err);

struct conmon_exec {
	const struct config *config;
	const struct runtime_handler *handler;
	const char *id, *name;
	const char *process; /* process.json, the bytes */
	size_t process_len;
	bool tty;
	int64_t timeout; /* seconds; 0: none */
	/* the container's run directory, for the temporary files; NULL: $TMPDIR, else /tmp */
	const char *bundle;
};

/*
 * A synchronous exec under way: its child is conmon --sync, its files are in a private
 * directory.
 */
struct conmon_exec_run;

/*
 * Starts it. The caller waits for conmon_exec_child() to die (its pidfd in the loop), then calls
 * conmon_exec_finish().
 */
int conmon_exec_start(const struct conmon_exec *c, struct conmon_exec_run **ret,
		      struct cb_error *err);
struct child *conmon_exec_child(const struct conmon_exec_run *r); /* [borrowed] */
/*
 * Kills what the exec started inside the container (also in the background, by its process group)
 * and then the monitor. Any time before finish. Reads /proc and waits until they are dead, at most
 * some seconds: not for the loop thread.
 */
void conmon_exec_kill(struct conmon_exec_run *r);

/* Bytes of both streams together with their log framing, as CRI-O. */
#define EXEC_OUTPUT_MAX (16u << 20)

struct exec_result {
	char *out, *errout; /* [owned] */
	size_t out_len, errout_len;
	int exit_code; /* -1: timed out, errout is "command timed out" */
};
/*
 * Reads result and output of a finished exec; frees r and its files. E_FAILED with the runtime's
 * text.
 */
int conmon_exec_finish(struct conmon_exec_run *r, struct exec_result *ret, struct cb_error *err);
void exec_result_done(struct exec_result *r);

/*
 * Exit code from PERSIST/exit: 0 with code and time of the exit (ns), E_NOT_FOUND when there is
 * none yet.
 */
int conmon_exit_code(const char *persist_dir, int *ret_code, int64_t *ret_finished,
		     struct cb_error *err);
/* Did conmon note an OOM kill? Looks for "oom" in both directories. */
bool conmon_oom(const char *bundle, const char *persist_dir);

#endif
