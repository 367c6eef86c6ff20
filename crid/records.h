/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is on disk about pods and containers, in CRI-O's form: the metadata of the store's container
 * record, and the annotations of config.json, which are the restart database. state_file.h has state.json.
 */
#ifndef CRID_RECORDS_H
#define CRID_RECORDS_H

#include <cbase/err.h>
#include <ocispec.h>
#include "info.h"

#define CONFIG_JSON_MAX (4u << 20)	/* bytes */

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
/* What a container's status shows of its limits, so that it is the same after a restart; texts are in the arena. */
void resource_info_load(const struct ocispec *s, struct arena *a, struct resource_info *ret);
/* Writes DIR/config.json and RUN_DIR/config.json, the same bytes. */
int config_json_write(const struct ocispec *s, const char *dir, struct cb_error *err);	/* one of them */
int config_json_save(const struct ocispec *s, const char *dir, const char *run_dir, struct cb_error *err);
int config_json_load(const char *dir, struct ocispec **ret, struct cb_error *err);

#endif
