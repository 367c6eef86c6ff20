/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libocispec: OCI runtime-spec documents (config.json), built, read, changed and printed.
 *
 * Follows the OCI Runtime Specification 1.2, config.md and config-linux.md; member names below are
 * its. Pure: bytes in, bytes out; no files, no processes, no global state. A document keeps every
 * member it does not understand, in its place and spelling. New members are put where CRI-O would
 * print them: objects in the order of the Go structs, maps (annotations, sysctl, unified) sorted
 * bytewise.
 *
 * Threads: one document, one thread at a time; documents are independent.
 *
 * What the functions return, unless said otherwise:
 *	0			done
 *	OCISPEC_E_INVALID	a value no document may hold (range, form, UTF-8); nothing changed
 *	-EINVAL			an argument that must be there is NULL; nothing changed
 *	-ENOMEM			out of memory; the document is good for ocispec_free() only
 *
 * Setters copy their arguments and replace what was set before. Text arguments are NUL-terminated
 * UTF-8; "printable" means without control characters other than tab. What is handed out [borrowed]
 * lives until the document is changed or freed.
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
	int code;			/* OCISPEC_E_*, or 0 */
	int sys_errno;			/* or 0 */
	char message[OCISPEC_ERROR_MESSAGE_MAX];	/* UTF-8, one line */
};

struct ocispec;

/* Largest document that is read or printed, in bytes. Objects and arrays nest at most 64 deep. */
#define OCISPEC_DOCUMENT_MAX (4u << 20)
/*
 * What ocispec_new() puts into ociVersion. Runtimes refuse versions newer than themselves: crun up
 * to at least 1.8 takes only 1.0.x, and nothing that this library writes by default needs more.
 */
#define OCISPEC_VERSION_DEFAULT "1.0.2"

/**
 * ocispec_new() - a document with defaults
 * @ret: [owned] ocispec_free()
 *
 * Those of the runtime-tools generator: sh as root in /, PATH and TERM, mounts /proc /dev /dev/pts
 * /dev/shm /dev/mqueue /sys, the namespaces pid network ipc uts mount, one rule that denies all
 * devices, root "rootfs". Capabilities are Docker's fourteen in bounding, effective and permitted;
 * nothing is inheritable or ambient. No hostname.
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
int ocispec_new(struct ocispec **ret);

/**
 * ocispec_parse() - read a document that may be hostile
 * @bytes: JSON text, need not end in NUL; borrowed
 * @len:   of @bytes, up to OCISPEC_DOCUMENT_MAX
 * @ret:   [owned] ocispec_free(); untouched on failure
 * @err:   [optional] names the member that is wrong, as in "linux.resources.memory.limit"
 *
 * Strict JSON with unique member names. Members the specification knows must have its types; null
 * counts as absent; what it does not know is kept unread.
 *
 * Return: 0; OCISPEC_E_INVALID; OCISPEC_E_LIMIT too large; -EINVAL; -ENOMEM.
 */
int ocispec_parse(const char *bytes, size_t len, struct ocispec **ret, struct ocispec_error *err);

/* Frees; NULL is fine. Returns NULL. */
struct ocispec *ocispec_free(struct ocispec *s);

enum {
	OCISPEC_FORMAT_INDENT = 1,	/* tabs, as CRI-O writes config.json; else compact */
	OCISPEC_FORMAT_PROCESS = 2,	/* only the process object (for runtime exec --process) */
};

/**
 * ocispec_format() - print as Go's encoding/json does, with < > & escaped
 * @flags:   OCISPEC_FORMAT_*
 * @ret:     [owned] free(); UTF-8, NUL-terminated, no final newline; untouched on failure
 * @ret_len: [optional] without the NUL
 *
 * Return: 0; OCISPEC_E_LIMIT longer than OCISPEC_DOCUMENT_MAX; OCISPEC_E_NOT_FOUND no process
 *         object; -EINVAL; -ENOMEM, also when an earlier setter ran out of memory.
 */
int ocispec_format(const struct ocispec *s, int flags, char **ret, size_t *ret_len);

/* ociVersion; any printable text. */
int ocispec_set_version(struct ocispec *s, const char *version);
/* Printable; NULL or "" removes. */
int ocispec_set_hostname(struct ocispec *s, const char *name);
/* root.path, absolute or relative to the bundle; root.readonly. */
int ocispec_set_root(struct ocispec *s, const char *path, int readonly);

