/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of the OCI runtime specification 1.2 as tables. One table serves two purposes: a
 * parsed document is checked against it, so that the getters can trust what they read; and its
 * order, that of the Go structs CRI-O prints, decides where a setter puts a new member. Members
 * that no table knows are kept and never looked at. null stands for an absent member, as in Go.
 */
#include "private.h"

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
	{ "scheduler", KIND_ANY, NULL },
	{ "selinuxLabel", KIND_STRING, NULL },
	{ "ioPriority", KIND_ANY, NULL },
	{ "execCPUAffinity", KIND_ANY, NULL },
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

static const struct shape shape_hook[] = {
	{ "path", KIND_STRING, NULL },
	{ "args", KIND_STRINGS, NULL },
	{ "env", KIND_STRINGS, NULL },
	{ "timeout", KIND_INT, NULL },
	{ 0 }
};

static const struct shape shape_hooks[] = {
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

static const struct shape shape_resources[] = {
	{ "devices", KIND_OBJECTS, shape_device_rule },
	{ "memory", KIND_OBJECT, shape_memory },
	{ "cpu", KIND_OBJECT, shape_cpu },
	{ "pids", KIND_OBJECT, shape_pids },
	{ "blockIO", KIND_ANY, NULL },
	{ "hugepageLimits", KIND_OBJECTS, shape_hugepage_limit },
	{ "network", KIND_ANY, NULL },
	{ "rdma", KIND_ANY, NULL },
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

static const struct shape shape_seccomp_arg[] = {
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

static const struct shape shape_linux[] = {
	{ "uidMappings", KIND_OBJECTS, shape_id_mapping },
	{ "gidMappings", KIND_OBJECTS, shape_id_mapping },
	{ "sysctl", KIND_STRING_MAP, NULL },
	{ "resources", KIND_OBJECT, shape_resources },
	{ "cgroupsPath", KIND_STRING, NULL },
	{ "namespaces", KIND_OBJECTS, shape_namespace },
	{ "devices", KIND_OBJECTS, shape_device },
	{ "netDevices", KIND_ANY, NULL },
	{ "seccomp", KIND_OBJECT, shape_seccomp },
	{ "rootfsPropagation", KIND_STRING, NULL },
	{ "maskedPaths", KIND_STRINGS, NULL },
	{ "readonlyPaths", KIND_STRINGS, NULL },
	{ "mountLabel", KIND_STRING, NULL },
	{ "intelRdt", KIND_ANY, NULL },
	{ "memoryPolicy", KIND_ANY, NULL },
	{ "personality", KIND_ANY, NULL },
	{ "timeOffsets", KIND_ANY, NULL },
	{ 0 }
};

const struct shape shape_document[] = {
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
	{ 0 }
};

int shape_index(const struct shape *shape, const char *name)
{
	for (int i = 0; shape[i].name; i++)
		if (streq(shape[i].name, name))
			return i;
	return -1;
}

/* Where in the document a check is, for its message: linked through the stack. */
struct trail {
	const struct trail *up;
	const char *name;
	size_t index;		/* of an array element, when name is NULL */
};

/* The keys of maps are anybody's. */
static bool quotable(const char *name)
{
	return strlen(name) <= 200 && text_printable(name);
}

static void trail_append(struct str *out, const struct trail *t)
{
	if (!t)
		return;
	trail_append(out, t->up);
	if (t->name)
		str_appendf(out, "%s%s", out->len ? "." : "", quotable(t->name) ? t->name : "?");
	else
		str_appendf(out, "[%zu]", t->index);
}

static int wrong(const struct trail *t, const char *expected, struct ocispec_error *err)
{
	_cleanup_str_ struct str where = STR_INIT;

	trail_append(&where, t);
	return err_set(err, OCISPEC_E_INVALID, "%s: expected %s",
		       where.data ? where.data : "document", expected);
}

static bool is_uint(const struct json *v, uint64_t max)
{
	unsigned long long n;
	char *end;

	if (v->type != JSON_NUMBER || v->string[0] == '-')
		return false;
	errno = 0;
	n = strtoull(v->string, &end, 10);
	return errno == 0 && *end == 0 && n <= max;
}

static bool is_int(const struct json *v)
{
	int64_t n;

	return v->type == JSON_NUMBER && json_int(v, &n) == 0;
}

static bool is_string(const struct json *v)
{
	return json_string(v) != NULL;	/* without embedded NUL: these become paths, arguments */
}

static int check_object(const struct json *v, const struct shape *shape, const struct trail *up,
			struct ocispec_error *err);

static int check_elements(const struct json *v, const struct shape *m, const struct trail *t,
			  struct ocispec_error *err)
{
	struct trail here = { t, NULL, 0 };
	int r;

	if (v->type != JSON_ARRAY)
		return wrong(t, "an array", err);
	json_foreach(e, v) {
		if (m->kind == KIND_STRINGS && !is_string(e))
			return wrong(&here, "a string without NUL", err);
		if (m->kind == KIND_UINT32S && !is_uint(e, UINT32_MAX))
			return wrong(&here, "an integer from 0 to 4294967295", err);
		r = m->kind == KIND_OBJECTS ? check_object(e, m->members, &here, err) : 0;
		if (r)
			return r;
		here.index++;
	}
	return 0;
}

static int check_string_map(const struct json *v, const struct trail *t, struct ocispec_error *err)
{
	if (v->type != JSON_OBJECT)
		return wrong(t, "an object", err);
	json_foreach(e, v) {
		struct trail here = { t, e->key, 0 };

		if (e->type != JSON_NULL && !is_string(e))
			return wrong(&here, "a string without NUL", err);
	}
	return 0;
}

static int check_value(const struct json *v, const struct shape *m, const struct trail *t,
		       struct ocispec_error *err)
{
	if (v->type == JSON_NULL)
		return 0;
	switch (m->kind) {
	case KIND_ANY:
		return 0;
	case KIND_BOOL:
		return v->type == JSON_BOOL ? 0 : wrong(t, "true or false", err);
	case KIND_INT:
		return is_int(v) ? 0 : wrong(t, "a 64-bit integer", err);
	case KIND_UINT:
		return is_uint(v, UINT64_MAX) ? 0 : wrong(t, "an unsigned 64-bit integer", err);
	case KIND_UINT32:
		return is_uint(v, UINT32_MAX) ? 0 :
			wrong(t, "an integer from 0 to 4294967295", err);
	case KIND_STRING:
		return is_string(v) ? 0 : wrong(t, "a string without NUL", err);
	case KIND_STRING_MAP:
		return check_string_map(v, t, err);
	case KIND_OBJECT:
		return check_object(v, m->members, t, err);
	case KIND_STRINGS:
	case KIND_UINT32S:
	case KIND_OBJECTS:
		return check_elements(v, m, t, err);
	}
	return 0;
}

static int check_object(const struct json *v, const struct shape *shape, const struct trail *up,
			struct ocispec_error *err)
{
	int i, r;

	if (v->type != JSON_OBJECT)
		return wrong(up, "an object", err);
	json_foreach(m, v) {
		struct trail here = { up, m->key, 0 };

		i = shape_index(shape, m->key);
		if (i < 0)
			continue;
		r = check_value(m, &shape[i], &here, err);
		if (r)
			return r;
	}
	return 0;
}

int shape_check(const struct json *v, const struct shape *shape, struct ocispec_error *err)
{
	return check_object(v, shape, NULL, err);
}
