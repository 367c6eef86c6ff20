/* SPDX-License-Identifier: Apache-2.0 */
/* linux (config-linux.md), for validate.c. */
#include "validate.h"

static bool has_namespace(const struct validation *v, const char *type)
{
	return ocispec_get_namespace(v->s, type, NULL) == 0;
}

static void check_namespaces(struct validation *v)
{
	static const char *const list = "linux.namespaces";
	size_t i = 0;

	json_foreach(n, path_get(v->s, list)) {
		const char *type = json_get_string(n, "type"), *path = json_get_string(n, "path");

		if (!type || !namespace_known(type))
			wrong(v, element(list, i, "type").text, "\"%s\" is not a namespace", type ? type : "");
		if (path && *path && *path != '/')
			wrong(v, element(list, i, "path").text, "not an absolute path");
		for (const struct json *o = n->next; type && o; o = o->next)
			if (json_get_string(o, "type") && streq(json_get_string(o, "type"), type))
				wrong(v, element(list, i, "type").text, "%s twice", type);
		i++;
	}
}

static void check_mappings(struct validation *v)
{
	static const char *const lists[] = { "linux.uidMappings", "linux.gidMappings" };

	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		size_t i = 0;

		if (ocispec_count(v->s, lists[k]) && !has_namespace(v, "user"))
			wrong(v, lists[k], "needs a user namespace");
		json_foreach(m, path_get(v->s, lists[k])) {
			if (json_get_int(m, "size", 0) <= 0)
				wrong(v, element(lists[k], i, "size").text, "not above 0");
			i++;
		}
	}
}

static void check_devices(struct validation *v)
{
	static const char *const types[] = { "c", "b", "u", "p", NULL };
	static const char *const list = "linux.devices";
	size_t i = 0;

	json_foreach(d, path_get(v->s, list)) {
		const char *type = json_get_string(d, "type"), *path = json_get_string(d, "path");

		if (!path || *path != '/')
			wrong(v, element(list, i, "path").text, "not an absolute path");
		if (!word_in(type, types))
			wrong(v, element(list, i, "type").text, "\"%s\" is not one of c b u p", type ? type : "");
		else if (!streq(type, "p") && (!json_get(d, "major") || !json_get(d, "minor")))
			wrong(v, element(list, i, NULL).text, "major or minor is missing");
		for (const struct json *o = d->next; path && o && i < 1000; o = o->next)
			if (json_get_string(o, "path") && streq(json_get_string(o, "path"), path))
				doubt(v, element(list, i, "path").text, "%s twice", path);
		i++;
	}
}

static void check_device_rules(struct validation *v)
{
	static const char *const types[] = { "a", "b", "c", NULL };
	static const char *const list = "linux.resources.devices";
	size_t i = 0;

	json_foreach(d, path_get(v->s, list)) {
		const char *type = json_get_string(d, "type"), *access = json_get_string(d, "access");

		if (type && *type && !word_in(type, types))
			wrong(v, element(list, i, "type").text, "\"%s\" is not one of a b c", type);
		if (access && access[strspn(access, "rwm")])
			wrong(v, element(list, i, "access").text, "\"%s\" is not of r w m", access);
		i++;
	}
}

static void check_resources(struct validation *v)
{
	int64_t limit, swap, n;

	check_device_rules(v);
	if (ocispec_get_number(v->s, "linux.resources.memory.limit", &limit) == 0 &&
	    ocispec_get_number(v->s, "linux.resources.memory.swap", &swap) == 0 && swap >= 0 && limit >= 0 && swap < limit)
		wrong(v, "linux.resources.memory.swap", "memory and swap together are less than the memory");
	if (ocispec_get_number(v->s, "linux.resources.memory.swappiness", &n) == 0 && n > 100)
		wrong(v, "linux.resources.memory.swappiness", "above 100");
	if (ocispec_get_number(v->s, "linux.resources.cpu.idle", &n) == 0 && n != 0 && n != 1)
		wrong(v, "linux.resources.cpu.idle", "neither 0 nor 1");
	if (ocispec_get_number(v->s, "linux.resources.blockIO.weight", &n) == 0 && n && (n < 10 || n > 1000))
		wrong(v, "linux.resources.blockIO.weight", "not from 10 to 1000");
	json_foreach(u, path_get(v->s, "linux.resources.unified"))
		if (strchr(u->key, '/') || !strchr(u->key, '.'))
			wrong(v, "linux.resources.unified", "\"%.60s\" is not a file of the container's cgroup", u->key);
}

