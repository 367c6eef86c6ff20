/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CDI devices into a document: first all edits are collected in order (those of a specification once,
 * before its first device), then made, kind by kind, as the reference implementation does. A device
 * that cannot be had stops everything before anything is changed; what a device node does not say
 * about itself is asked of the host.
 */
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "cdi.h"

#define CDI_INJECT_MAX 1024

struct edits {
	const struct json *list[2 * CDI_INJECT_MAX];
	size_t n;
};

/* The elements of one member over all collected edits. */
#define edits_foreach(item, e, member) \
	for (size_t edit_ = 0; edit_ < (e)->n; edit_++) \
		json_foreach(item, json_get((e)->list[edit_], member))

/* ---- device nodes ---- */

struct node {
	const char *path, *host;
	char type[2];
	int64_t major, minor;
	const struct json *mode, *uid, *gid;
	uint32_t host_mode;
	bool has_host_mode;
};

static char type_of(mode_t mode)
{
	return S_ISBLK(mode) ? 'b' : S_ISCHR(mode) ? 'c' : S_ISFIFO(mode) ? 'p' : 0;
}

/* "Minimally specified" nodes need not exist here. */
static int ask_host(struct node *n, struct ocispec_error *err)
{
	bool specified = n->type[0] && (n->major || n->type[0] == 'p');
	struct stat st;
	char type;

	if (lstat(n->host, &st) < 0)
		return specified ? 0 : err_set(err, OCISPEC_E_NOT_FOUND, "CDI host device %s: %s", n->host, strerror(errno));
	type = type_of(st.st_mode);
	if (!type)
		return specified ? 0 : err_set(err, OCISPEC_E_NOT_FOUND, "CDI host device %s: not a device node", n->host);
	n->host_mode = st.st_mode & ~(mode_t)S_IFMT;
	n->has_host_mode = true;
	if (specified)
		return 0;
	if (n->type[0] && n->type[0] != type)
		return err_set(err, OCISPEC_E_INVALID, "CDI device %s: it is of type %s, %s on the host of type %c", n->path,
			       n->type, n->host, type);
	n->type[0] = type;
	if (type != 'p' && !n->major) {
		n->major = major(st.st_rdev);
		n->minor = minor(st.st_rdev);
	}
	return 0;
}

/* NULL as well as JSON's null is not there. */
static const struct json *given(const struct json *o, const char *member)
{
	const struct json *v = json_get(o, member);

	return v && v->type == JSON_NULL ? NULL : v;
}

static void put_owner(struct place device, const char *member, const struct json *v, const struct json *user)
{
	const struct json *own = v ? v : json_get(user, member);

	if (own && own->type == JSON_NUMBER && (v || !streq(own->string, "0")))
		place_put(device, member, json_copy(device.doc, own));
}

static void put_node(struct ocispec *s, const struct node *n, const char *access)
{
	struct place l = place_child(place_root(s), "linux"), rules = place_child(l, "resources");
	struct place device = place_element(l, "devices"), rule = place_element(rules, "devices");
	struct json *list = place_array(l, "devices"), *old = array_find(list, "path", n->path);

	place_put_string(device, "path", n->path);
	place_put_string(device, "type", n->type);
	place_put_int(device, "major", n->major);
	place_put_int(device, "minor", n->minor);
	if (n->mode)
		place_put(device, "fileMode", json_copy(s->doc, n->mode));
	else if (n->has_host_mode)
		place_put_uint(device, "fileMode", n->host_mode);
	put_owner(device, "uid", n->uid, path_get(s, "process.user"));
	put_owner(device, "gid", n->gid, path_get(s, "process.user"));
	if (old)
		json_remove_item(list, old);
	json_append(s->doc, list, device.obj);
	if (n->type[0] != 'b' && n->type[0] != 'c')
		return;
	place_put(rule, "allow", json_new_bool(s->doc, true));
	place_put_string(rule, "type", n->type);
	place_put_int(rule, "major", n->major);
	place_put_int(rule, "minor", n->minor);
	place_put_string(rule, "access", streq(access, "none") ? "" : *access ? access : "rwm");
	json_append(s->doc, place_array(rules, "devices"), rule.obj);
}

