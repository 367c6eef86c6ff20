/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A document: made with the defaults of the runtime-tools generator, or read from bytes that may be
 * hostile, and printed. Nothing is printed that could not be read again: the size limit holds both
 * ways.
 */
#include "private.h"

struct default_mount {
	const char *destination, *type, *source;
	const char *options[8];
};

/* clang-format off */
static const struct default_mount default_mounts[] = {
	{ "/proc", "proc", "proc", { "nosuid", "noexec", "nodev" } },
	{ "/dev", "tmpfs", "tmpfs", { "nosuid", "strictatime", "mode=755", "size=65536k" } },
	{ "/dev/pts", "devpts", "devpts",
	  { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" } },
	{ "/dev/shm", "tmpfs", "shm", { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" } },
	{ "/dev/mqueue", "mqueue", "mqueue", { "nosuid", "noexec", "nodev" } },
	{ "/sys", "sysfs", "sysfs", { "nosuid", "noexec", "nodev", "ro" } },
};
/* clang-format on */

static const char *const default_namespaces[] = { "pid", "network", "ipc", "uts", "mount" };

/*
 * Written out even though callers replace them: a runtime that finds no list at all may leave the
 * container every capability it has itself. Never inheritable, never ambient.
 */
/* clang-format off */
static const char *const default_capabilities[] = {
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
	"CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
	"CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE", NULL
};
/* clang-format on */

static int default_process(struct ocispec *s)
{
	static const char *const args[] = { "sh", NULL };
	int r;

	if ((r = ocispec_set_user(s, 0, 0, NULL, 0)) || (r = ocispec_set_args(s, args)) ||
	    (r = ocispec_set_env(s, "PATH",
				 "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")) ||
	    (r = ocispec_set_env(s, "TERM", "xterm")) || (r = ocispec_set_cwd(s, "/")) ||
	    (r = ocispec_set_rlimit(s, "RLIMIT_NOFILE", 1024, 1024)))
		return r;
	return ocispec_set_capabilities(
		s, OCISPEC_CAP_BOUNDING | OCISPEC_CAP_EFFECTIVE | OCISPEC_CAP_PERMITTED,
		default_capabilities);
}

static int default_document(struct ocispec *s)
{
	int r;

	if ((r = ocispec_set_version(s, OCISPEC_VERSION_DEFAULT)) || (r = default_process(s)) ||
	    (r = ocispec_set_root(s, "rootfs", 0)))
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(default_mounts); i++) {
		const struct default_mount *m = &default_mounts[i];

		r = ocispec_set_mount(s, m->destination, m->type, m->source, m->options);
		if (r)
			return r;
	}
	r = ocispec_add_device_rule(s, 0, 'a', -1, -1, "rwm");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(default_namespaces); i++)
		r = ocispec_set_namespace(s, default_namespaces[i], NULL);
	return r;
}

PUBLIC struct ocispec *ocispec_free(struct ocispec *s)
{
	if (s)
		json_doc_free(s->doc);
	if (s)
		mount_index_free(s->mounts);
	free(s);
	return NULL;
}

PUBLIC int ocispec_new_as(int kind, struct ocispec **ret)
{
	_cleanup_(ocispec_freep) struct ocispec *s = NULL;

	if (!ret || !shape_of_kind(kind))
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->shape = shape_of_kind(kind);
	s->doc = json_doc_new();
	if (!s->doc)
		return -ENOMEM;
	*ret = take(s);
	return 0;
}

PUBLIC int ocispec_new(struct ocispec **ret)
{
	_cleanup_(ocispec_freep) struct ocispec *s = NULL;
	int r;

	if (!ret)
		return -EINVAL;
	r = ocispec_new_as(OCISPEC_CONFIG, &s);
	if (!r)
		r = default_document(s);
	if (r)
		return r;
	*ret = take(s);
	return 0;
}

int document_parse(const char *bytes, size_t len, struct json_doc **ret, struct ocispec_error *err)
{
	struct cb_error why = { 0 };
	int r;

	if (len > OCISPEC_DOCUMENT_MAX)
		return err_set(err, OCISPEC_E_LIMIT, "document is larger than %u bytes",
			       OCISPEC_DOCUMENT_MAX);
	if (!utf8_valid(bytes, len)) /* the parser lets some overlong sequences pass */
		return err_set(err, OCISPEC_E_INVALID, "not UTF-8");
	r = json_parse(bytes, len, JSON_UNIQUE_KEYS, ret, &why);
	if (r == -EINVAL)
		return err_set(err, OCISPEC_E_INVALID, "not a JSON document: %s", why.message);
	if (r)
		return err_sysr(err, r, "read document");
	return 0;
}

/* YAML never begins so, but for JSON in a YAML file; and what does may be more than megabytes long. */
static bool looks_like_json(const char *bytes, size_t len)
{
	size_t i = 0;

	while (i < len && memchr(" \t\r\n", bytes[i], 4))
		i++;
	return i < len && bytes[i] == '{';
}

static int parse_any(int kind, const char *bytes, size_t len, struct json_doc **ret,
		     struct ocispec_error *err)
{
	_cleanup_free_ char *json = NULL;
	int r;

	if (kind != OCISPEC_CDI || looks_like_json(bytes, len))
		return document_parse(bytes, len, ret, err);
	r = module_yaml_to_json(bytes, len, &json, err);
	return r ? r : document_parse(json, strlen(json), ret, err);
}

PUBLIC int ocispec_parse_as(int kind, const char *bytes, size_t len, struct ocispec **ret,
			    struct ocispec_error *err)
{
	_cleanup_(ocispec_freep) struct ocispec *s = NULL;
	int r;

	if (!bytes || !ret || !shape_of_kind(kind))
		return err_sysr(err, -EINVAL, "read document");
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->shape = shape_of_kind(kind);
	r = parse_any(kind, bytes, len, &s->doc, err);
	if (r)
		return r;
	r = shape_check(json_root(s->doc), s->shape, kind == OCISPEC_CDI, err);
	if (r)
		return r;
	*ret = take(s);
	return 0;
}

PUBLIC int ocispec_parse(const char *bytes, size_t len, struct ocispec **ret,
			 struct ocispec_error *err)
{
	return ocispec_parse_as(OCISPEC_CONFIG, bytes, len, ret, err);
}

int document_print(const struct ocispec *s, const struct json *v, int flags, char **ret, size_t *ret_len)
{
	_cleanup_str_ struct str out = STR_INIT;
	size_t len;
	char *text;
	int r;

	r = json_format(s->doc, v, flags & OCISPEC_FORMAT_INDENT ? JSON_INDENT_TAB : 0, &out);
	if (r)
		return r;
	if (out.len > OCISPEC_DOCUMENT_MAX)
		return OCISPEC_E_LIMIT;
	text = str_take(&out, &len);
	if (!text)
		return -ENOMEM;
	*ret = text;
	if (ret_len)
		*ret_len = len;
	return 0;
}

PUBLIC int ocispec_format(const struct ocispec *s, int flags, char **ret, size_t *ret_len)
{
	const struct json *v;

	if (!s || !ret)
		return -EINVAL;
	v = json_root(s->doc);
	if (flags & OCISPEC_FORMAT_PROCESS)
		v = json_get(v, "process");
	if (!v || v->type != JSON_OBJECT)
		return OCISPEC_E_NOT_FOUND;
	return document_print(s, v, flags, ret, ret_len);
}

PUBLIC int ocispec_set_version(struct ocispec *s, const char *version)
{
	if (!s || !version)
		return -EINVAL;
	if (!*version || !text_printable(version))
		return OCISPEC_E_INVALID;
	place_put_string(place_root(s), "ociVersion", version);
	return place_result(s);
}

PUBLIC int ocispec_set_hostname(struct ocispec *s, const char *name)
{
	if (!s)
		return -EINVAL;
	if (name && !text_printable(name))
		return OCISPEC_E_INVALID;
	place_put_string(place_root(s), "hostname", name);
	return place_result(s);
}

PUBLIC const char *ocispec_get_hostname(const struct ocispec *s)
{
	return s ? json_get_string(json_root(s->doc), "hostname") : NULL;
}

PUBLIC int ocispec_add_hook(struct ocispec *s, const char *stage, const char *path, const char *const *args,
			    const char *const *env, int timeout)
{
	struct place hooks, hook;

	if (!s || !stage || !path)
		return -EINVAL;
	if (shape_index(shape_hooks, stage) < 0 || !path_absolute(path) || !text_list_valid(args) ||
	    !text_list_valid(env) || timeout < 0)
		return OCISPEC_E_INVALID;
	hooks = place_child(place_root(s), "hooks");
	hook = place_element(hooks, stage);
	place_put_string(hook, "path", path);
	place_put_strings(hook, "args", args);
	place_put_strings(hook, "env", env);
	if (timeout)
		place_put_int(hook, "timeout", timeout);
	json_append(s->doc, place_array(hooks, stage), hook.obj);
	return place_result(s);
}

PUBLIC int ocispec_set_root(struct ocispec *s, const char *path, int readonly)
{
	struct place root;

	if (!s || !path)
		return -EINVAL;
	if (!*path || !text_valid(path))
		return OCISPEC_E_INVALID;
	root = place_child(place_root(s), "root");
	place_put_string(root, "path", path);
	place_put_bool(root, "readonly", readonly);
	return place_result(s);
}

PUBLIC const char *ocispec_get_root(const struct ocispec *s)
{
	return s ? json_string(json_path(json_root(s->doc), "root", "path", NULL)) : NULL;
}
