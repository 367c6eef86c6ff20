/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linux object: namespaces, cgroup path, sysctls, hidden paths and device nodes.
 */
#include "private.h"

#define FILE_MODE_MAX 07777

static struct place linux_place(struct ocispec *s)
{
	return place_child(place_root(s), "linux");
}

static struct json *linux_get(const struct ocispec *s, const char *member)
{
	return s ? json_path(json_root(s->doc), "linux", member, NULL) : NULL;
}

bool namespace_known(const char *type)
{
	static const char *const types[] = { "pid", "network", "mount",	 "ipc",
					     "uts", "user",    "cgroup", "time" };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (streq(type, types[i]))
			return true;
	return false;
}

PUBLIC int ocispec_set_namespace(struct ocispec *s, const char *type, const char *path)
{
	struct place ns, p;

	if (!s || !type)
		return -EINVAL;
	if (!namespace_known(type) || (path && *path && !path_absolute(path)))
		return OCISPEC_E_INVALID;
	p = linux_place(s);
	ns = place_element(p, "namespaces");
	place_put_string(ns, "type", type);
	place_put_string(ns, "path", path);
	array_upsert(s->doc, place_array(p, "namespaces"), "type", ns.obj);
	return place_result(s);
}

PUBLIC int ocispec_remove_namespace(struct ocispec *s, const char *type)
{
	struct json *list, *ns;

	if (!s || !type)
		return -EINVAL;
	list = linux_get(s, "namespaces");
	ns = array_find(list, "type", type);
	if (!ns)
		return OCISPEC_E_NOT_FOUND;
	do
		json_remove_item(list, ns);
	while ((ns = array_find(list, "type", type)));
	return 0;
}

PUBLIC int ocispec_get_namespace(const struct ocispec *s, const char *type, const char **ret_path)
{
	const struct json *ns;
	const char *path;

	if (!s || !type)
		return -EINVAL;
	ns = array_find(linux_get(s, "namespaces"), "type", type);
	if (!ns)
		return OCISPEC_E_NOT_FOUND;
	path = json_get_string(ns, "path");
	if (ret_path)
		*ret_path = path ? path : "";
	return 0;
}

PUBLIC int ocispec_set_cgroups_path(struct ocispec *s, const char *path)
{
	if (!s)
		return -EINVAL;
	if (path && !text_printable(path))
		return OCISPEC_E_INVALID;
	place_put_string(linux_place(s), "cgroupsPath", path);
	return place_result(s);
}

PUBLIC const char *ocispec_get_cgroups_path(const struct ocispec *s)
{
	return json_string(linux_get(s, "cgroupsPath"));
}

/* A key becomes a file below /proc/sys: nothing in it may end it, join it to a value or climb. */
static bool sysctl_key_valid(const char *key)
{
	if (!*key || !text_valid(key) || strstr(key, ".."))
		return false;
	for (; *key; key++)
		if ((unsigned char)*key <= 0x20 || *key == 0x7f || *key == '=')
			return false;
	return true;
}

PUBLIC int ocispec_set_sysctl(struct ocispec *s, const char *key, const char *value)
{
	if (!s || !key || !value)
		return -EINVAL;
	if (!sysctl_key_valid(key) || !text_printable(value))
		return OCISPEC_E_INVALID;
	place_put(place_child(linux_place(s), "sysctl"), key, json_new_string(s->doc, value));
	return place_result(s);
}

static int set_paths(struct ocispec *s, const char *member, const char *const *paths)
{
	if (!s)
		return -EINVAL;
	for (const char *const *p = paths; p && *p; p++)
		if (!path_absolute(*p))
			return OCISPEC_E_INVALID;
	place_put_strings(linux_place(s), member, paths);
	return place_result(s);
}

PUBLIC int ocispec_set_masked_paths(struct ocispec *s, const char *const *paths)
{
	return set_paths(s, "maskedPaths", paths);
}

PUBLIC int ocispec_set_readonly_paths(struct ocispec *s, const char *const *paths)
{
	return set_paths(s, "readonlyPaths", paths);
}

PUBLIC int ocispec_add_device(struct ocispec *s, const char *path, char type, int64_t major,
			      int64_t minor, uint32_t file_mode, uint32_t uid, uint32_t gid)
{
	struct place device, p;
	char kind[2] = { type, 0 };

	if (!s || !path)
		return -EINVAL;
	if (!path_absolute(path) || !type || !strchr("bcup", type) || file_mode > FILE_MODE_MAX ||
	    (type != 'p' && (major < 0 || minor < 0)))
		return OCISPEC_E_INVALID;
	p = linux_place(s);
	device = place_element(p, "devices");
	place_put_string(device, "path", path);
	place_put_string(device, "type", kind);
	place_put_int(device, "major", type == 'p' ? 0 : major);
	place_put_int(device, "minor", type == 'p' ? 0 : minor);
	place_put_uint(device, "fileMode", file_mode);
	place_put_uint(device, "uid", uid);
	place_put_uint(device, "gid", gid);
	array_upsert(s->doc, place_array(p, "devices"), "path", device.obj);
	return place_result(s);
}

PUBLIC int ocispec_add_id_mapping(struct ocispec *s, int group, uint32_t container_id,
				  uint32_t host_id, uint32_t size)
{
	return s ? place_add_id_mapping(s, linux_place(s), group, container_id, host_id, size) : -EINVAL;
}
