/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libocispec: OCI runtime-spec documents (config.json, state, features), built, read, changed,
 * validated and printed; seccomp profiles, OCI hooks and CDI devices put into them.
 *
 * Follows the OCI Runtime Specification 1.0 to 1.3, config.md and config-linux.md; member names below
 * are its. Bytes in, bytes out: no processes, no global state, and no files but in the functions that
 * say so. What needs libseccomp, PCRE2 or libyaml loads a module for as long as it works, so that a
 * process maps none of them otherwise (OCISPEC_E_UNAVAILABLE when the module is not installed).
 * A document keeps every
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
	OCISPEC_E_UNAVAILABLE = 4,	/* a module is not installed or does not load */
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

/*
 * Kinds of documents. The functions below are about a config.json unless they say otherwise; those
 * on members by path, on annotations, printing and validation work on every kind.
 */
enum {
	OCISPEC_CONFIG = 0,	/* config.json */
	OCISPEC_STATE = 1,	/* what `runtime state` prints (runtime.md, State) */
	OCISPEC_FEATURES = 2,	/* what `runtime features` prints (features.md) */
	OCISPEC_PROFILE = 3,	/* a seccomp profile file in Docker's format */
	OCISPEC_HOOK = 4,	/* a hook file, 1.0.0 or 0.1.0 (oci-hooks(5)) */
	OCISPEC_CDI = 5,	/* a CDI specification, JSON or YAML, up to 1.1.0 */
};

/* An empty document of that kind. -EINVAL: no such kind. */
int ocispec_new_as(int kind, struct ocispec **ret);
/*
 * As ocispec_parse(). CDI only: text that does not begin with '{' is YAML (without aliases and tags)
 * and prints as JSON; members that CDI does not have are OCISPEC_E_INVALID, as there;
 * OCISPEC_E_UNAVAILABLE without the YAML module.
 */
int ocispec_parse_as(int kind, const char *bytes, size_t len, struct ocispec **ret, struct ocispec_error *err);

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

/* ---- versions ---- */
#define OCISPEC_VERSION_LEN 32
/* The first version that has all members the document uses: "1.0.0" to "1.3.0". Values are not looked at. */
int ocispec_needed_version(const struct ocispec *s, char ret[OCISPEC_VERSION_LEN]);
/*
 * What to write as ociVersion for a runtime: the ociVersionMax of its features, without "-dev" and
 * the like, at most 1.3.0. features NULL (runtimes before 1.1 have no such command):
 * OCISPEC_VERSION_DEFAULT. OCISPEC_E_INVALID: the runtime takes none that is known here.
 */
int ocispec_runtime_version(const struct ocispec *features, char ret[OCISPEC_VERSION_LEN]);

/* ---- validation ---- */
enum {
	OCISPEC_FINDING_ERROR = 1,	/* a runtime must or will refuse it */
	OCISPEC_FINDING_WARNING = 2,	/* it may, or it hardly was meant */
};
/*
 * path: of the member, "linux.devices[2].type", or a file's name; "" for the whole. message: printable.
 * Both are [borrowed] for the call.
 */
typedef void (*ocispec_finding_fn)(void *user, int severity, const char *path, const char *message);
/*
 * Reports all there is to say beyond the types. Names of system calls are checked against libseccomp
 * if the seccomp module is installed. report may be NULL.
 * Return: 0 no errors (perhaps warnings); OCISPEC_E_INVALID errors; -EINVAL.
 */
int ocispec_validate(const struct ocispec *s, ocispec_finding_fn report, void *user);

/* ---- members by their path ---- */
/*
 * "linux.resources.cpu.burst", "process.scheduler.policy": every member that the specification knows,
 * by the names of the objects it is in; a path ends at a list. Behind the name of a map of strings the
 * rest is the key ("linux.sysctl.net.core.somaxconn"); in a map of objects the key goes up to the last
 * dot ("linux.timeOffsets.boottime.secs"). Objects on the way are made as needed. A path the
 * specification does not know, or a value of the wrong type: OCISPEC_E_INVALID, nothing changed.
 */
int ocispec_set_text(struct ocispec *s, const char *path, const char *value);	/* NULL or "" removes */
int ocispec_set_number(struct ocispec *s, const char *path, int64_t value);
int ocispec_set_unsigned(struct ocispec *s, const char *path, uint64_t value);
int ocispec_set_flag(struct ocispec *s, const char *path, int on);
/* A list of texts, NULL-terminated; NULL or empty removes. */
int ocispec_set_list(struct ocispec *s, const char *path, const char *const *list);
/* Any value, as an object. OCISPEC_E_LIMIT too large. err [optional]. */
int ocispec_set_json(struct ocispec *s, const char *path, const char *bytes, size_t len, struct ocispec_error *err);
/* One more element at the end of a list. */
int ocispec_append_json(struct ocispec *s, const char *path, const char *bytes, size_t len,
			struct ocispec_error *err);
