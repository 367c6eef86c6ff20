/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of a config.json of the OCI runtime specification 1.3 as tables. One table serves two
 * purposes: a parsed document is checked against it; and its order, that of the Go structs CRI-O
 * prints, decides where a setter puts a new member. Members that no table knows are kept and never
 * looked at; so are those of other systems than Linux.
 */
#include "shape.h"

static const struct shape shape_user[] = {
	{ "uid", KIND_UINT32, NULL },
	{ "gid", KIND_UINT32, NULL },
	{ "umask", KIND_UINT32, NULL },
	{ "additionalGids", KIND_UINT32S, NULL },
	{ "username", KIND_STRING, NULL },
	{ 0 }
};

static const struct shape shape_console_size[] = {
	{ "height", KIND_UINT, NULL },
	{ "width", KIND_UINT, NULL },
	{ 0 }
};

static const struct shape shape_capabilities[] = {
	{ "bounding", KIND_STRINGS, NULL },
	{ "effective", KIND_STRINGS, NULL },
	{ "inheritable", KIND_STRINGS, NULL },
	{ "permitted", KIND_STRINGS, NULL },
	{ "ambient", KIND_STRINGS, NULL },
	{ 0 }
};

static const struct shape shape_rlimit[] = {
	{ "type", KIND_STRING, NULL },
	{ "hard", KIND_UINT, NULL },
	{ "soft", KIND_UINT, NULL },
	{ 0 }
};

static const struct shape shape_scheduler[] = {
	{ "policy", KIND_STRING, NULL },
	{ "nice", KIND_INT32, NULL },
	{ "priority", KIND_INT32, NULL },
	{ "flags", KIND_STRINGS, NULL },
	{ "runtime", KIND_UINT, NULL },
	{ "deadline", KIND_UINT, NULL },
	{ "period", KIND_UINT, NULL },
	{ 0 }
};

static const struct shape shape_io_priority[] = {
	{ "class", KIND_STRING, NULL },
	{ "priority", KIND_INT, NULL },
	{ 0 }
};

static const struct shape shape_cpu_affinity[] = {
	{ "initial", KIND_STRING, NULL },
	{ "final", KIND_STRING, NULL },
	{ 0 }
};

static const struct shape shape_process[] = {
	{ "terminal", KIND_BOOL, NULL },
	{ "consoleSize", KIND_OBJECT, shape_console_size },
	{ "user", KIND_OBJECT, shape_user },
	{ "args", KIND_STRINGS, NULL },
	{ "commandLine", KIND_STRING, NULL },
	{ "env", KIND_STRINGS, NULL },
	{ "cwd", KIND_STRING, NULL },
	{ "capabilities", KIND_OBJECT, shape_capabilities },
	{ "rlimits", KIND_OBJECTS, shape_rlimit },
	{ "noNewPrivileges", KIND_BOOL, NULL },
	{ "apparmorProfile", KIND_STRING, NULL },
	{ "oomScoreAdj", KIND_INT, NULL },
	{ "scheduler", KIND_OBJECT, shape_scheduler },
	{ "selinuxLabel", KIND_STRING, NULL },
	{ "ioPriority", KIND_OBJECT, shape_io_priority },
	{ "execCPUAffinity", KIND_OBJECT, shape_cpu_affinity },
	{ 0 }
};

static const struct shape shape_root[] = {
	{ "path", KIND_STRING, NULL },
	{ "readonly", KIND_BOOL, NULL },
	{ 0 }
};

static const struct shape shape_id_mapping[] = {
	{ "containerID", KIND_UINT32, NULL },
	{ "hostID", KIND_UINT32, NULL },
	{ "size", KIND_UINT32, NULL },
	{ 0 }
};

static const struct shape shape_mount[] = {
	{ "destination", KIND_STRING, NULL },
	{ "type", KIND_STRING, NULL },
	{ "source", KIND_STRING, NULL },
	{ "options", KIND_STRINGS, NULL },
	{ "uidMappings", KIND_OBJECTS, shape_id_mapping },
	{ "gidMappings", KIND_OBJECTS, shape_id_mapping },
	{ 0 }
};

const struct shape shape_hook[] = {
	{ "path", KIND_STRING, NULL },
	{ "args", KIND_STRINGS, NULL },
	{ "env", KIND_STRINGS, NULL },
	{ "timeout", KIND_INT, NULL },
	{ 0 }
};

const struct shape shape_hooks[] = {
	{ "prestart", KIND_OBJECTS, shape_hook },
	{ "createRuntime", KIND_OBJECTS, shape_hook },
	{ "createContainer", KIND_OBJECTS, shape_hook },
	{ "startContainer", KIND_OBJECTS, shape_hook },
	{ "poststart", KIND_OBJECTS, shape_hook },
	{ "poststop", KIND_OBJECTS, shape_hook },
	{ 0 }
};

