/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libocispec: OCI runtime-spec documents (config.json), built, read, changed and printed.
 *
 * Pure: bytes in, bytes out; no files, no processes. A document keeps every member it does not
 * understand. Return values: 0 done; > 0 one of OCISPEC_E_*; < 0 a negative errno (-ENOMEM, -EINVAL).
 * Not thread-safe per document; documents are independent. Setters copy their arguments.
 */
#ifndef OCISPEC_H
#define OCISPEC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OCISPEC_ERROR_MESSAGE_MAX 1024

enum {
	OCISPEC_E_NOT_FOUND = 1,	/* the document has no such member */
	OCISPEC_E_INVALID = 2,		/* malformed document or value */
	OCISPEC_E_LIMIT = 3,		/* a documented limit was exceeded */
};

struct ocispec_error {
	int code;
	int sys_errno;
	char message[OCISPEC_ERROR_MESSAGE_MAX];
};

struct ocispec;

/* Largest document that is read or printed, in bytes. Objects and arrays nest at most 64 deep. */
#define OCISPEC_DOCUMENT_MAX (4u << 20)
/*
 * What ocispec_new() puts into ociVersion. Runtimes refuse versions newer than themselves: crun up to
 * at least 1.8 takes only 1.0.x, and nothing that this library writes by default needs more.
 */
#define OCISPEC_VERSION_DEFAULT "1.0.2"

/* The defaults of the runtime-tools generator: /proc /dev /dev/pts /dev/shm /dev/mqueue /sys, five namespaces, deny all devices. */
int ocispec_new(struct ocispec **ret);
int ocispec_parse(const char *bytes, size_t len, struct ocispec **ret, struct ocispec_error *err);
struct ocispec *ocispec_free(struct ocispec *s);

enum {
	OCISPEC_FORMAT_INDENT = 1,	/* tabs, as CRI-O writes config.json */
	OCISPEC_FORMAT_PROCESS = 2,	/* only the process object (for runtime exec --process) */
};
/* [owned] text, no final newline. */
int ocispec_format(const struct ocispec *s, int flags, char **ret, size_t *ret_len);

int ocispec_set_version(struct ocispec *s, const char *version);
int ocispec_set_hostname(struct ocispec *s, const char *name);	/* NULL removes */
int ocispec_set_root(struct ocispec *s, const char *path, int readonly);

/* ---- process ---- */
int ocispec_set_args(struct ocispec *s, const char *const *args);	/* NULL-terminated */
int ocispec_set_cwd(struct ocispec *s, const char *cwd);
int ocispec_set_terminal(struct ocispec *s, int terminal);
/* Replaces a variable of that name in place, else appends. */
int ocispec_set_env(struct ocispec *s, const char *name, const char *value);
int ocispec_clear_env(struct ocispec *s);
int ocispec_set_user(struct ocispec *s, uint32_t uid, uint32_t gid, const uint32_t *groups, size_t n);
int ocispec_set_umask(struct ocispec *s, uint32_t umask);
int ocispec_set_no_new_privileges(struct ocispec *s, int on);
int ocispec_set_oom_score_adj(struct ocispec *s, int value);
int ocispec_set_rlimit(struct ocispec *s, const char *type, uint64_t soft, uint64_t hard);	/* "RLIMIT_NOFILE" */
int ocispec_clear_rlimits(struct ocispec *s);
int ocispec_set_selinux_label(struct ocispec *s, const char *label);
int ocispec_set_apparmor_profile(struct ocispec *s, const char *name);

/* Capability sets as names "CAP_..."; what is a bit set in sets gets the list. */
enum {
	OCISPEC_CAP_BOUNDING = 1, OCISPEC_CAP_EFFECTIVE = 2, OCISPEC_CAP_PERMITTED = 4,
	OCISPEC_CAP_INHERITABLE = 8, OCISPEC_CAP_AMBIENT = 16,
};
int ocispec_set_capabilities(struct ocispec *s, int sets, const char *const *names);
/* "net_admin", "CAP_NET_ADMIN" -> "CAP_NET_ADMIN"; NULL when there is no such capability. */
const char *ocispec_capability_name(const char *name);
const char *ocispec_capability_by_number(unsigned number);	/* NULL past the last known one */
/* "TERM", "SIGTERM", "15", "RTMIN+3" -> number, or -EINVAL. */
int ocispec_signal_number(const char *name);

