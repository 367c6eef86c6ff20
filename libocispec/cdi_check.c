/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a CDI specification may say (SPEC.md of the Container Device Interface 1.1): names, versions
 * and the edits. It is read as strictly as the reference implementation reads it, since it is
 * somebody else's software that will be asked to make these devices elsewhere.
 */
#include "cdi.h"

#define CLOSID_MAX 4095

static const struct {
	const char *version;
	struct release release;
} versions[] = {
	{ "0.1.0", { 0, 1, 0 } }, { "0.2.0", { 0, 2, 0 } }, { "0.3.0", { 0, 3, 0 } }, { "0.4.0", { 0, 4, 0 } },
	{ "0.5.0", { 0, 5, 0 } }, { "0.6.0", { 0, 6, 0 } }, { "0.7.0", { 0, 7, 0 } }, { "0.8.0", { 0, 8, 0 } },
	{ "1.0.0", { 1, 0, 0 } }, { "1.1.0", { 1, 1, 0 } },
};

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool alphanumeric(char c)
{
	return letter(c) || (c >= '0' && c <= '9');
}

/* Begins with a letter (a device also with a digit), ends with either; inside also some of "inside". */
static bool name_valid(const char *s, size_t len, bool device)
{
	const char *inside = device ? "_-.:" : "_-.";

	if (len == 0 || !(device ? alphanumeric(s[0]) : letter(s[0])) || !alphanumeric(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!alphanumeric(s[i]) && !strchr(inside, s[i]))
			return false;
	return true;
}

static bool kind_valid(const char *kind, size_t len)
{
	const char *slash = memchr(kind, '/', len);

	return slash && name_valid(kind, (size_t)(slash - kind), false) &&
	       name_valid(slash + 1, len - (size_t)(slash + 1 - kind), false);
}

PUBLIC int ocispec_cdi_name_valid(const char *name)
{
	const char *equals = name ? strchr(name, '=') : NULL;

	return equals && kind_valid(name, (size_t)(equals - name)) && name_valid(equals + 1, strlen(equals + 1), true);
}

/* ---- edits ---- */

static int check_env(const struct json *list, const char *where, struct ocispec_error *err)
{
	json_foreach(e, list)
		if (!strchr(e->string, '=') || e->string[0] == '=')
			return err_set(err, OCISPEC_E_INVALID, "%s: invalid environment variable \"%s\"", where, e->string);
	return 0;
}

static int check_node(const struct json *node, struct ocispec_error *err)
{
	const char *path = json_get_string(node, "path"), *type = json_get_string(node, "type");
	const char *access = json_get_string(node, "permissions");

	if (!path || !*path)
		return err_set(err, OCISPEC_E_INVALID, "deviceNodes: empty path");
	if (type && *type && (strlen(type) > 1 || !strchr("bcup", *type)))
		return err_set(err, OCISPEC_E_INVALID, "device %s: invalid type \"%s\"", path, type);
	if (access && !streq(access, "none") && access[strspn(access, "rwm")])
		return err_set(err, OCISPEC_E_INVALID, "device %s: invalid permissions \"%s\"", path, access);
	return 0;
}

static int check_hook(const struct json *hook, struct ocispec_error *err)
{
	static const char *const names[] = {
		"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
	};
	const char *name = json_get_string(hook, "hookName"), *path = json_get_string(hook, "path");
	bool known = false;

	for (size_t i = 0; name && i < ARRAY_SIZE(names); i++)
		known |= streq(names[i], name);
	if (!known)
		return err_set(err, OCISPEC_E_INVALID, "hooks: invalid name \"%s\"", name ? name : "");
	if (!path || !*path)
		return err_set(err, OCISPEC_E_INVALID, "hook %s: empty path", name);
	return check_env(json_get(hook, "env"), "hooks", err);
}

static int check_mount(const struct json *mount, struct ocispec_error *err)
{
	const char *from = json_get_string(mount, "hostPath"), *to = json_get_string(mount, "containerPath");

	if (!from || !*from || !to || !*to)
		return err_set(err, OCISPEC_E_INVALID, "mounts: empty host or container path");
	return 0;
}

static int check_net_devices(const struct json *list, struct ocispec_error *err)
{
	json_foreach(d, list) {
		const char *host = json_get_string(d, "hostInterfaceName"), *name = json_get_string(d, "name");

		if (!host || !*host || !name || !*name)
			return err_set(err, OCISPEC_E_INVALID, "netDevices: empty name");
		for (const struct json *o = d->next; o; o = o->next) {
			const char *h = json_get_string(o, "hostInterfaceName"), *n = json_get_string(o, "name");

			if ((h && streq(h, host)) || (n && streq(n, name)))
				return err_set(err, OCISPEC_E_INVALID, "netDevices: \"%s\" or \"%s\" twice", host, name);
		}
	}
	return 0;
}

/* A name below /sys/fs/resctrl; "/" is that itself. */
static int check_rdt(const struct json *rdt, struct ocispec_error *err)
{
	const char *id = json_get_string(rdt, "closID");

	if (id && !streq(id, "/") &&
	    (strlen(id) > CLOSID_MAX || streq(id, ".") || streq(id, "..") || strpbrk(id, "/\n")))
		return err_set(err, OCISPEC_E_INVALID, "intelRdt: invalid closID");
	return 0;
}

static int check_edits(const struct json *edits, struct ocispec_error *err)
{
	static const struct {
		const char *member;
		int (*check)(const struct json *element, struct ocispec_error *err);
	} lists[] = {
		{ "deviceNodes", check_node }, { "hooks", check_hook }, { "mounts", check_mount },
	};
	int r = check_env(json_get(edits, "env"), "env", err);

	for (size_t i = 0; !r && i < ARRAY_SIZE(lists); i++) {
		json_foreach(e, json_get(edits, lists[i].member)) {
			r = lists[i].check(e, err);
			if (r)
				return r;
		}
	}
	if (!r)
		r = check_rdt(json_get(edits, "intelRdt"), err);
	return r ? r : check_net_devices(json_get(edits, "netDevices"), err);
}

/* ---- versions ---- */

static bool has(const struct json *o, const char *member)
{
	const struct json *v = json_get(o, member);

	return v && v->type != JSON_NULL && (v->type != JSON_ARRAY || v->count);
}

static bool any_has(const struct json *list, const char *member)
{
	json_foreach(e, list) {
		const char *text = json_get_string(e, member);

		if (text && *text)
			return true;
	}
	return false;
}

/* The first version that has everything these edits use. */
static struct release edits_need(const struct json *edits)
{
	const struct json *rdt = json_get(edits, "intelRdt");

	if (has(rdt, "schemata") || json_get_bool(rdt, "enableMonitoring", false) || has(edits, "netDevices"))
		return (struct release){ 1, 1, 0 };
	if (has(edits, "intelRdt") || has(edits, "additionalGids"))
		return (struct release){ 0, 7, 0 };
	if (any_has(json_get(edits, "deviceNodes"), "hostPath"))
		return (struct release){ 0, 5, 0 };
	if (any_has(json_get(edits, "mounts"), "type"))
		return (struct release){ 0, 4, 0 };
	return (struct release){ 0, 3, 0 };
}

static bool annotated(const struct json *o)
{
	const struct json *map = json_get(o, "annotations");

	return map && map->count;
}

static void raise(struct release *r, struct release to)
{
	if (release_compare(&to, r) > 0)
		*r = to;
}

static struct release needed(const struct json *root)
{
	struct release r = edits_need(json_get(root, "containerEdits"));
	const char *kind = json_get_string(root, "kind"), *class = kind ? strchr(kind, '/') : NULL;

	if (annotated(root) || (class && strchr(class, '.')))
		raise(&r, (struct release){ 0, 6, 0 });
	json_foreach(d, json_get(root, "devices")) {
		const char *name = json_get_string(d, "name");

		raise(&r, edits_need(json_get(d, "containerEdits")));
		if (annotated(d))
			raise(&r, (struct release){ 0, 6, 0 });
		if (name && *name >= '0' && *name <= '9')
			raise(&r, (struct release){ 0, 5, 0 });
	}
	return r;
}

static int check_version(const struct json *root, struct ocispec_error *err)
{
	const char *text = json_get_string(root, "cdiVersion");
	struct release min = needed(root);

	if (text && *text == 'v')
		text++;
	for (size_t i = 0; text && i < ARRAY_SIZE(versions); i++) {
		if (!streq(versions[i].version, text))
			continue;
		if (release_compare(&versions[i].release, &min) >= 0)
			return 0;
		return err_set(err, OCISPEC_E_INVALID, "the spec version must be at least v%u.%u.%u", min.major,
			       min.minor, min.patch);
	}
	return err_set(err, OCISPEC_E_INVALID, "invalid version \"%s\"", text ? text : "");
}

/* ---- devices ---- */

static bool is_empty(const struct json *edits)
{
	json_foreach(m, edits)
		if (m->type != JSON_NULL && m->count)
			return false;
	return !has(edits, "intelRdt");
}

static int check_device(const struct json *device, struct ocispec_error *err)
{
	const char *name = json_get_string(device, "name");
	int r;

	if (!name || !name_valid(name, strlen(name), true))
		return err_set(err, OCISPEC_E_INVALID, "invalid device name \"%s\"", name ? name : "");
	if (is_empty(json_get(device, "containerEdits")))
		return err_set(err, OCISPEC_E_INVALID, "device \"%s\": empty device edits", name);
	r = check_edits(json_get(device, "containerEdits"), err);
	if (r)
		return err_ctx(err, r, "device \"%s\"", name);
	for (const struct json *o = device->next; o; o = o->next) {
		const char *other = json_get_string(o, "name");

		if (other && streq(other, name))
			return err_set(err, OCISPEC_E_INVALID, "multiple device \"%s\"", name);
	}
	return 0;
}

int cdi_check(const struct ocispec *doc, struct ocispec_error *err)
{
	const struct json *root = json_root(doc->doc), *devices = json_get(root, "devices");
	const char *kind = json_get_string(root, "kind");
	int r = check_version(root, err);

	if (r)
		return r;
	if (!kind || !kind_valid(kind, strlen(kind)))
		return err_set(err, OCISPEC_E_INVALID, "kind \"%s\" is not vendor/class", kind ? kind : "");
	r = check_edits(json_get(root, "containerEdits"), err);
	if (r)
		return r;
	if (!devices || !devices->count)
		return err_set(err, OCISPEC_E_INVALID, "no devices");
	json_foreach(d, devices) {
		r = check_device(d, err);
		if (r)
			return r;
	}
	return 0;
}