static int inject_node(struct ocispec *s, const struct json *d, struct ocispec_error *err)
{
	const char *type = json_get_string(d, "type"), *access = json_get_string(d, "permissions");
	const char *host = json_get_string(d, "hostPath");
	struct node n = {
		.path = json_get_string(d, "path"),
		.type = { type ? *type : 0 },
		.major = json_get_int(d, "major", 0),
		.minor = json_get_int(d, "minor", 0),
		.mode = given(d, "fileMode"), .uid = given(d, "uid"), .gid = given(d, "gid"),
	};
	int r;

	n.host = host && *host ? host : n.path;
	r = ask_host(&n, err);
	if (!r)
		put_node(s, &n, access ? access : "");
	return r;
}

/* ---- everything else ---- */

static int inject_env(struct ocispec *s, const struct edits *e, struct ocispec_error *err)
{
	_cleanup_free_ char *copy = NULL;
	char *equals;
	int r;

	edits_foreach(v, e, "env") {
		free(copy);
		copy = strdup(v->string);
		if (!copy)
			return err_oom(err);
		equals = strchr(copy, '=');
		*equals = 0;
		r = ocispec_set_env(s, copy, equals + 1);
		if (r)
			return err_set(err, r, "environment variable %s", copy);
	}
	return 0;
}

static bool has_text(const struct json *list, const char *text)
{
	json_foreach(e, list)
		if (json_string(e) && streq(e->string, text))
			return true;
	return false;
}

/* What makes a bind mount show the container's ids in a user namespace; NULL: it does already. */
static const char *id_map_option(const struct json *mount)
{
	const struct json *options = json_get(mount, "options");
	const char *type = json_get_string(mount, "type");

	if (has_text(options, "idmap") || has_text(options, "ridmap"))
		return NULL;
	if (has_text(options, "rbind"))
		return "ridmap";
	return has_text(options, "bind") || (type && streq(type, "bind")) ? "idmap" : NULL;
}

static int inject_mount(struct ocispec *s, const struct json *m, bool user_namespace, struct ocispec_error *err)
{
	const char *to = json_get_string(m, "containerPath");
	_cleanup_strv_ char **options = NULL;
	const char *more = user_namespace ? id_map_option(m) : NULL;
	int r = json_strv(json_get(m, "options"), &options);

	if (!r && more)
		r = strv_push(&options, more);
	if (r)
		return err_oom(err);
	r = ocispec_remove_mount(s, to);
	if (r >= 0)
		r = ocispec_set_mount(s, to, json_get_string(m, "type"), json_get_string(m, "hostPath"),
				      (const char *const *)options);
	return r ? err_set(err, r, "mount %s", to) : 0;
}

static int inject_mounts(struct ocispec *s, const struct edits *e, struct ocispec_error *err)
{
	bool any = false, user = ocispec_get_namespace(s, "user", NULL) == 0;
	int r;

	edits_foreach(m, e, "mounts") {
		any = true;
		r = inject_mount(s, m, user, err);
		if (r)
			return r;
	}
	return any && ocispec_sort_mounts(s) ? err_oom(err) : 0;
}

static void inject_hooks(struct ocispec *s, const struct edits *e)
{
	edits_foreach(h, e, "hooks") {
		struct place hooks = place_child(place_root(s), "hooks");
		struct json *hook = json_copy(s->doc, h);

		if (!hook)
			return;
		json_remove(hook, "hookName");
		json_append(s->doc, place_array(hooks, json_get_string(h, "hookName")), hook);
	}
}

