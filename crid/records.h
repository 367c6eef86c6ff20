/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is on disk about pods and containers, in CRI-O's form: the metadata of the store's container
 * record, the annotations of config.json (which are the restart database) and state.json.
 */
#ifndef CRID_RECORDS_H
#define CRID_RECORDS_H

#include <ocispec.h>
#include "conmon.h"
#include "info.h"

#define CONFIG_JSON_MAX (4u << 20)	/* bytes */
#define STATE_JSON_MAX (1u << 20)

/* ---- metadata of the store's record: JSON text, [owned] ---- */
int pod_metadata(const struct pod_info *i, char **ret);
int container_metadata(const struct container_info *i, char **ret);

struct record_metadata {
	bool ours;		/* made by CRI-O or crid: pod-name and pod-id are there */
	bool pod;		/* a sandbox, not a container */
	char pod_id[65];
};
void record_metadata_parse(const char *text, struct record_metadata *ret);

/* ---- config.json ---- */
int pod_annotate(struct ocispec *s, const struct pod_info *i);
int container_annotate(struct ocispec *s, const struct container_info *i, const struct pod_info *pod);
bool pod_is_spoofed(const struct ocispec *s);	/* a pod without process, by the new or the old annotation */
/* Back from a document and its directories; [one reference]. E_INVALID names what is missing. */
int pod_info_load(const struct ocispec *s, const char *dir, const char *run_dir, struct pod_info **ret,
		  struct cb_error *err);
int container_info_load(const struct ocispec *s, const char *dir, const char *run_dir,
			struct container_info **ret, struct cb_error *err);
/* Writes DIR/config.json and RUN_DIR/config.json, the same bytes. */
int config_json_save(const struct ocispec *s, const char *dir, const char *run_dir, struct cb_error *err);
int config_json_load(const char *dir, struct ocispec **ret, struct cb_error *err);

/* ---- state.json ---- */
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