static const struct shape shape_device_rule[] = {
	{ "allow", KIND_BOOL, NULL },
	{ "type", KIND_STRING, NULL },
	{ "major", KIND_INT, NULL },
	{ "minor", KIND_INT, NULL },
	{ "access", KIND_STRING, NULL },
	{ 0 }
};

static const struct shape shape_memory[] = {
	{ "limit", KIND_INT, NULL },
	{ "reservation", KIND_INT, NULL },
	{ "swap", KIND_INT, NULL },
	{ "kernel", KIND_INT, NULL },
	{ "kernelTCP", KIND_INT, NULL },
	{ "swappiness", KIND_UINT, NULL },
	{ "disableOOMKiller", KIND_BOOL, NULL },
	{ "useHierarchy", KIND_BOOL, NULL },
	{ "checkBeforeUpdate", KIND_BOOL, NULL },
	{ 0 }
};

static const struct shape shape_cpu[] = {
	{ "shares", KIND_UINT, NULL },
	{ "quota", KIND_INT, NULL },
	{ "burst", KIND_UINT, NULL },
	{ "period", KIND_UINT, NULL },
	{ "realtimeRuntime", KIND_INT, NULL },
	{ "realtimePeriod", KIND_UINT, NULL },
	{ "cpus", KIND_STRING, NULL },
	{ "mems", KIND_STRING, NULL },
	{ "idle", KIND_INT, NULL },
	{ 0 }
};

static const struct shape shape_pids[] = {
	{ "limit", KIND_INT, NULL },
	{ 0 }
};

static const struct shape shape_hugepage_limit[] = {
	{ "pageSize", KIND_STRING, NULL },
	{ "limit", KIND_UINT, NULL },
	{ 0 }
};

static const struct shape shape_weight_device[] = {
	{ "major", KIND_INT, NULL },
	{ "minor", KIND_INT, NULL },
	{ "weight", KIND_UINT16, NULL },
	{ "leafWeight", KIND_UINT16, NULL },
	{ 0 }
};

static const struct shape shape_throttle_device[] = {
	{ "major", KIND_INT, NULL },
	{ "minor", KIND_INT, NULL },
	{ "rate", KIND_UINT, NULL },
	{ 0 }
};

static const struct shape shape_block_io[] = {
	{ "weight", KIND_UINT16, NULL },
	{ "leafWeight", KIND_UINT16, NULL },
	{ "weightDevice", KIND_OBJECTS, shape_weight_device },
	{ "throttleReadBpsDevice", KIND_OBJECTS, shape_throttle_device },
	{ "throttleWriteBpsDevice", KIND_OBJECTS, shape_throttle_device },
	{ "throttleReadIOPSDevice", KIND_OBJECTS, shape_throttle_device },
	{ "throttleWriteIOPSDevice", KIND_OBJECTS, shape_throttle_device },
	{ 0 }
};

static const struct shape shape_interface_priority[] = {
	{ "name", KIND_STRING, NULL },
	{ "priority", KIND_UINT32, NULL },
	{ 0 }
};

static const struct shape shape_network[] = {
	{ "classID", KIND_UINT32, NULL },
	{ "priorities", KIND_OBJECTS, shape_interface_priority },
	{ 0 }
};

static const struct shape shape_rdma[] = {
	{ "hcaHandles", KIND_UINT32, NULL },
	{ "hcaObjects", KIND_UINT32, NULL },
	{ 0 }
};

static const struct shape shape_resources[] = {
	{ "devices", KIND_OBJECTS, shape_device_rule },
	{ "memory", KIND_OBJECT, shape_memory },
	{ "cpu", KIND_OBJECT, shape_cpu },
	{ "pids", KIND_OBJECT, shape_pids },
	{ "blockIO", KIND_OBJECT, shape_block_io },
	{ "hugepageLimits", KIND_OBJECTS, shape_hugepage_limit },
	{ "network", KIND_OBJECT, shape_network },
	{ "rdma", KIND_OBJECT_MAP, shape_rdma },
	{ "unified", KIND_STRING_MAP, NULL },
	{ 0 }
};

static const struct shape shape_namespace[] = {
	{ "type", KIND_STRING, NULL },
	{ "path", KIND_STRING, NULL },
	{ 0 }
};

