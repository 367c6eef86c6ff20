/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of ocispec(1). Functions return an exit status and have complained when it is not 0. */
#ifndef SPEC_TOOL_H
#define SPEC_TOOL_H

#include <ocispec.h>
#include "tool.h"

extern const struct command cmd_generate, cmd_validate, cmd_diff;
extern bool json_output;		/* --json */

/* The whole file, or standard input for "-"; [owned]. */
int file_read(const char *path, char **ret, size_t *ret_len);
/* kind -1: guessed from what is in it and from the name. *ret_kind [optional]. */
int document_read(const char *path, int kind, struct ocispec **ret, int *ret_kind);
const char *kind_name(int kind);
int kind_by_name(const char *name);	/* -1: no such kind */

/* What `PROGRAM features` says; *ret stays NULL when the program has no such command. */
int runtime_features(const char *program, struct ocispec **ret);

/* ---- options.c: what generate is told about the document ---- */

struct generate_options {
	const char *template, *rootfs, *hostname, *domainname, *cwd, *user, *cgroup, *propagation, *seccomp, *kernel;
	const char *runtime, *version, *output, *memory;
	char **env, **mounts, **tmpfs, **cap_add, **cap_drop, **namespaces, **no_namespaces, **rlimits, **sysctls;
	char **masked, **readonly_paths, **annotations, **hooks_dirs, **cdi_dirs, **devices, **sets;
	long long cpu_shares, cpu_quota, cpu_period, pids_limit;
	bool readonly, tty, no_new_privileges, clear_env, clear_mounts, filter, compact;
};

int options_apply(struct ocispec *s, const struct generate_options *o);

#endif
