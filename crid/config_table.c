/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be configured: one row per option, from which files, environment and flags are read, the
 * result is checked, and `crid config` and `crid --help` are printed. Names and defaults are
 * CRI-O's. A second list names the options of CRI-O that are not there yet, so that a user is told
 * that from a typo.
 */
#include "config_table.h"

/* The offset of a member, refused by the compiler when it does not have the type of the row. */
#define MEMBER(s, m, t)                                                                            \
	(offsetof(struct s, m) +                                                                   \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((struct s *)NULL)->m), t)        \
				 ? 1                                                               \
				 : -1]))

#define STRING(m) .type = OPTION_STRING, .offset = MEMBER(config, m, char *)
#define LIST(m) .type = OPTION_LIST, .offset = MEMBER(config, m, char **)
#define BOOL(m) .type = OPTION_BOOL, .offset = MEMBER(config, m, bool)
#define INT(m) .type = OPTION_INT, .offset = MEMBER(config, m, int64_t)
#define NAMES(t, k, f, e) .table = (t), .key = (k), .flag = (f), .env = (e)

const struct option config_options[] = {
	{ NAMES(NULL, "config", "config", "CONTAINER_CONFIG"), .letter = 'c', STRING(config_file),
	  .fallback = "/etc/crio/crio.conf", .hints = OPTION_SOURCE,
	  .doc = "Configuration file; the default one may be absent, \"\" reads none." },
	{ NAMES(NULL, "config-dir", "config-dir", "CONTAINER_CONFIG_DIR"), .letter = 'd',
	  STRING(config_dir), .fallback = "/etc/crio/crio.conf.d", .hints = OPTION_SOURCE,
	  .doc = "Directory of files that are read after it, in the order of their names; \"\" "
		 "reads none." },

	{ NAMES("crio", "root", "root", "CONTAINER_ROOT"), .letter = 'r', STRING(root),
	  .fallback = "", .check = check_absolute,
	  .doc = "Where images and the writable layers of containers are kept. Empty: "
		 "graphroot of containers-storage.conf, which is usually "
		 "/var/lib/containers/storage." },
	{ NAMES("crio", "runroot", "runroot", "CONTAINER_RUNROOT"), STRING(runroot), .fallback = "",
	  .check = check_absolute,
	  .doc = "State of the store that ends with a reboot. Empty: runroot of "
		 "containers-storage.conf, usually /run/containers/storage." },
	{ NAMES("crio", "imagestore", "imagestore", "CONTAINER_IMAGESTORE"), STRING(imagestore),
	  .fallback = "", .check = check_absolute,
	  .doc = "Where images are kept instead of in root, which then only has the writable "
		 "layers of containers. Empty: imagestore of containers-storage.conf, else root." },
	{ NAMES("crio", "storage_driver", "storage-driver", "CONTAINER_STORAGE_DRIVER"),
	  .letter = 's', STRING(storage_driver), .fallback = "",
	  .doc = "How layers are stacked. Empty: what containers-storage.conf says, else "
		 "overlay." },
	{ NAMES("crio", "storage_option", "storage-opt", "CONTAINER_STORAGE_OPT"),
	  LIST(storage_option), .fallback = "",
	  .doc = "Options of the storage driver, added to those of containers-storage.conf." },
	{ NAMES("crio", "log_dir", "log-dir", "CONTAINER_LOG_DIR"), STRING(log_dir),
	  .fallback = "/var/log/crio/pods", .check = check_absolute,
	  .doc = "Logs of the pods whose creator named no log directory." },
	{ NAMES("crio", "version_file", "version-file", "CONTAINER_VERSION_FILE"),
	  STRING(version_file), .fallback = "/var/run/crio/version", .check = check_absolute,
	  .doc = "Version stamp on a tmpfs: when it is missing, the machine has been booted "
		 "since." },
	{ NAMES("crio", "version_file_persist", "version-file-persist",
		"CONTAINER_VERSION_FILE_PERSIST"),
	  STRING(version_file_persist), .fallback = "", .check = check_absolute,
	  .doc = "Version stamp on disk: tells whether the daemon was upgraded. Empty: none." },
	{ NAMES("crio", "clean_shutdown_file", "clean-shutdown-file",
		"CONTAINER_CLEAN_SHUTDOWN_FILE"),
	  STRING(clean_shutdown_file), .fallback = "/var/lib/crio/clean.shutdown",
	  .check = check_absolute,
	  .doc = "Exists while the daemon is down after an orderly stop." },

	{ NAMES("crio", "internal_wipe", "internal-wipe", "CONTAINER_INTERNAL_WIPE"),
	  BOOL(internal_wipe), .fallback = "true",
	  .doc = "Remove at start the pods that a reboot or another version of the daemon left, and "
		 "after another version their images." },
	{ NAMES("crio", "internal_repair", "internal-repair", "CONTAINER_INTERNAL_REPAIR"),
	  BOOL(internal_repair), .fallback = "true",
	  .doc = "Look at start for damage in the store if the daemon of before did not end in "
		 "order, and mend it." },

	{ NAMES("crio.api", "listen", "listen", "CONTAINER_LISTEN"), STRING(listen),
	  .fallback = "/var/run/crio/crio.sock", .check = check_listen,
	  .doc = "The unix socket on which CRI is served." },
	{ NAMES("crio.api", "grpc_max_send_msg_size", "grpc-max-send-msg-size",
		"CONTAINER_GRPC_MAX_SEND_MSG_SIZE"),
	  INT(grpc_max_send_msg_size), .fallback = "83886080", .check = check_message_size,
	  .doc = "Largest answer in bytes; 0 or less means the default." },
	{ NAMES("crio.api", "grpc_max_recv_msg_size", "grpc-max-recv-msg-size",
		"CONTAINER_GRPC_MAX_RECV_MSG_SIZE"),
	  INT(grpc_max_recv_msg_size), .fallback = "83886080", .check = check_message_size,
	  .doc = "Largest request in bytes; 0 or less means the default." },
	{ NAMES("crio.api", "stream_address", "stream-address", "CONTAINER_STREAM_ADDRESS"),
	  STRING(stream_address), .fallback = "127.0.0.1", .check = check_stream_address,
	  .doc = "IP address on which exec, attach and port-forward are served. Empty: that of "
		 "the default route." },
	{ NAMES("crio.api", "stream_port", "stream-port", "CONTAINER_STREAM_PORT"),
	  STRING(stream_port), .fallback = "0", .check = check_stream_port,
	  .doc = "The port for these; 0 lets the kernel choose." },
	{ NAMES("crio.api", "stream_enable_tls", "stream-enable-tls", "CONTAINER_ENABLE_TLS"),
	  BOOL(stream_enable_tls), .fallback = "false",
	  .doc = "Serve them over TLS." },
	{ NAMES("crio.api", "stream_tls_cert", "stream-tls-cert", "CONTAINER_TLS_CERT"),
	  STRING(stream_tls_cert), .fallback = "", .check = check_absolute,
	  .doc = "PEM file with the certificate for that; read again when it changes, as are "
		 "the next two." },
	{ NAMES("crio.api", "stream_tls_key", "stream-tls-key", "CONTAINER_TLS_KEY"),
	  STRING(stream_tls_key), .fallback = "", .check = check_absolute,
	  .doc = "PEM file with its key." },
	{ NAMES("crio.api", "stream_tls_ca", "stream-tls-ca", "CONTAINER_TLS_CA"),
	  STRING(stream_tls_ca), .fallback = "", .check = check_absolute,
	  .doc = "PEM file with the authorities that clients need a certificate of. Empty: "
		 "clients need none." },
	{ NAMES("crio.api", "stream_idle_timeout", "stream-idle-timeout", "STREAM_IDLE_TIMEOUT"),
	  STRING(stream_idle_timeout), .fallback = "", .check = check_duration,
	  .doc = "A stream on which nothing is said for so long is ended, as \"30m\"; empty is "
		 "four hours." },
	{ NAMES("crio.api", "tls_min_version", "tls-min-version", "CONTAINER_TLS_MIN_VERSION"),
	  STRING(tls_min_version), .fallback = "VersionTLS12", .check = check_tls_version,
	  .doc = "The least version of TLS: VersionTLS12 or VersionTLS13." },
	{ NAMES("crio.api", "tls_cipher_suites", "tls-cipher-suites", "CONTAINER_TLS_CIPHER_SUITES"),
	  LIST(tls_cipher_suites), .fallback = "", .check = check_cipher_suites,
	  .doc = "Cipher suites of TLS 1.2, by IANA's names. Empty: OpenSSL's choice. Those of TLS 1.3 "
		 "cannot be chosen." },

	{ NAMES("crio.runtime", "default_runtime", "default-runtime", "CONTAINER_DEFAULT_RUNTIME"),
	  STRING(default_runtime), .hints = OPTION_RELOAD, .fallback = "crun", .check = check_not_empty,
	  .doc = "The handler of pods that ask for none: the name of a table "
		 "crio.runtime.runtimes.NAME." },
	{ NAMES(NULL, "runtimes", "runtimes", "CONTAINER_RUNTIMES"), .type = OPTION_RUNTIMES,
	  .fallback = "", .doc = "A runtime handler, NAME:PATH[:ROOT[:TYPE]]; may be repeated." },
	{ NAMES("crio.runtime", "conmon", "conmon", "CONTAINER_CONMON"), STRING(conmon),
	  .fallback = "", .check = check_absolute,
	  .doc = "Old name of monitor_path, for the handlers that have none of their own." },
	{ NAMES("crio.runtime", "conmon_cgroup", "conmon-cgroup", "CONTAINER_CONMON_CGROUP"),
	  STRING(conmon_cgroup), .fallback = "", .check = check_monitor_cgroup,
	  .doc = "Old name of monitor_cgroup, for the handlers that have none of their own." },
	{ NAMES("crio.runtime", "conmon_env", "conmon-env", "CONTAINER_CONMON_ENV"),
	  LIST(conmon_env),
	  .fallback = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	  .check = check_env,
	  .doc = "Old name of monitor_env, for the handlers that have none of their own." },
	{ NAMES("crio.runtime", "default_env", "default-env", "CONTAINER_DEFAULT_ENV"),
	  LIST(default_env), .fallback = "", .check = check_env,
	  .doc = "\"NAME=VALUE\" for every container; its image and its creator may override "
		 "it." },
	{ NAMES("crio.runtime", "default_capabilities", "default-capabilities",
		"CONTAINER_DEFAULT_CAPABILITIES"),
	  LIST(default_capabilities),
	  .fallback =
		  "CHOWN,DAC_OVERRIDE,FSETID,FOWNER,SETGID,SETUID,SETPCAP,NET_BIND_SERVICE,KILL",
	  .check = check_capabilities,
	  .doc = "Capabilities of a container before its creator adds and drops some." },
	{ NAMES("crio.runtime", "add_inheritable_capabilities", "add-inheritable-capabilities",
		"CONTAINER_ADD_INHERITABLE_CAPABILITIES"),
	  BOOL(add_inheritable_capabilities), .fallback = "false",
	  .doc = "Put the capabilities into the inheritable set too, so that programs with "
		 "file capabilities get them without being root." },
	{ NAMES("crio.runtime", "default_sysctls", "default-sysctls", "CONTAINER_DEFAULT_SYSCTLS"),
	  LIST(default_sysctls), .fallback = "", .check = check_sysctls,
	  .doc = "\"name=value\" for every pod; those of the pod win." },
	{ NAMES("crio.runtime", "default_ulimits", "default-ulimits", "CONTAINER_DEFAULT_ULIMITS"),
	  LIST(default_ulimits), .fallback = "", .check = check_ulimits,
	  .doc = "\"name=soft:hard\" for every container, as nofile=1024:2048; -1 is no limit. "
		 "What is not named is inherited from the daemon." },
	{ NAMES("crio.runtime", "cgroup_manager", "cgroup-manager", "CONTAINER_CGROUP_MANAGER"),
	  STRING(cgroup_manager), .fallback = "", .check = check_cgroup_manager,
	  .doc = "Who makes cgroups: systemd, in slices and scopes, or cgroupfs, by directory. "
		 "Empty: systemd where that runs the machine. The kubelet's cgroupDriver must agree." },
	{ NAMES("crio.runtime", "log_level", "log-level", "CONTAINER_LOG_LEVEL"), .letter = 'l',
	  STRING(log_level), .hints = OPTION_RELOAD, .fallback = "info", .check = check_log_level,
	  .doc = "How much the daemon tells: fatal, panic, error, warn, info, debug or trace." },
	{ NAMES("crio.runtime", "log_filter", "log-filter", "CONTAINER_LOG_FILTER"),
	  STRING(log_filter), .hints = OPTION_RELOAD, .fallback = "", .check = check_regex,
	  .doc = "Only messages that match this regular expression (POSIX extended) are logged; "
		 "empty: all." },
	{ NAMES(NULL, "log", "log", "CONTAINER_LOG"), STRING(log_file), .fallback = "",
	  .check = check_absolute,
	  .doc = "File that the log is appended to, in place of standard error; opened again on "
		 "SIGHUP." },
	{ NAMES(NULL, "log-format", "log-format", "CONTAINER_LOG_FORMAT"), STRING(log_format),
	  .fallback = "text", .check = check_log_format,
	  .doc = "The form of the log: text or json." },
	{ NAMES("crio.runtime", "container_exits_dir", "container-exits-dir",
		"CONTAINER_EXITS_DIR"),
	  STRING(container_exits_dir), .fallback = "/var/run/crio/exits", .check = check_absolute,
	  .doc = "Where conmon writes the exit status of a container." },
	{ NAMES("crio.runtime", "container_attach_socket_dir", "container-attach-socket-dir",
		"CONTAINER_ATTACH_SOCKET_DIR"),
	  STRING(container_attach_socket_dir), .fallback = "/var/run/crio", .check = check_absolute,
	  .doc = "Where conmon makes the sockets to attach to a container." },
	{ NAMES("crio.runtime", "namespaces_dir", "namespaces-dir", "CONTAINER_NAMESPACES_DIR"),
	  STRING(namespaces_dir), .fallback = "/var/run", .check = check_absolute,
	  .doc = "Above the directories netns, ipcns, utsns and userns, where the namespaces "
		 "of pods are pinned." },
	{ NAMES("crio.runtime", "pinns_path", "pinns-path", "CONTAINER_PINNS_PATH"),
	  STRING(pinns_path), .fallback = "", .check = check_absolute,
	  .doc = "The program that makes and pins namespaces. Empty: crid-pinns beside crid, "
		 "else in $PATH." },
	{ NAMES("crio.runtime", "worker_path", "worker-path", "CONTAINER_WORKER_PATH"),
	  STRING(worker_path), .fallback = "", .check = check_absolute,
	  .doc = "The program that pulls images (CRI-O has no such option). Empty: crid-worker "
		 "beside crid, else in $PATH." },
	{ NAMES("crio.runtime", "hostports_path", "hostports-path", "CONTAINER_HOSTPORTS_PATH"),
	  STRING(hostports_path), .fallback = "", .check = check_absolute,
	  .doc = "The program that opens ports of the host to pods (CRI-O has no such option). "
		 "Empty: crid-hostports beside crid, else in $PATH." },
	{ NAMES("crio.runtime", "disable_hostport_mapping", "disable-hostport-mapping",
		"DISABLE_HOSTPORT_MAPPING"),
	  BOOL(disable_hostport_mapping), .fallback = "false",
	  .doc = "Make no host ports: something else does, or the node has no nftables." },
	{ NAMES("crio.runtime", "seccomp_profile", "seccomp-profile", "CONTAINER_SECCOMP_PROFILE"),
	  STRING(seccomp_profile), .hints = OPTION_RELOAD, .fallback = "", .check = check_absolute,
	  .doc = "The default seccomp profile, a file in Docker's format. Empty, or not there: "
		 "the built-in one." },
	{ NAMES("crio.runtime", "privileged_seccomp_profile", "privileged-seccomp-profile",
		"CONTAINER_PRIVILEGED_SECCOMP_PROFILE"),
	  STRING(privileged_seccomp_profile), .fallback = "", .check = check_absolute,
	  .doc = "A profile for privileged containers. Empty: they have none." },
	{ NAMES("crio.runtime", "selinux", "selinux", "CONTAINER_SELINUX"), BOOL(selinux),
	  .fallback = "true",
	  .doc = "Keep pods apart with SELinux labels, where the kernel has SELinux." },
	{ NAMES("crio.runtime", "hostnetwork_disable_selinux", "hostnetwork-disable-selinux",
		"CONTAINER_HOSTNETWORK_DISABLE_SELINUX"),
	  BOOL(hostnetwork_disable_selinux), .fallback = "true",
	  .doc = "Pods with the host's network run without a label of their own." },
	{ NAMES("crio.runtime", "apparmor_profile", "apparmor-profile",
		"CONTAINER_APPARMOR_PROFILE"),
	  STRING(apparmor_profile), .hints = OPTION_RELOAD, .fallback = "crio-default", .check = check_not_empty,
	  .doc = "The AppArmor profile of containers that ask for none, where the kernel has "
		 "AppArmor. crio-default is built in, and loaded when it is not there." },
	{ NAMES("crio.runtime", "hooks_dir", "hooks-dir", "CONTAINER_HOOKS_DIR"), LIST(hooks_dir),
	  .fallback = "/usr/share/containers/oci/hooks.d", .check = check_absolute_list,
	  .doc = "Directories of OCI hooks; a file replaces one of the same name in an earlier "
		 "directory." },
	{ NAMES("crio.runtime", "cdi_spec_dirs", "cdi-spec-dirs", "CONTAINER_CDI_SPEC_DIRS"),
	  LIST(cdi_spec_dirs), .hints = OPTION_RELOAD, .fallback = "/etc/cdi,/var/run/cdi", .check = check_absolute_list,
	  .doc = "Directories of CDI specifications, the later outranking the earlier." },
	{ NAMES("crio.runtime", "allowed_devices", "allowed-devices", "CONTAINER_ALLOWED_DEVICES"),
	  LIST(allowed_devices), .fallback = "/dev/fuse,/dev/net/tun", .check = check_absolute_list,
	  .doc = "Devices that a pod may ask for with the annotation devices.crio.io." },
	{ NAMES("crio.runtime", "additional_devices", "additional-devices",
		"CONTAINER_ADDITIONAL_DEVICES"),
	  LIST(additional_devices), .fallback = "", .check = check_devices,
	  .doc = "HOST[:CONTAINER[:PERMISSIONS]]: devices, or directories of them, that every "
		 "container has." },
	{ NAMES("crio.runtime", "device_ownership_from_security_context",
		"device-ownership-from-security-context",
		"CONTAINER_DEVICE_OWNERSHIP_FROM_SECURITY_CONTEXT"),
	  BOOL(device_ownership_from_security_context), .fallback = "false",
	  .doc = "Devices of a request belong to the user and group of the container, not to "
		 "the host's." },
	{ NAMES("crio.runtime", "absent_mount_sources_to_reject", "absent-mount-sources-to-reject",
		"CONTAINER_ABSENT_MOUNT_SOURCES_TO_REJECT"),
	  LIST(absent_mount_sources_to_reject), .fallback = "", .check = check_absolute_list,
	  .doc = "Host paths that are not made as directories when a mount names them and they "
		 "are missing: the container is refused instead." },
	{ NAMES("crio.runtime", "bind_mount_prefix", "bind-mount-prefix",
		"CONTAINER_BIND_MOUNT_PREFIX"),
	  STRING(bind_mount_prefix), .fallback = "", .check = check_absolute,
	  .doc = "Put before the host path of every mount." },
	{ NAMES("crio.runtime", "pids_limit", "pids-limit", "CONTAINER_PIDS_LIMIT"),
	  INT(pids_limit), .fallback = "-1",
	  .doc = "Most processes in a container, -1 is no limit. Old: the kubelet has "
		 "podPidsLimit." },
	{ NAMES("crio.runtime", "log_size_max", "log-size-max", "CONTAINER_LOG_SIZE_MAX"),
	  INT(log_size_max), .fallback = "-1", .check = check_log_size,
	  .doc = "Largest log file of a container in bytes, at least 8192; negative is no "
		 "limit. Old: the kubelet has containerLogMaxSize." },
	{ NAMES("crio.runtime", "ctr_stop_timeout", "ctr-stop-timeout", "CONTAINER_STOP_TIMEOUT"),
	  INT(ctr_stop_timeout), .fallback = "30", .check = check_stop_timeout,
	  .doc = "Seconds given to a container to stop where nobody said how long; at least 30." },
	{ NAMES("crio.runtime", "minimum_mappable_uid", "minimum-mappable-uid",
		"CONTAINER_MINIMUM_MAPPABLE_UID"),
	  INT(minimum_mappable_uid), .fallback = "-1",
	  .doc = "Lowest host user id that a pod may ask to be mapped to; -1 is any." },
	{ NAMES("crio.runtime", "minimum_mappable_gid", "minimum-mappable-gid",
		"CONTAINER_MINIMUM_MAPPABLE_GID"),
	  INT(minimum_mappable_gid), .fallback = "-1", .doc = "The same for group ids." },
	{ NAMES("crio.runtime", "read_only", "read-only", "CONTAINER_READ_ONLY"), BOOL(read_only),
	  .fallback = "false",
	  .doc = "Make the root of every container read-only, with tmpfs on /run, /tmp and "
		 "/var/tmp." },
	{ NAMES("crio.runtime", "no_pivot", "no-pivot", "CONTAINER_NO_PIVOT"), BOOL(no_pivot),
	  .fallback = "false",
	  .doc = "Have the runtime move the root mount in place of pivot_root." },
	{ NAMES("crio.runtime", "drop_infra_ctr", "drop-infra-ctr", "CONTAINER_DROP_INFRA_CTR"),
	  BOOL(drop_infra_ctr), .fallback = "true",
	  .doc = "Run no pause process for a pod that does not share its PID namespace." },
	{ NAMES("crio.runtime", "enable_pod_events", "enable-pod-events", "ENABLE_POD_EVENTS"),
	  BOOL(enable_pod_events), .fallback = "false",
	  .doc = "Tell the kubelet of what happens to pods and containers when it asks for events, "
		 "and of a pod's containers in its status." },
	{ NAMES("crio.runtime", "decryption_keys_path", "decryption-keys-path",
		"CONTAINER_DECRYPTION_KEYS_PATH"),
	  STRING(decryption_keys_path), .hints = OPTION_RELOAD, .fallback = "/etc/crio/keys/", .check = check_absolute,
	  .doc = "Directory of private keys for encrypted images." },

	{ NAMES("crio.image", "global_auth_file", "global-auth-file", "CONTAINER_GLOBAL_AUTH_FILE"),
	  STRING(global_auth_file), .fallback = "", .check = check_absolute,
	  .doc = "Credentials for registries, in the format of docker's config.json." },
	{ NAMES("crio.image", "pause_image", "pause-image", "CONTAINER_PAUSE_IMAGE"),
	  STRING(pause_image), .hints = OPTION_RELOAD, .fallback = "registry.k8s.io/pause:3.10.1", .check = check_not_empty,
	  .doc = "The image that every pod is recorded with, and that its pause process runs." },
	{ NAMES("crio.image", "pause_image_auth_file", "pause-image-auth-file",
		"CONTAINER_PAUSE_IMAGE_AUTH_FILE"),
	  STRING(pause_image_auth_file), .hints = OPTION_RELOAD, .fallback = "", .check = check_absolute,
	  .doc = "Credentials to pull it with, in place of global_auth_file." },
	{ NAMES("crio.image", "pause_command", "pause-command", "CONTAINER_PAUSE_COMMAND"),
	  STRING(pause_command), .hints = OPTION_RELOAD, .fallback = "/pause",
	  .doc = "What the pause process runs; empty: what the image says." },
	{ NAMES("crio.image", "pinned_images", "pinned-images", "CONTAINER_PINNED_IMAGES"),
	  LIST(pinned_images), .hints = OPTION_RELOAD, .fallback = "",
	  .doc = "Images that the kubelet must not remove to save space: a name, or a pattern "
		 "\"name*\" or \"*part*\"." },
	{ NAMES("crio.image", "signature_policy", "signature-policy", "CONTAINER_SIGNATURE_POLICY"),
	  STRING(signature_policy), .fallback = "", .check = check_absolute,
	  .doc = "Which images are trusted. Empty: /etc/containers/policy.json." },
	{ NAMES("crio.image", "signature_policy_dir", "signature-policy-dir",
		"CONTAINER_SIGNATURE_POLICY_DIR"),
	  STRING(signature_policy_dir), .fallback = "/etc/crio/policies", .check = check_absolute,
	  .doc = "Where a namespace may have a policy of its own, NAMESPACE.json, in place of "
		 "signature_policy." },
	{ NAMES("crio.image", "namespaced_auth_dir", "namespaced-auth-dir",
		"CONTAINER_NAMESPACED_AUTH_DIR"),
	  STRING(namespaced_auth_dir), .fallback = "/etc/crio/auth", .check = check_absolute,
	  .doc = "Credentials for one pull of one namespace: NAMESPACE-HASH.json, where HASH is "
		 "the SHA-256 of the image's name without tag." },
	{ NAMES("crio.image", "pull_progress_timeout", "pull-progress-timeout",
		"CONTAINER_PULL_PROGRESS_TIMEOUT"),
	  STRING(pull_progress_timeout), .fallback = "0s", .check = check_duration,
	  .doc = "How long a pull may go on without a byte before it is given up; 0s is for ever." },
	{ NAMES("crio.image", "short_name_mode", "short-name-mode", "CONTAINER_SHORT_NAME_MODE"),
	  STRING(short_name_mode), .fallback = "enforcing", .check = check_short_name_mode,
	  .doc = "What to do with a name without registry that several registries may have: "
		 "enforcing refuses it, disabled tries them in turn." },
	{ NAMES(NULL, "registries-conf", "registries-conf", "CONTAINER_REGISTRIES_CONF"),
	  STRING(registries_conf), .hints = OPTION_RELOAD, .fallback = "", .check = check_absolute,
	  .doc = "registries.conf to use; empty: /etc/containers/registries.conf." },
	{ NAMES(NULL, "registries-conf-dir", "registries-conf-dir",
		"CONTAINER_REGISTRIES_CONF_DIR"),
	  STRING(registries_conf_dir), .hints = OPTION_RELOAD, .fallback = "", .check = check_absolute,
	  .doc = "Its directory of additions; empty: /etc/containers/registries.conf.d." },
	{ NAMES(NULL, "certs-dir", "certs-dir", "CONTAINER_CERTS_DIR"), STRING(certs_dir),
	  .fallback = "", .check = check_absolute,
	  .doc = "Certificates for registries, one directory per host (CRI-O has no such "
		 "option); empty: /etc/containers/certs.d and /etc/docker/certs.d." },

	{ NAMES("crio.network", "cni_default_network", "cni-default-network",
		"CONTAINER_CNI_DEFAULT_NETWORK"),
	  STRING(cni_default_network), .fallback = "",
	  .doc = "The CNI network of pods. Empty: the first one in network_dir." },
	{ NAMES("crio.network", "network_dir", "cni-config-dir", "CONTAINER_CNI_CONFIG_DIR"),
	  STRING(network_dir), .fallback = "/etc/cni/net.d/", .check = check_absolute,
	  .doc = "Where CNI networks are configured." },
	{ NAMES("crio.network", "plugin_dirs", "cni-plugin-dir", "CONTAINER_CNI_PLUGIN_DIR"),
	  LIST(plugin_dirs), .fallback = "/opt/cni/bin/", .check = check_absolute_list,
	  .doc = "Where CNI plugins are looked for." },
	{ NAMES("crio.network", "cni_cache_dir", "cni-cache-dir", "CONTAINER_CNI_CACHE_DIR"),
	  STRING(cni_cache_dir), .fallback = "/var/lib/cni/results", .check = check_absolute,
	  .doc = "Where the results of CNI are remembered (CRI-O has no such option)." },

	{ NAMES("crio.stats", "stats_collection_period", "stats-collection-period",
		"CONTAINER_STATS_COLLECTION_PERIOD"),
	  INT(stats_collection_period), .fallback = "0", .check = check_period,
	  .doc = "An older name of collection_period, which wins when it is set." },
	{ NAMES("crio.stats", "collection_period", "collection-period", "COLLECTION_PERIOD"),
	  INT(collection_period), .fallback = "0", .check = check_period,
	  .doc = "Seconds that a measurement of pods and containers may be given as an answer "
		 "again. 0: each question measures. Without questions nothing is measured." },
	{ NAMES("crio.stats", "included_pod_metrics", "included-pod-metrics",
		"CONTAINER_INCLUDED_POD_METRICS"),
	  LIST(included_pod_metrics), .fallback = "", .check = check_pod_metrics,
	  .doc = "Families of metrics of pods that are served: cpu, disk, diskIO, hugetlb, "
		 "memory, network, oom, process, spec, pressure, or all. Empty: only "
		 "container_last_seen." },
};
const size_t config_n_options = ARRAY_SIZE(config_options);