/* ---- process ---- */
/* NULL-terminated; empty removes. */
int ocispec_set_args(struct ocispec *s, const char *const *args);
int ocispec_set_cwd(struct ocispec *s, const char *cwd);		/* absolute */
int ocispec_set_terminal(struct ocispec *s, int terminal);
/*
 * Replaces a variable of that name in place, else appends. The name is not empty and holds no '=';
 * the value may hold anything that is UTF-8. value NULL: the bare name, as images sometimes have
 * it.
 */
int ocispec_set_env(struct ocispec *s, const char *name, const char *value);
int ocispec_clear_env(struct ocispec *s);
/* groups: n additional ids, up to 65536 (OCISPEC_E_LIMIT); NULL when n is 0. */
int ocispec_set_user(struct ocispec *s, uint32_t uid, uint32_t gid, const uint32_t *groups,
		     size_t n);
int ocispec_set_umask(struct ocispec *s, uint32_t umask);		/* 0 .. 0777 */
int ocispec_set_no_new_privileges(struct ocispec *s, int on);
int ocispec_set_oom_score_adj(struct ocispec *s, int value);		/* -1000 .. 1000 */
/* type "RLIMIT_NOFILE" and so on; soft <= hard; UINT64_MAX: unlimited. One per type. */
int ocispec_set_rlimit(struct ocispec *s, const char *type, uint64_t soft, uint64_t hard);
int ocispec_clear_rlimits(struct ocispec *s);
/* Printable; NULL or "" removes. */
int ocispec_set_selinux_label(struct ocispec *s, const char *label);
int ocispec_set_apparmor_profile(struct ocispec *s, const char *name);

/*
 * Each set whose bit is in sets gets the list: NULL-terminated names in any spelling
 * ocispec_capability_name() knows, repeats dropped; NULL or empty for none. One unknown name:
 * OCISPEC_E_INVALID. The capabilities object stays even when all sets are empty, because its
 * absence can mean "all" to a runtime.
 */
enum {
	OCISPEC_CAP_BOUNDING = 1, OCISPEC_CAP_EFFECTIVE = 2, OCISPEC_CAP_PERMITTED = 4,
	OCISPEC_CAP_INHERITABLE = 8, OCISPEC_CAP_AMBIENT = 16,
};
int ocispec_set_capabilities(struct ocispec *s, int sets, const char *const *names);
/* "net_admin", "CAP_NET_ADMIN" -> "CAP_NET_ADMIN" [static]; NULL: no such capability. */
const char *ocispec_capability_name(const char *name);
const char *ocispec_capability_by_number(unsigned number);	/* NULL past the last known one */
/* "TERM", "sigterm", "15", "RTMIN+3" (RTMIN is 34, RTMAX 64) -> 1 .. 64, or -EINVAL. */
int ocispec_signal_number(const char *name);

/* ---- mounts ---- */
/*
 * Destinations are absolute and compared lexically: "/dev/", "//dev" and "/dev" are the same. type
 * (printable) and source may be NULL, options too, else NULL-terminated. Replaces the whole mount
 * at that destination in its place, or appends.
 */
int ocispec_set_mount(struct ocispec *s, const char *destination, const char *type,
		      const char *source, const char *const *options);
int ocispec_remove_mount(struct ocispec *s, const char *destination);	/* or OCISPEC_E_NOT_FOUND */
int ocispec_has_mount(const struct ocispec *s, const char *destination);	/* 1 or 0 */
/* Stable sort by number of path components: parents before children. */
int ocispec_sort_mounts(struct ocispec *s);
/* Turns every "ro" of the mounts present into "rw" (privileged containers). */
int ocispec_mounts_writable(struct ocispec *s);
/* "rslave", "rprivate" ... (config-linux.md, Rootfs Mount Propagation); NULL or "" removes. */
int ocispec_set_rootfs_propagation(struct ocispec *s, const char *mode);
/* Printable; NULL or "" removes. */
int ocispec_set_mount_label(struct ocispec *s, const char *label);

/* ---- linux ---- */
/*
 * type: "pid" "network" "ipc" "uts" "mount" "user" "cgroup" "time"; path absolute, or NULL or "": a
 * new one. One per type.
 */
