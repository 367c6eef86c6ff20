/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crio.conf: the options this daemon has, with CRI-O's names, defaults and order of precedence:
 * built-in defaults, then the file, then the drop-ins in lexical order, then environment variables,
 * then flags. One table in config_table.c tells for each option its table, key, flag, environment variable, type and
 * default; everything here is read through it. Unknown keys are warned about.
 *
 * Immutable after config_load(); all threads may read it.
 */
#ifndef CRID_CONFIG_H
#define CRID_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cbase/err.h>
#include <cbase/str.h>

struct runtime_handler {
	char *name;
	char *runtime_path;		/* absolute; found in $PATH by name when empty in the file */
	char *runtime_type;		/* "oci" */
	char *runtime_root;		/* default /run/NAME */
	char *monitor_path;		/* absolute; conmon */
	char *monitor_cgroup;		/* cgroupfs: "" or "pod"; systemd: "pod" or a slice */
	char **monitor_env;
	char **allowed_annotations;
	char *seccomp_profile;		/* "": that of [crio.runtime] */
	bool privileged_without_host_devices;
	int64_t container_create_timeout;	/* seconds, at least 30; default 240 */
	int64_t container_min_memory;		/* bytes; default 12 MiB, built-in crun 500 KiB */
	char *origin;			/* for messages: the file or flag it is from; NULL: built in */
	/* found out by handlers_probe() */
	char *oci_version;		/* the newest ociVersion it accepts */
	bool is_crun;			/* takes compiled seccomp filters */
	bool idmap_mounts, recursive_ro;	/* mounts of these kinds, kernel included */
};

struct config {
	char *config_file, *config_dir;	/* --config, --config-dir; "" when disabled */

	/* [crio] */
	char *root, *runroot;		/* "" until resolved: from storage.conf by the storage library */
	char *imagestore;		/* "": that of storage.conf, else root */
	char *storage_driver;		/* "" : storage.conf, then overlay */
	char **storage_option;
	char *log_dir;			/* /var/log/crio/pods */
	char *version_file, *version_file_persist, *clean_shutdown_file;
	bool internal_wipe, internal_repair;

	/* [crio.api] */
	char *listen;			/* /var/run/crio/crio.sock */
	int64_t grpc_max_send_msg_size, grpc_max_recv_msg_size;
	char *stream_address, *stream_port;	/* 127.0.0.1, 0; the port is a number */
	bool stream_enable_tls;
	char *stream_tls_cert, *stream_tls_key, *stream_tls_ca;
	char *stream_idle_timeout;	/* a duration of Go; "": four hours */
	char *tls_min_version;		/* VersionTLS12 or VersionTLS13 */
	char **tls_cipher_suites;	/* IANA's names */

	/* [crio.runtime] */
	char *default_runtime;		/* crun */
	struct runtime_handler *runtimes;
	size_t n_runtimes;
	char *conmon;			/* deprecated names of monitor_path and monitor_env */
	char *conmon_cgroup;		/* of monitor_cgroup */
	char **conmon_env;
	char **default_env;		/* "K=V" */
	char **default_capabilities;	/* upper case, without "CAP_" */
	bool add_inheritable_capabilities;
	char **default_sysctls;		/* "k=v" */
	char **default_ulimits;		/* "nofile=1024:2048" */
	char *cgroup_manager;		/* "cgroupfs", "systemd"; "" until resolved */
	bool systemd_cgroups;		/* it is systemd */
	char *log_level;		/* fatal panic error warn info debug trace */
	char *log_filter;		/* POSIX extended regular expression; "": all */
	char *log_file, *log_format;	/* no keys, only flags; "": stderr; text, json */
	char *container_exits_dir;	/* /var/run/crio/exits */
	char *container_attach_socket_dir;	/* /var/run/crio */
	char *namespaces_dir;		/* /var/run */
	char *pinns_path;		/* "" until resolved: crid-pinns beside crid, then in $PATH */
	char *worker_path;		/* crid's own option; "" until resolved: crid-worker, likewise */
	char *hostports_path;		/* crid's own option; crid-hostports, likewise */
	bool disable_hostport_mapping;
	bool selinux, hostnetwork_disable_selinux;
	char *apparmor_profile;		/* of containers that ask for none; crio-default is built in */
	char *seccomp_profile;		/* file of the default profile; "": built in */
	char *privileged_seccomp_profile;	/* "": none for privileged containers */
	char **hooks_dir;		/* /usr/share/containers/oci/hooks.d */
	char **cdi_spec_dirs;		/* /etc/cdi, /var/run/cdi */
	char **absent_mount_sources_to_reject;
	char **allowed_devices;		/* by annotation; absolute */
	char **additional_devices;	/* "HOST[:CONTAINER[:rwm]]" */
	bool device_ownership_from_security_context;
	char *bind_mount_prefix;
	int64_t pids_limit;		/* -1 */
	int64_t log_size_max;		/* -1 */
	int64_t ctr_stop_timeout;	/* seconds, at least 30 */
	int64_t minimum_mappable_uid, minimum_mappable_gid;
	bool read_only, no_pivot, drop_infra_ctr, enable_pod_events;