/* ---- mounts ---- */
/* Replaces the mount at that destination, else appends. options NULL-terminated or NULL. */
int ocispec_set_mount(struct ocispec *s, const char *destination, const char *type, const char *source,
		      const char *const *options);
int ocispec_remove_mount(struct ocispec *s, const char *destination);
int ocispec_has_mount(const struct ocispec *s, const char *destination);
/* Stable sort by number of path components: parents before children. */
int ocispec_sort_mounts(struct ocispec *s);
/* Turns every "ro" of the mounts present into "rw" (privileged containers). */
int ocispec_mounts_writable(struct ocispec *s);
int ocispec_set_rootfs_propagation(struct ocispec *s, const char *mode);
int ocispec_set_mount_label(struct ocispec *s, const char *label);

/* ---- linux ---- */
/* type: "pid" "network" "ipc" "uts" "mount" "user" "cgroup" "time"; path NULL: a new one. */
int ocispec_set_namespace(struct ocispec *s, const char *type, const char *path);
int ocispec_remove_namespace(struct ocispec *s, const char *type);
/* [borrowed] path, "" when new; OCISPEC_E_NOT_FOUND when the document has none of that type. */
int ocispec_get_namespace(const struct ocispec *s, const char *type, const char **ret_path);
int ocispec_set_cgroups_path(struct ocispec *s, const char *path);
int ocispec_set_sysctl(struct ocispec *s, const char *key, const char *value);
int ocispec_set_masked_paths(struct ocispec *s, const char *const *paths);
int ocispec_set_readonly_paths(struct ocispec *s, const char *const *paths);
int ocispec_add_device(struct ocispec *s, const char *path, char type, int64_t major, int64_t minor,
		       uint32_t file_mode, uint32_t uid, uint32_t gid);
/* type 'a', 'b', 'c'; major/minor -1: any. */
int ocispec_add_device_rule(struct ocispec *s, int allow, char type, int64_t major, int64_t minor, const char *access);
int ocispec_clear_device_rules(struct ocispec *s);
int ocispec_set_cpu(struct ocispec *s, uint64_t shares, int64_t quota, uint64_t period,
		    const char *cpus, const char *mems);	/* 0 and NULL: left out */
int ocispec_set_memory(struct ocispec *s, int64_t limit, int64_t swap);		/* 0: left out */
int ocispec_set_pids_limit(struct ocispec *s, int64_t limit);
int ocispec_add_hugepage_limit(struct ocispec *s, const char *page_size, uint64_t limit);
int ocispec_set_unified(struct ocispec *s, const char *key, const char *value);

/* ---- seccomp ---- */
int ocispec_clear_seccomp(struct ocispec *s);
/*
 * The built-in default profile for this architecture, with the groups that the document's bounding
 * capabilities and the kernel version ("6.1", for rules with a minimum) open. Set capabilities first.
 */
int ocispec_set_default_seccomp(struct ocispec *s, const char *kernel_version);

/* ---- annotations ---- */
int ocispec_set_annotation(struct ocispec *s, const char *key, const char *value);
int ocispec_remove_annotation(struct ocispec *s, const char *key);
const char *ocispec_get_annotation(const struct ocispec *s, const char *key);	/* [borrowed] or NULL */
size_t ocispec_annotation_count(const struct ocispec *s);
void ocispec_annotation_at(const struct ocispec *s, size_t i, const char **ret_key, const char **ret_value);

/* ---- reading back ---- */
const char *ocispec_get_hostname(const struct ocispec *s);	/* NULL when none; so below */
const char *ocispec_get_root(const struct ocispec *s);
const char *ocispec_get_cgroups_path(const struct ocispec *s);
int ocispec_get_user(const struct ocispec *s, uint32_t *ret_uid, uint32_t *ret_gid);
size_t ocispec_get_groups(const struct ocispec *s, uint32_t *groups, size_t max);	/* returns how many there are */
int ocispec_get_terminal(const struct ocispec *s);
/* Value of a resource by its path below linux.resources, e.g. "memory.limit", "cpu.shares"; OCISPEC_E_NOT_FOUND. */
int ocispec_get_resource(const struct ocispec *s, const char *path, int64_t *ret);

#ifdef __cplusplus
}
#endif
#endif