static const struct shape shape_device[] = {
	{ "path", KIND_STRING, NULL },
	{ "type", KIND_STRING, NULL },
	{ "major", KIND_INT, NULL },
	{ "minor", KIND_INT, NULL },
	{ "fileMode", KIND_UINT32, NULL },
	{ "uid", KIND_UINT32, NULL },
	{ "gid", KIND_UINT32, NULL },
	{ 0 }
};

const struct shape shape_seccomp_arg[] = {
	{ "index", KIND_UINT, NULL },
	{ "value", KIND_UINT, NULL },
	{ "valueTwo", KIND_UINT, NULL },
	{ "op", KIND_STRING, NULL },
	{ 0 }
};

static const struct shape shape_seccomp_rule[] = {
	{ "names", KIND_STRINGS, NULL },
	{ "action", KIND_STRING, NULL },
	{ "errnoRet", KIND_UINT, NULL },
	{ "args", KIND_OBJECTS, shape_seccomp_arg },
	{ 0 }
};

static const struct shape shape_seccomp[] = {
	{ "defaultAction", KIND_STRING, NULL },
	{ "defaultErrnoRet", KIND_UINT, NULL },
	{ "architectures", KIND_STRINGS, NULL },
	{ "flags", KIND_STRINGS, NULL },
	{ "listenerPath", KIND_STRING, NULL },
	{ "listenerMetadata", KIND_STRING, NULL },
	{ "syscalls", KIND_OBJECTS, shape_seccomp_rule },
	{ 0 }
};

static const struct shape shape_net_device[] = {
	{ "name", KIND_STRING, NULL },
	{ 0 }
};

static const struct shape shape_intel_rdt[] = {
	{ "closID", KIND_STRING, NULL },
	{ "schemata", KIND_STRINGS, NULL },
	{ "l3CacheSchema", KIND_STRING, NULL },
	{ "memBwSchema", KIND_STRING, NULL },
	{ "enableMonitoring", KIND_BOOL, NULL },
	{ "enableCMT", KIND_BOOL, NULL },	/* 1.1 and 1.2 */
	{ "enableMBM", KIND_BOOL, NULL },
	{ 0 }
};

static const struct shape shape_memory_policy[] = {
	{ "mode", KIND_STRING, NULL },
	{ "nodes", KIND_STRING, NULL },
	{ "flags", KIND_STRINGS, NULL },
	{ 0 }
};

static const struct shape shape_personality[] = {
	{ "domain", KIND_STRING, NULL },
	{ "flags", KIND_STRINGS, NULL },
	{ 0 }
};

static const struct shape shape_time_offset[] = {
	{ "secs", KIND_INT, NULL },
	{ "nanosecs", KIND_UINT32, NULL },
	{ 0 }
};

static const struct shape shape_linux[] = {
	{ "uidMappings", KIND_OBJECTS, shape_id_mapping },
	{ "gidMappings", KIND_OBJECTS, shape_id_mapping },
	{ "sysctl", KIND_STRING_MAP, NULL },
	{ "resources", KIND_OBJECT, shape_resources },
	{ "cgroupsPath", KIND_STRING, NULL },
	{ "namespaces", KIND_OBJECTS, shape_namespace },
	{ "devices", KIND_OBJECTS, shape_device },
	{ "netDevices", KIND_OBJECT_MAP, shape_net_device },
	{ "seccomp", KIND_OBJECT, shape_seccomp },
	{ "rootfsPropagation", KIND_STRING, NULL },
	{ "maskedPaths", KIND_STRINGS, NULL },
	{ "readonlyPaths", KIND_STRINGS, NULL },
	{ "mountLabel", KIND_STRING, NULL },
	{ "intelRdt", KIND_OBJECT, shape_intel_rdt },
	{ "memoryPolicy", KIND_OBJECT, shape_memory_policy },
	{ "personality", KIND_OBJECT, shape_personality },
	{ "timeOffsets", KIND_OBJECT_MAP, shape_time_offset },
	{ 0 }
};

const struct shape shape_config[] = {
	{ "ociVersion", KIND_STRING, NULL },
	{ "process", KIND_OBJECT, shape_process },
	{ "root", KIND_OBJECT, shape_root },
	{ "hostname", KIND_STRING, NULL },
	{ "domainname", KIND_STRING, NULL },
	{ "mounts", KIND_OBJECTS, shape_mount },
	{ "hooks", KIND_OBJECT, shape_hooks },
	{ "annotations", KIND_STRING_MAP, NULL },
	{ "linux", KIND_OBJECT, shape_linux },
	{ "solaris", KIND_ANY, NULL },
	{ "windows", KIND_ANY, NULL },
	{ "vm", KIND_ANY, NULL },
	{ "zos", KIND_ANY, NULL },
	{ "freebsd", KIND_ANY, NULL },
	{ 0 }
};