int ocispec_set_namespace(struct ocispec *s, const char *type, const char *path);
int ocispec_remove_namespace(struct ocispec *s, const char *type);	/* or OCISPEC_E_NOT_FOUND */
/* [borrowed] path, "" when new; OCISPEC_E_NOT_FOUND when the document has none of that type. */
int ocispec_get_namespace(const struct ocispec *s, const char *type, const char **ret_path);
/* A path, or "SLICE:PREFIX:NAME" for systemd; printable; NULL or "" removes. */
int ocispec_set_cgroups_path(struct ocispec *s, const char *path);
/* key without white space, '=', control characters and ".."; value printable. */
int ocispec_set_sysctl(struct ocispec *s, const char *key, const char *value);
/* NULL-terminated absolute paths; NULL or empty removes. */
int ocispec_set_masked_paths(struct ocispec *s, const char *const *paths);
int ocispec_set_readonly_paths(struct ocispec *s, const char *const *paths);
/* A node to be made: path absolute; type 'b', 'c', 'u', 'p'; file_mode 0 .. 07777. One per path. */
int ocispec_add_device(struct ocispec *s, const char *path, char type, int64_t major, int64_t minor,
		       uint32_t file_mode, uint32_t uid, uint32_t gid);
/*
 * Appends to the rules of the devices cgroup; type 'a', 'b', 'c'; major/minor -1: any; access:
 * letters of "rwm".
 */
int ocispec_add_device_rule(struct ocispec *s, int allow, char type, int64_t major, int64_t minor,
			    const char *access);
int ocispec_clear_device_rules(struct ocispec *s);
/*
 * quota and period in microseconds, quota -1: none; cpus and mems as "0-3,7". 0 and NULL: left out,
 * also if set before.
 */
int ocispec_set_cpu(struct ocispec *s, uint64_t shares, int64_t quota, uint64_t period,
		    const char *cpus, const char *mems);
/* Bytes; swap is memory and swap together; -1: none; 0: left out, also if set before. */
int ocispec_set_memory(struct ocispec *s, int64_t limit, int64_t swap);
int ocispec_set_pids_limit(struct ocispec *s, int64_t limit);		/* -1: none */
/* page_size as "2MB", "1GB"; limit in bytes. One per size. */
int ocispec_add_hugepage_limit(struct ocispec *s, const char *page_size, uint64_t limit);
/* A file of the container's own cgroup (v2), as "memory.high", and what is written to it. */
int ocispec_set_unified(struct ocispec *s, const char *key, const char *value);

/* ---- seccomp ---- */
int ocispec_clear_seccomp(struct ocispec *s);
/*
 * The built-in default profile for this architecture, with the groups that the document's bounding
 * capabilities and the kernel version ("6.1", "6.1.0-18-amd64", for rules with a minimum; NULL:
 * new) open. Set capabilities first. CRI-O's profile: unknown calls fail with ENOSYS, known and
 * refused ones with EPERM, and only CAP_SYS_ADMIN can make namespaces.
 */
int ocispec_set_default_seccomp(struct ocispec *s, const char *kernel_version);

/* ---- annotations ---- */
/* key not empty. */
int ocispec_set_annotation(struct ocispec *s, const char *key, const char *value);
int ocispec_remove_annotation(struct ocispec *s, const char *key);	/* or OCISPEC_E_NOT_FOUND */
/* [borrowed] or NULL. */
const char *ocispec_get_annotation(const struct ocispec *s, const char *key);
size_t ocispec_annotation_count(const struct ocispec *s);
/* In the order of the document, i from 0; both [borrowed], NULL past the last one. */
void ocispec_annotation_at(const struct ocispec *s, size_t i, const char **ret_key,
			   const char **ret_value);

/* ---- reading back ---- */
/* [borrowed], NULL when none; so below. */
const char *ocispec_get_hostname(const struct ocispec *s);
const char *ocispec_get_root(const struct ocispec *s);
const char *ocispec_get_cgroups_path(const struct ocispec *s);
/* 0, or OCISPEC_E_NOT_FOUND without process.user; a missing id is 0. Either may be NULL. */
int ocispec_get_user(const struct ocispec *s, uint32_t *ret_uid, uint32_t *ret_gid);
/* Fills up to max additional group ids; returns how many there are. */
size_t ocispec_get_groups(const struct ocispec *s, uint32_t *groups, size_t max);
int ocispec_get_terminal(const struct ocispec *s);	/* 1 or 0 */
/*
 * Number of a resource by its path below linux.resources, e.g. "memory.limit", "cpu.shares".
 * OCISPEC_E_NOT_FOUND when it is not there or not a number, OCISPEC_E_INVALID when it does not fit.
 */
int ocispec_get_resource(const struct ocispec *s, const char *path, int64_t *ret);

#ifdef __cplusplus
}
#endif
#endif