#define HSTRING(m) .key = #m, .type = OPTION_STRING, .offset = MEMBER(runtime_handler, m, char *)
#define HLIST(m) .key = #m, .type = OPTION_LIST, .offset = MEMBER(runtime_handler, m, char **)
#define HBOOL(m) .key = #m, .type = OPTION_BOOL, .offset = MEMBER(runtime_handler, m, bool)
#define HINT(m) .key = #m, .type = OPTION_INT, .offset = MEMBER(runtime_handler, m, int64_t)
#define HSIZE(m) .key = #m, .type = OPTION_SIZE, .offset = MEMBER(runtime_handler, m, int64_t)

const struct option handler_options[] = {
	{ HSTRING(runtime_path), .fallback = "", .check = check_absolute,
	  .doc = "The OCI runtime. Empty: the program of the handler's name in $PATH." },
	{ HSTRING(runtime_type), .fallback = "oci", .check = check_runtime_type,
	  .doc = "How it is driven; this version has only oci." },
	{ HSTRING(runtime_root), .fallback = "", .check = check_absolute,
	  .doc = "Where the runtime keeps its state. Empty: /run/NAME." },
	{ HSTRING(monitor_path), .fallback = "", .check = check_absolute,
	  .doc = "conmon. Empty: found in $PATH." },
	{ HSTRING(monitor_cgroup), .fallback = "", .check = check_monitor_cgroup,
	  .doc = "The cgroup of conmon. With systemd a slice, or \"pod\" for that of its pod; empty: "
		 "system.slice. With cgroupfs empty or \"pod\": it stays in the daemon's." },
	{ HLIST(monitor_env), .fallback = "", .check = check_env,
	  .doc = "The environment of conmon." },
	{ HLIST(allowed_annotations), .fallback = "",
	  .doc = "Annotations of pods that are honoured for this handler; others are ignored." },
	{ HBOOL(privileged_without_host_devices), .fallback = "false",
	  .doc = "Privileged containers do not get the host's devices." },
	{ HSTRING(seccomp_profile), .fallback = "", .check = check_absolute,
	  .doc = "The default seccomp profile for this handler. Empty: that of crio.runtime." },
	{ HINT(container_create_timeout), .fallback = "240", .check = check_create_timeout,
	  .doc = "Seconds that making a container may take, at least 30." },
	{ HSIZE(container_min_memory), .fallback = "12MiB",
	  .doc = "A container with a memory limit below this is refused." },
};
const size_t handler_n_options = ARRAY_SIZE(handler_options);