int ocispec_unset(struct ocispec *s, const char *path);			/* also if it was not there */
/* [borrowed]; NULL: not there, not a text, or with a NUL in it. */
const char *ocispec_get_text(const struct ocispec *s, const char *path);
/* OCISPEC_E_NOT_FOUND: not there, not a number. OCISPEC_E_INVALID: it does not fit. */
int ocispec_get_number(const struct ocispec *s, const char *path, int64_t *ret);
int ocispec_get_flag(const struct ocispec *s, const char *path, int otherwise);	/* 1, 0 or otherwise */
size_t ocispec_count(const struct ocispec *s, const char *path);	/* elements or members; 0 if not there */
const char *ocispec_get_item(const struct ocispec *s, const char *path, size_t i);	/* [borrowed] text or NULL */
/* As text, flags as for ocispec_format(); [owned] free(). OCISPEC_E_NOT_FOUND. */
int ocispec_get_json(const struct ocispec *s, const char *path, int flags, char **ret);

/* ociVersion; any printable text. */
int ocispec_set_version(struct ocispec *s, const char *version);
/* Printable; NULL or "" removes. */
int ocispec_set_hostname(struct ocispec *s, const char *name);
/* root.path, absolute or relative to the bundle; root.readonly. */
int ocispec_set_root(struct ocispec *s, const char *path, int readonly);
/*
 * One more hook in "prestart", "createRuntime", "createContainer", "startContainer", "poststart" or
 * "poststop". path absolute; args (with args[0]) and env NULL or NULL-terminated; timeout in seconds,
 * 0: none.
 */
int ocispec_add_hook(struct ocispec *s, const char *stage, const char *path, const char *const *args,
		     const char *const *env, int timeout);

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
/* One more line of the mount's uidMappings (group: gidMappings); size > 0. OCISPEC_E_NOT_FOUND: no such mount. */
int ocispec_add_mount_id_mapping(struct ocispec *s, const char *destination, int group, uint32_t container_id,
				 uint32_t host_id, uint32_t size);
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
/* One more line of linux.uidMappings (group: gidMappings); size > 0. */
int ocispec_add_id_mapping(struct ocispec *s, int group, uint32_t container_id, uint32_t host_id, uint32_t size);
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
/*
 * The same from a profile file (a document of kind OCISPEC_PROFILE): archMap or architectures, rules
 * with "includes" and "excludes" of caps, arches and minKernel. A profile without default action and
 * rules removes linux.seccomp, which is how Docker says none.
 * Return: 0; OCISPEC_E_INVALID a contradiction in the profile, or the version; -EINVAL; -ENOMEM.
 */
int ocispec_set_seccomp_profile(struct ocispec *s, const struct ocispec *profile, const char *kernel_version,
				struct ocispec_error *err);

/**
 * ocispec_seccomp_compile() - linux.seccomp as the program that seccomp(2) takes
 * @ret:     [owned] free(); an array of struct sock_filter, 8 bytes each, of the machine's byte order
 * @ret_len: in bytes
 *
 * With libseccomp, as the runtimes do it; calls that it does not know are left to the default action.
 *
 * Return: 0; OCISPEC_E_NOT_FOUND no linux.seccomp; OCISPEC_E_INVALID; OCISPEC_E_UNAVAILABLE; -EINVAL; -ENOMEM.
 */
int ocispec_seccomp_compile(const struct ocispec *s, void **ret, size_t *ret_len, struct ocispec_error *err);

/* Compiled filters, the last 16 used: one for each profile, capabilities and architectures. For any thread. */
struct ocispec_filters;
int ocispec_filters_new(struct ocispec_filters **ret);			/* [owned] */
struct ocispec_filters *ocispec_filters_free(struct ocispec_filters *f);	/* returns NULL */
/*
 * Hands the compiled filter to crun in its annotation run.oci.seccomp_bpf_data, where it takes the
 * place of what crun would compile from linux.seccomp by itself, about 15 ms. For crun only, and last: after
 * ocispec_drop_commands() and every annotation that comes from elsewhere. cache NULL: compiled anew.
 * Return: as ocispec_seccomp_compile(); OCISPEC_E_NOT_FOUND also for a filter that notifies (SCMP_ACT_NOTIFY,
 * listenerPath), which the runtime has to load itself.
 */
int ocispec_hand_filter_to_crun(struct ocispec *s, struct ocispec_filters *cache, struct ocispec_error *err);

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

/*
 * 1: an annotation of that name makes some runtime do something (crun's run.oci.*, systemd's
 * org.systemd.*, krun.*, module.wasm.*, io.katacontainers.*, org.criu.*, dev.gvisor.*).
 */