	/* [crio.image] */
	char *global_auth_file;
	char *pause_image, *pause_image_auth_file, *pause_command;
	char **pinned_images;
	char *signature_policy, *signature_policy_dir, *namespaced_auth_dir;	/* "": none */
	char *decryption_keys_path;	/* [crio.runtime]; "": none */
	char *pull_progress_timeout;	/* a duration of Go; 0: none */
	char *short_name_mode;		/* enforcing, disabled */
	char *registries_conf, *registries_conf_dir;	/* no keys, only flags; "": the usual places */
	char *certs_dir;		/* crid's own, only a flag; "": the usual places */

	/* [crio.stats] */
	int64_t stats_collection_period, collection_period;	/* seconds; the first is an older name of the second */
	char **included_pod_metrics;	/* families: cpu, memory ... or all */

	/* [crio.network] */
	char *cni_default_network;
	char *network_dir;		/* /etc/cni/net.d/ */
	char **plugin_dirs;		/* /opt/cni/bin/ */
	char *cni_cache_dir;		/* crid's own option: /var/lib/cni/results */
};

/*
 * Reads everything, checks it and finds the programs it names: argv is that of the program, with the
 * verb (if any) taken out. Warnings (unknown keys, raised minimums) are [owned] lines in ret_warnings,
 * also when it fails. 0, E_INVALID (the text names file, line or key, and what would be right),
 * negative errno.
 */
int config_load(int argc, char **argv, struct config **ret, char ***ret_warnings, struct cb_error *err);
/*
 * The two halves of config_load(). config_read() looks for no program, so it serves `crid config` on a
 * machine without them. config_resolve() makes every path absolute and drops the handlers whose runtime
 * is missing, unless that is the default one; it appends to warnings.
 */
int config_read(int argc, char **argv, struct config **ret, char ***ret_warnings, struct cb_error *err);
int config_resolve(struct config *c, char ***warnings, struct cb_error *err);
/* The built-in defaults alone, for `crid config --default`. */
int config_defaults(struct config **ret, struct cb_error *err);
struct config *config_free(struct config *c);
CB_DEFINE_CLEANUP(struct config *, config_free)

/*
 * Index in argv of the verb: the first argument that is neither a flag nor the value of one, 0 when
 * there is none. What follows it belongs to the verb.
 */
int config_find_verb(int argc, char **argv);

/*
 * Of a configuration read while another one runs: options that cannot change now get the running value
 * and are named in kept; what does change is in changed, as "key = value". 0 or -ENOMEM.
 */
int config_reload(const struct config *running, struct config *fresh, char ***changed, char ***kept);

/* The handler of that name, "" meaning default_runtime; NULL when there is none. */
const struct runtime_handler *config_runtime(const struct config *c, const char *name);

/*
 * `crid config`: commented TOML that config_read() reads back; options equal to their default are
 * commented out unless all is set. 0 or -ENOMEM.
 */
int config_print(const struct config *c, bool all, struct str *out);
/* All of it as a JSON object, with the names of CRI-O's Go structures; failure is in out. */
void config_json(const struct config *c, struct str *out);
/* `crid --help`: every flag with its variable and default. */
void config_usage(struct str *out);

#endif
