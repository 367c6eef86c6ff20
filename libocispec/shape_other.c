/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents beside config.json, as tables (shape_config.c says what they are for): the state of
 * a container and the features of a runtime (runtime.md, features.md of the OCI runtime
 * specification 1.3), seccomp profiles in the format of Docker, hook files in the format of podman
 * and CRI-O (oci-hooks(5), both versions in one table), and CDI specifications up to 1.1.
 */
#include "shape.h"

const struct shape shape_state[] = {
	{ "ociVersion", KIND_STRING, NULL },
	{ "id", KIND_STRING, NULL },
	{ "status", KIND_STRING, NULL },
	{ "pid", KIND_INT, NULL },
	{ "bundle", KIND_STRING, NULL },
	{ "annotations", KIND_STRING_MAP, NULL },
	{ 0 }
};

/* ---- features ---- */

static const struct shape shape_enabled[] = {
	{ "enabled", KIND_BOOL, NULL },
	{ 0 }
};

static const struct shape shape_features_cgroup[] = {
	{ "v1", KIND_BOOL, NULL },
	{ "v2", KIND_BOOL, NULL },
	{ "systemd", KIND_BOOL, NULL },
	{ "systemdUser", KIND_BOOL, NULL },
	{ "rdma", KIND_BOOL, NULL },
	{ 0 }
};

static const struct shape shape_features_seccomp[] = {
	{ "enabled", KIND_BOOL, NULL },
	{ "actions", KIND_STRINGS, NULL },
	{ "operators", KIND_STRINGS, NULL },
	{ "archs", KIND_STRINGS, NULL },
	{ "knownFlags", KIND_STRINGS, NULL },
	{ "supportedFlags", KIND_STRINGS, NULL },
	{ 0 }
};

static const struct shape shape_features_rdt[] = {
	{ "enabled", KIND_BOOL, NULL },
	{ "schemata", KIND_BOOL, NULL },
	{ "monitoring", KIND_BOOL, NULL },
	{ 0 }
};

static const struct shape shape_features_memory_policy[] = {
	{ "modes", KIND_STRINGS, NULL },
	{ "flags", KIND_STRINGS, NULL },
	{ 0 }
};

static const struct shape shape_features_mounts[] = {
	{ "idmap", KIND_OBJECT, shape_enabled },
	{ 0 }
};

static const struct shape shape_features_linux[] = {
	{ "namespaces", KIND_STRINGS, NULL },
	{ "capabilities", KIND_STRINGS, NULL },
	{ "cgroup", KIND_OBJECT, shape_features_cgroup },
	{ "seccomp", KIND_OBJECT, shape_features_seccomp },
	{ "apparmor", KIND_OBJECT, shape_enabled },
	{ "selinux", KIND_OBJECT, shape_enabled },
	{ "intelRdt", KIND_OBJECT, shape_features_rdt },
	{ "memoryPolicy", KIND_OBJECT, shape_features_memory_policy },
	{ "mountExtensions", KIND_OBJECT, shape_features_mounts },
	{ "netDevices", KIND_OBJECT, shape_enabled },
	{ 0 }
};

const struct shape shape_features[] = {
	{ "ociVersionMin", KIND_STRING, NULL },
	{ "ociVersionMax", KIND_STRING, NULL },
	{ "hooks", KIND_STRINGS, NULL },
	{ "mountOptions", KIND_STRINGS, NULL },
	{ "linux", KIND_OBJECT, shape_features_linux },
	{ "annotations", KIND_STRING_MAP, NULL },
	{ "potentiallyUnsafeConfigAnnotations", KIND_STRINGS, NULL },
	{ 0 }
};

/* ---- seccomp profiles ---- */

static const struct shape shape_arch_map[] = {
	{ "architecture", KIND_STRING, NULL },
	{ "subArchitectures", KIND_STRINGS, NULL },
	{ 0 }
};

static const struct shape shape_profile_filter[] = {
	{ "caps", KIND_STRINGS, NULL },
	{ "arches", KIND_STRINGS, NULL },
	{ "minKernel", KIND_STRING, NULL },
	{ 0 }
};

static const struct shape shape_profile_rule[] = {
	{ "name", KIND_STRING, NULL },
	{ "names", KIND_STRINGS, NULL },
	{ "action", KIND_STRING, NULL },
	{ "args", KIND_OBJECTS, shape_seccomp_arg },
	{ "comment", KIND_STRING, NULL },
	{ "includes", KIND_OBJECT, shape_profile_filter },
	{ "excludes", KIND_OBJECT, shape_profile_filter },
	{ "errnoRet", KIND_UINT, NULL },
	{ "errno", KIND_STRING, NULL },
	{ 0 }
};