int ocispec_annotation_commands(const char *key);
/*
 * Drops all of those, and those that the runtime calls unsafe in its features (NULL: not known), but
 * not the ones whose whole names are in allowed (NULL-terminated, or NULL). To be done when everything
 * from pods, images, checkpoints and hooks is in; what the caller commands itself is set after it.
 */
int ocispec_drop_commands(struct ocispec *s, const char *const *allowed, const struct ocispec *features);

/* ---- OCI hooks (oci-hooks(5)) ---- */
/* Hook files by name. One set, one thread at a time; applying changes nothing in it. */
struct ocispec_hooks;
int ocispec_hooks_new(struct ocispec_hooks **ret);			/* [owned] */
struct ocispec_hooks *ocispec_hooks_free(struct ocispec_hooks *h);	/* returns NULL */
/*
 * One file, version 1.0.0, or 0.1.0 or none; one of the same name is replaced. Expressions are Go's.
 * Return: 0; OCISPEC_E_INVALID; OCISPEC_E_LIMIT more than 1024 hooks, 256 conditions in one;
 * OCISPEC_E_UNAVAILABLE it has expressions and there is no regex module; -EINVAL; -ENOMEM.
 */
int ocispec_hooks_add(struct ocispec_hooks *h, const char *name, const char *bytes, size_t len,
		      struct ocispec_error *err);
/*
 * Reads all *.json of a directory; each names a program that exists. What is wrong is reported (report
 * may be NULL) and left out. Load the directories in order: the same name in a later one wins.
 * Return: 0; OCISPEC_E_INVALID some were left out, err is that of the first; OCISPEC_E_NOT_FOUND no such
 * directory; negative errno.
 */
int ocispec_hooks_load(struct ocispec_hooks *h, const char *dir, ocispec_finding_fn report, void *user,
		       struct ocispec_error *err);
size_t ocispec_hooks_count(const struct ocispec_hooks *h);
/*
 * Puts the hooks whose conditions hold into the document, in the order of their lower-case file names.
 * annotations: key, value, key, ... NULL: those of the container, with the pod's laid over them. Commands
 * are matched against args[0]. "prestart" goes to createRuntime, as in CRI-O and podman.
 * Return: 0; OCISPEC_E_INVALID a command to match, but no args; OCISPEC_E_LIMIT an expression that
 * takes too long; -EINVAL; -ENOMEM. After a failure the document may have some of the hooks.
 */
int ocispec_hooks_apply(const struct ocispec_hooks *h, struct ocispec *s, const char *const *annotations,
			int has_bind_mounts, struct ocispec_error *err);

/* ---- CDI devices (Container Device Interface) ---- */
/* Specifications and their devices. One registry, one thread at a time; injecting changes nothing in it. */
struct ocispec_cdi;
int ocispec_cdi_new(struct ocispec_cdi **ret);				/* [owned] */
struct ocispec_cdi *ocispec_cdi_free(struct ocispec_cdi *c);		/* returns NULL */
/*
 * One specification, outranking all that are there. path: for messages.
 * Return: 0; OCISPEC_E_INVALID; OCISPEC_E_LIMIT; OCISPEC_E_UNAVAILABLE YAML without its module; ...
 */
int ocispec_cdi_add(struct ocispec_cdi *c, const char *path, const char *bytes, size_t len,
		    struct ocispec_error *err);
/*
 * Reads all *.json and *.yaml of a directory, which outranks those before it. What is wrong is reported
 * and left out. A device that two files of one directory define cannot be had. Return: as
 * ocispec_hooks_load().
 */
int ocispec_cdi_load(struct ocispec_cdi *c, const char *dir, ocispec_finding_fn report, void *user,
		     struct ocispec_error *err);
size_t ocispec_cdi_count(const struct ocispec_cdi *c);
/* Names in bytewise order, [borrowed]; NULL past the last one. *ret_conflict: 1, it cannot be had. */
const char *ocispec_cdi_device(const struct ocispec_cdi *c, size_t i, const char **ret_spec, int *ret_conflict);
int ocispec_cdi_name_valid(const char *name);				/* "vendor.com/class=name": 1, else 0 */
/*
 * Injects devices (NULL-terminated or NULL) and then those that annotations (key, value, ... NULL) name
 * under cdi.k8s.io/..., each once, at most 1024. Asks the host (lstat) what a device node leaves out.
 * Return: 0; OCISPEC_E_NOT_FOUND "unresolvable CDI devices A, B", nothing changed, or a device node is
 * missing on the host; OCISPEC_E_INVALID; OCISPEC_E_LIMIT; -EINVAL; -ENOMEM. After a failure the document
 * may have some of the edits.
 */
int ocispec_cdi_inject(const struct ocispec_cdi *c, struct ocispec *s, const char *const *devices,
		       const char *const *annotations, struct ocispec_error *err);

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