/* Those the kernel keeps per namespace; others would be the host's (CVE-2022-0532). */
static void check_sysctl(struct validation *v)
{
	json_foreach(s, path_get(v->s, "linux.sysctl")) {
		const char *k = s->key, *needs = NULL;

		if (str_starts(k, "net.") || str_starts(k, "net/"))
			needs = "network";
		else if (str_starts(k, "kernel.shm") || str_starts(k, "kernel.msg") || streq(k, "kernel.sem") ||
			 str_starts(k, "fs.mqueue."))
			needs = "ipc";
		else if (streq(k, "kernel.domainname") || streq(k, "kernel.hostname"))
			needs = "uts";
		if (!needs)
			wrong(v, "linux.sysctl", "\"%.60s\" is not kept per namespace", k);
		else if (!has_namespace(v, needs))
			wrong(v, "linux.sysctl", "\"%.60s\" needs a %s namespace", k, needs);
	}
}

static void check_paths(struct validation *v, const char *list)
{
	size_t i = 0;

	json_foreach(p, path_get(v->s, list)) {
		if (p->string[0] != '/')
			wrong(v, element(list, i, NULL).text, "not an absolute path");
		i++;
	}
}

static void check_words(struct validation *v)
{
	static const char *const propagation[] = {
		"shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable", NULL
	};
	static const char *const domains[] = { "LINUX", "LINUX32", NULL };
	static const char *const modes[] = {
		"MPOL_DEFAULT", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE", "MPOL_PREFERRED",
		"MPOL_PREFERRED_MANY", "MPOL_LOCAL", NULL
	};
	const char *mode = ocispec_get_text(v->s, "linux.rootfsPropagation");

	if (mode && *mode && !word_in(mode, propagation))
		wrong(v, "linux.rootfsPropagation", "\"%s\" is not a propagation mode", mode);
	if (path_get(v->s, "linux.personality") && !word_in(ocispec_get_text(v->s, "linux.personality.domain"), domains))
		wrong(v, "linux.personality.domain", "neither LINUX nor LINUX32");
	if (path_get(v->s, "linux.memoryPolicy") && !word_in(ocispec_get_text(v->s, "linux.memoryPolicy.mode"), modes))
		wrong(v, "linux.memoryPolicy.mode", "not a mode, as \"MPOL_BIND\"");
}

static void check_time_offsets(struct validation *v)
{
	static const char *const clocks[] = { "monotonic", "boottime", NULL };

	json_foreach(c, path_get(v->s, "linux.timeOffsets")) {
		if (!word_in(c->key, clocks))
			wrong(v, "linux.timeOffsets", "\"%.60s\" is neither monotonic nor boottime", c->key);
		if (json_get_int(c, "nanosecs", 0) >= 1000000000)
			wrong(v, "linux.timeOffsets", "nanosecs are a second or more");
	}
	if (ocispec_count(v->s, "linux.timeOffsets") && !has_namespace(v, "time"))
		wrong(v, "linux.timeOffsets", "needs a time namespace");
}

static void check_rdt(struct validation *v)
{
	const char *id = ocispec_get_text(v->s, "linux.intelRdt.closID");

	if (id && (streq(id, ".") || streq(id, "..") || (strpbrk(id, "/\n") && !streq(id, "/"))))
		wrong(v, "linux.intelRdt.closID", "\"%s\" is not the name of a directory", id);
}

void validate_linux(struct validation *v)
{
	check_namespaces(v);
	check_mappings(v);
	check_time_offsets(v);
	check_devices(v);
	if (ocispec_count(v->s, "linux.netDevices") && !has_namespace(v, "network"))
		wrong(v, "linux.netDevices", "needs a network namespace");
	check_resources(v);
	check_rdt(v);
	check_sysctl(v);
	if (path_get(v->s, "linux.seccomp"))
		validate_seccomp(v, path_get(v->s, "linux.seccomp"), "linux.seccomp.");
	check_paths(v, "linux.maskedPaths");
	check_paths(v, "linux.readonlyPaths");
	check_words(v);
}