static void inject_rest(struct ocispec *s, const struct edits *e)
{
	struct place l, user;
	const char *host;

	edits_foreach(d, e, "netDevices") {
		l = place_child(place_root(s), "linux");
		host = json_get_string(d, "hostInterfaceName");
		place_put_string(place_child(place_child(l, "netDevices"), host), "name", json_get_string(d, "name"));
	}
	for (size_t i = e->n; i-- > 0;) {
		const struct json *rdt = given(e->list[i], "intelRdt");

		if (!rdt)
			continue;
		place_put(place_child(place_root(s), "linux"), "intelRdt", json_copy(s->doc, rdt));
		break;
	}
	edits_foreach(g, e, "additionalGids") {
		user = place_child(place_child(place_root(s), "process"), "user");
		if (streq(g->string, "0"))
			continue;
		bool known = false;
		json_foreach(have, json_get(user.obj, "additionalGids"))
			known |= have->type == JSON_NUMBER && streq(have->string, g->string);
		if (!known)
			json_append(s->doc, place_array(user, "additionalGids"), json_copy(s->doc, g));
	}
}

static int inject(struct ocispec *s, const struct edits *e, struct ocispec_error *err)
{
	int r = inject_env(s, e, err);

	edits_foreach(d, e, "deviceNodes") {
		r = r ? r : inject_node(s, d, err);
		if (r)
			return r;
	}
	if (!r)
		r = inject_mounts(s, e, err);
	if (r)
		return r;
	inject_hooks(s, e);
	inject_rest(s, e);
	return place_result(s) ? err_oom(err) : 0;
}

/* ---- names ---- */

static int add_name(char ***names, const char *name, size_t len, struct ocispec_error *err)
{
	_cleanup_free_ char *copy = strndup(name, len);

	if (!copy)
		return err_oom(err);
	if (!ocispec_cdi_name_valid(copy))
		return err_set(err, OCISPEC_E_INVALID, "invalid CDI device name \"%s\"", copy);
	if (*names && strv_has(*names, copy))
		return 0;
	if (strv_len(*names) == CDI_INJECT_MAX)
		return err_set(err, OCISPEC_E_LIMIT, "more than %d CDI devices", CDI_INJECT_MAX);
	return strv_take(names, take(copy)) ? err_oom(err) : 0;
}

static int collect_names(const char *const *devices, const char *const *pairs, char ***names,
			 struct ocispec_error *err)
{
	int r = 0;

	for (; !r && devices && *devices; devices++)
		r = add_name(names, *devices, strlen(*devices), err);
	for (; !r && pairs && pairs[0]; pairs += 2) {
		const char *list = str_starts(pairs[0], "cdi.k8s.io/") ? pairs[1] : NULL;

		while (!r && list) {
			r = add_name(names, list, strcspn(list, ","), err);
			list = strchr(list, ',');
			list = list ? list + 1 : NULL;
		}
	}
	return r;
}

static bool has_spec(const struct ocispec_cdi *c, char **names, size_t n, const struct cdi_spec *spec)
{
	for (size_t i = 0; i < n; i++)
		if (cdi_find(c, names[i])->spec == spec)
			return true;
	return false;
}

static int collect_edits(const struct ocispec_cdi *c, char **names, struct edits *e, struct ocispec_error *err)
{
	_cleanup_str_ struct str missing = STR_INIT;
	const struct cdi_device *d;

	for (char **n = names; n && *n; n++)
		if (!cdi_find(c, *n))
			str_appendf(&missing, "%s%s", missing.len ? ", " : "", *n);
	if (missing.len)
		return err_set(err, OCISPEC_E_NOT_FOUND, "unresolvable CDI devices %s", missing.data);
	for (size_t i = 0; names && names[i]; i++) {
		d = cdi_find(c, names[i]);
		if (!has_spec(c, names, i, d->spec))
			e->list[e->n++] = json_get(json_root(d->spec->doc->doc), "containerEdits");
		e->list[e->n++] = d->edits;
	}
	return 0;
}

PUBLIC int ocispec_cdi_inject(const struct ocispec_cdi *c, struct ocispec *s, const char *const *devices,
			      const char *const *annotations, struct ocispec_error *err)
{
	_cleanup_strv_ char **names = NULL;
	_cleanup_free_ struct edits *e = NULL;
	int r;

	if (!c || !s)
		return err_sysr(err, -EINVAL, "inject CDI devices");
	e = calloc(1, sizeof(*e));
	if (!e)
		return err_oom(err);
	r = collect_names(devices, annotations, &names, err);
	if (!r)
		r = collect_edits(c, names, e, err);
	return r ? r : inject(s, e, err);
}