#define HANDLER "crio.runtime.runtimes.*"

const struct missing_option missing_options[] = {
	{ NULL, "profile", .boolean = true },
	{ NULL, "profile-port" },
	{ NULL, "profile-cpu" },
	{ NULL, "profile-mem" },
	{ NULL, "enable-profile-unix-socket", .boolean = true },


	{ "crio.runtime", "workloads" },
	{ "crio.runtime", "additional_artifact_stores" },
	{ "crio.runtime", "min_injected_gomaxprocs", .env = "CONTAINER_INJECT_GOMAXPROCS" },
	{ "crio.runtime", "blockio_config_file" },
	{ "crio.runtime", "blockio_reload", .boolean = true },
	{ "crio.runtime", "irqbalance_config_file" },
	{ "crio.runtime", "irqbalance_config_restore_file" },
	{ "crio.runtime", "rdt_config_file" },
	{ "crio.runtime", "default_mounts_file" },
	{ "crio.runtime", "log_to_journald", .flag = "log-journald",
	  .env = "CONTAINER_LOG_JOURNALD", .boolean = true },
	{ "crio.runtime", "uid_mappings" },
	{ "crio.runtime", "gid_mappings" },
	{ "crio.runtime", "infra_ctr_cpuset" },
	{ "crio.runtime", "shared_cpuset" },
	{ "crio.runtime", "enable_criu_support", .boolean = true },
	{ "crio.runtime", "timezone", .env = "CONTAINER_TIME_ZONE" },
	{ NULL, "tz", .env = "" }, /* the short form of --timezone */
	{ "crio.runtime", "separate_pull_cgroup", .env = "PULL_IN_A_CGROUP" },

	{ HANDLER, "runtime_config_path" },
	{ HANDLER, "inherit_default_runtime" },
	{ HANDLER, "monitor_exec_cgroup" },
	{ HANDLER, "platform_runtime_paths" },
	{ HANDLER, "runtime_pull_image" },
	{ HANDLER, "no_sync_log" },
	{ HANDLER, "default_annotations" },
	{ HANDLER, "stream_websockets" },
	{ HANDLER, "exec_cpu_affinity" },

	{ "crio.image", "default_transport" },
	{ "crio.image", "insecure_registries", .flag = "insecure-registry",
	  .env = "CONTAINER_INSECURE_REGISTRY" },
	{ "crio.image", "image_volumes" },
	{ "crio.image", "big_files_temporary_dir" },
	{ "crio.image", "auto_reload_registries", .env = "AUTO_RELOAD_REGISTRIES",
	  .boolean = true },
	{ "crio.image", "oci_artifact_mount_support", .env = "CONTAINER_OCI_ARTIFACT_SUPPORT",
	  .boolean = true },
	{ "crio.image", "separate_pull_cgroup" },
	{ "crio.image", "registries" },

	{ "crio.network", "cni_status_grace_period", .env = "CNI_STATUS_GRACE_PERIOD" },

	{ "crio.metrics", "enable_metrics", .boolean = true },
	{ "crio.metrics", "metrics_collectors" },
	{ "crio.metrics", "metrics_host" },
	{ "crio.metrics", "metrics_port" },
	{ "crio.metrics", "metrics_socket" },
	{ "crio.metrics", "metrics_cert" },
	{ "crio.metrics", "metrics_key" },

	{ "crio.tracing", "enable_tracing", .boolean = true },
	{ "crio.tracing", "tracing_endpoint" },
	{ "crio.tracing", "tracing_sampling_rate_per_million" },

	{ "crio.nri", "enable_nri", .boolean = true },
	{ "crio.nri", "nri_plugin_dir" },
	{ "crio.nri", "nri_plugin_config_dir" },
	{ "crio.nri", "nri_listen" },
	{ "crio.nri", "nri_disable_connections", .boolean = true },
	{ "crio.nri", "nri_plugin_registration_timeout" },
	{ "crio.nri", "nri_plugin_request_timeout" },
	{ "crio.nri", "default_validator" },

	{ "crio.checkpoint_restore", "container_level_enabled",
	  .flag = "checkpoint-restore-container-level-enabled",
	  .env = "CONTAINER_CHECKPOINT_RESTORE_CONTAINER_LEVEL_ENABLED" },
};
const size_t n_missing_options = ARRAY_SIZE(missing_options);
