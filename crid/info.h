/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pod and a container are, apart from the state they are in: made once from the request (or,
 * after a restart, from config.json), immutable from then on, shared by reference between the table and
 * the operations. References are only taken and dropped on the loop's thread.
 *
 * Vectors of pairs are flat and NULL-terminated: key, value, key, value, NULL.
 */
#ifndef CRID_INFO_H
#define CRID_INFO_H

#include <stdbool.h>
#include <stdint.h>
#include <cbase/arena.h>
#include "idmaps.h"

/* NamespaceMode of CRI */
enum ns_mode { NS_POD = 0, NS_CONTAINER = 1, NS_NODE = 2, NS_TARGET = 3 };

struct pod_info {
	struct arena arena;
	int refs;

	const char *id;			/* 64 hex */
	const char *name;		/* k8s_<pod>_<namespace>_<uid>_<attempt> */
	const char *infra_name;		/* k8s_POD_... */
	const char *meta_name, *meta_uid, *meta_namespace;
	uint32_t attempt;
	char **labels, **annotations;	/* pairs */
	int64_t created;		/* ns since 1970 */
	const char *log_dir;		/* absolute */
	const char *hostname;
	const char *cgroup_parent;	/* "" when none */
	const char *handler;		/* as requested; "" is the default */
	enum ns_mode network, pid, ipc;
	bool privileged;
	bool spoofed;			/* no infra process */
	const char *seccomp;		/* "" runtime default, "Unconfined", "localhost/..." */
	const char *port_mappings;	/* JSON array */
	char **sysctls;			/* "key=value", defaults first */
	const char *overhead, *resources;	/* of the request, as JSON; NULL after a restart */

	const char *image, *image_id, *image_name;	/* pause image: as configured, id, a name of it or "" */
	const char *dir, *run_dir;	/* persistent and run directory */
	const char *mount_point;
	const char *resolv_path, *hostname_path, *shm_path, *containerenv_path;
	const char *netns, *ipcns, *utsns, *userns;	/* pins; "" when none */
	struct id_maps maps;		/* of the user namespace */
	const char *process_label, *mount_label;	/* of SELinux; "" */
	char **ips;
	const char *cni_result;		/* JSON, "" when none */
	const char *cgroup_path;	/* of the sandbox's own cgroup */
};

struct mount_info {
	const char *container_path, *host_path;
	const char *image, *image_ref, *image_sub_path;	/* id, digest and path of an image volume; else NULL */
	char **options;			/* more of them; NULL: none */
	bool readonly, selinux_relabel, recursive_read_only;
	int propagation;		/* MountPropagation of CRI */
};

struct resource_info {			/* 0 and "": not set; units as in CRI */
	int64_t cpu_shares, cpu_quota, cpu_period, memory_limit, memory_swap, oom_score_adj;
	const char *cpuset_cpus, *cpuset_mems;
};

struct container_info {
	struct arena arena;
	int refs;

	const char *id, *pod_id;
	const char *name;		/* k8s_<ctr>_<pod>_<namespace>_<uid>_<attempt> */
	const char *pod_name;
	const char *meta_name;
	uint32_t attempt;
	char **labels, **annotations;	/* pairs */
	int64_t created;
	const char *image;		/* as in the request */
	const char *user_image;		/* as the user wrote it */
	const char *image_id, *image_name, *image_ref, *repo_digests;
	const char *log_path;		/* absolute */
	bool tty, stdin, stdin_once, privileged;
	struct mount_info *mounts;
	size_t n_mounts;
	struct resource_info resources;	/* changed by updates: only the loop's thread reads it */
	const char *handler;		/* of the pod */
	int stop_signal;		/* Linux number */
	const char *stop_signal_name;	/* "" when neither CRI nor image gave one */
	uint32_t uid, gid;
	uint32_t *groups;
	size_t n_groups;
	enum ns_mode pid;
	const char *seccomp;
	const char *process_label, *mount_label;	/* of SELinux; only known while it is made */
	const char *dir, *run_dir, *mount_point, *cgroup_path;
};

struct pod_info *pod_info_new(void);		/* one reference; NULL when out of memory */
struct pod_info *pod_info_ref(struct pod_info *i);
struct pod_info *pod_info_unref(struct pod_info *i);	/* returns NULL */
struct container_info *container_info_new(void);
struct container_info *container_info_ref(struct container_info *i);
struct container_info *container_info_unref(struct container_info *i);

/*
 * Entries of one list of a request (labels, annotations, variables, mounts, devices). What handles them
 * compares each with each; a thousand is much, and this many still take less than a second.
 */
#define LIST_ENTRIES_MAX 16384
#define NAME_BYTES_MAX 253		/* of one part of a pod's or container's name */

/* May it be a part of a name? Not empty, not longer than NAME_BYTES_MAX, no '/', no control bytes. */
bool name_part_valid(const char *s);

/* Copies of pair or plain vectors in an arena. */
char **arena_strv(struct arena *a, char *const *v);
/* Value of a pair vector, or NULL. */
const char *pairs_get(char *const *pairs, const char *key);

#endif
