/* SPDX-License-Identifier: Apache-2.0 */
/* What happened to a pod or container, on disk: state.json, and the marker files of a pod. */
#ifndef CRID_STATE_FILE_H
#define CRID_STATE_FILE_H

#include <ocispec.h>
#include "conmon.h"
#include "info.h"

#define STATE_JSON_MAX (1u << 20)	/* bytes */

struct object_state {
	const char *status;		/* "created", "running", "stopped"; "" for a pod without process */
	struct process_id init, monitor;	/* pid 0: none */
	int64_t created, started, finished;	/* ns; TIME_ZERO_NS: not yet */
	bool has_exit_code, oom_killed;
	int exit_code;
	char error[256];
};
/* spec gives id, version and annotations; NULL for a pod without process. */
int state_save(const char *dir, const char *id, const char *bundle, const struct ocispec *spec,
	       const struct object_state *st, struct cb_error *err);
/* status points to constant text. E_NOT_FOUND: no file. */
int state_load(const char *dir, struct object_state *ret, struct cb_error *err);
static inline void object_state_init(struct object_state *st)
{
	*st = (struct object_state){ .status = "", .created = INT64_MIN, .started = INT64_MIN, .finished = INT64_MIN };
}

/* Marker files of a pod: "stopped", "network-stopped". */
int marker_set(const char *dir, const char *name, struct cb_error *err);
bool marker_is_set(const char *dir, const char *name);
/* Where the markers and state.json of a pod are: a pod without process keeps them in its run directory. */
static inline const char *pod_state_dir(const struct pod_info *i)
{
	return i->spoofed ? i->run_dir : i->dir;
}

#endif