const struct shape shape_profile[] = {
	{ "defaultAction", KIND_STRING, NULL },
	{ "defaultErrnoRet", KIND_UINT, NULL },
	{ "defaultErrno", KIND_STRING, NULL },
	{ "architectures", KIND_STRINGS, NULL },
	{ "archMap", KIND_OBJECTS, shape_arch_map },
	{ "syscalls", KIND_OBJECTS, shape_profile_rule },
	{ "flags", KIND_STRINGS, NULL },
	{ "listenerPath", KIND_STRING, NULL },
	{ "listenerMetadata", KIND_STRING, NULL },
	{ 0 }
};

/* ---- hook files: "hook" is an object in 1.0.0, a path in 0.1.0 ---- */

static const struct shape shape_when[] = {
	{ "always", KIND_BOOL, NULL },
	{ "annotations", KIND_STRING_MAP, NULL },
	{ "commands", KIND_STRINGS, NULL },
	{ "hasBindMounts", KIND_BOOL, NULL },
	{ 0 }
};

const struct shape shape_hook_file[] = {
	{ "version", KIND_STRING, NULL },
	{ "hook", KIND_HOOK, shape_hook },
	{ "when", KIND_OBJECT, shape_when },
	{ "stages", KIND_STRINGS, NULL },
	{ "stage", KIND_STRINGS, NULL },
	{ "arguments", KIND_STRINGS, NULL },
	{ "cmds", KIND_STRINGS, NULL },
	{ "cmd", KIND_STRINGS, NULL },
	{ "annotations", KIND_STRINGS, NULL },
	{ "annotation", KIND_STRINGS, NULL },
	{ "hasbindmounts", KIND_BOOL, NULL },
	{ 0 }
};

/* ---- CDI ---- */

static const struct shape shape_cdi_node[] = {
	{ "path", KIND_STRING, NULL },
	{ "hostPath", KIND_STRING, NULL },
	{ "type", KIND_STRING, NULL },
	{ "major", KIND_INT, NULL },
	{ "minor", KIND_INT, NULL },
	{ "fileMode", KIND_UINT32, NULL },
	{ "permissions", KIND_STRING, NULL },
	{ "uid", KIND_UINT32, NULL },
	{ "gid", KIND_UINT32, NULL },
	{ 0 }
};

static const struct shape shape_cdi_net_device[] = {
	{ "hostInterfaceName", KIND_STRING, NULL },
	{ "name", KIND_STRING, NULL },
	{ 0 }
};

static const struct shape shape_cdi_mount[] = {
	{ "hostPath", KIND_STRING, NULL },
	{ "containerPath", KIND_STRING, NULL },
	{ "options", KIND_STRINGS, NULL },
	{ "type", KIND_STRING, NULL },
	{ 0 }
};

static const struct shape shape_cdi_hook[] = {
	{ "hookName", KIND_STRING, NULL },
	{ "path", KIND_STRING, NULL },
	{ "args", KIND_STRINGS, NULL },
	{ "env", KIND_STRINGS, NULL },
	{ "timeout", KIND_INT, NULL },
	{ 0 }
};

static const struct shape shape_cdi_rdt[] = {
	{ "closID", KIND_STRING, NULL },
	{ "l3CacheSchema", KIND_STRING, NULL },
	{ "memBwSchema", KIND_STRING, NULL },
	{ "schemata", KIND_STRINGS, NULL },
	{ "enableMonitoring", KIND_BOOL, NULL },
	{ "enableCMT", KIND_BOOL, NULL },	/* before 1.1 */
	{ "enableMBM", KIND_BOOL, NULL },
	{ 0 }
};

static const struct shape shape_cdi_edits[] = {
	{ "env", KIND_STRINGS, NULL },
	{ "deviceNodes", KIND_OBJECTS, shape_cdi_node },
	{ "netDevices", KIND_OBJECTS, shape_cdi_net_device },
	{ "hooks", KIND_OBJECTS, shape_cdi_hook },
	{ "mounts", KIND_OBJECTS, shape_cdi_mount },
	{ "intelRdt", KIND_OBJECT, shape_cdi_rdt },
	{ "additionalGids", KIND_UINT32S, NULL },
	{ 0 }
};

static const struct shape shape_cdi_device[] = {
	{ "name", KIND_STRING, NULL },
	{ "annotations", KIND_STRING_MAP, NULL },
	{ "containerEdits", KIND_OBJECT, shape_cdi_edits },
	{ 0 }
};

const struct shape shape_cdi[] = {
	{ "cdiVersion", KIND_STRING, NULL },
	{ "kind", KIND_STRING, NULL },
	{ "annotations", KIND_STRING_MAP, NULL },
	{ "devices", KIND_OBJECTS, shape_cdi_device },
	{ "containerEdits", KIND_OBJECT, shape_cdi_edits },
	{ 0 }
};
