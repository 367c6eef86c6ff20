/* SPDX-License-Identifier: Apache-2.0 */
/* What the options of generate do to the document. Each complains about its own value. */
#include <errno.h>
#include "spec_tool.h"

/* The exit status for what a setter returned. */
static int result(int r, const char *option, const char *value)
{
	if (r == 0)
		return 0;
	if (r == -ENOMEM)
		complain("out of memory");
	else if (r == OCISPEC_E_NOT_FOUND)
		complain("--%s %s: there is none in the document", option, value);
	else
		complain("--%s: \"%s\" is not a valid value", option, value);
	return r == -ENOMEM ? EXIT_FAILURE : EXIT_USAGE;
}

/* For each element of an option that can be given several times. */
static int each(struct ocispec *s, char *const *list, const char *option, int (*set)(struct ocispec *s, char *value))
{
	_cleanup_free_ char *copy = NULL;
	int r = 0;

	for (; !r && list && *list; list++) {
		free(copy);
		copy = strdup(*list);
		r = result(copy ? set(s, copy) : -ENOMEM, option, *list);
	}
	return r;
}

/* Cuts value at the first separator; NULL: there is none. */
static char *cut(char *value, char separator)
{
	char *at = value ? strchr(value, separator) : NULL;

	if (at)
		*at++ = 0;
	return at;
}

static int set_env(struct ocispec *s, char *v)
{
	char *value = cut(v, '=');

	return ocispec_set_env(s, v, value ? value : getenv(v));
}

static int set_mount_options(struct ocispec *s, const char *path, const char *type, const char *source,
			     const char *first, const char *list)
{
	_cleanup_strv_ char **options = NULL;
	int r = strv_split(list ? list : "", ',', &options);

	if (!r && first && !(options && (strv_has(options, "bind") || strv_has(options, "rbind"))))
		r = strv_push(&options, first);
	return r ? r : ocispec_set_mount(s, path, type, source, (const char *const *)options);
}

static int set_bind(struct ocispec *s, char *v)
{
	char *path = cut(v, ':'), *options = cut(path, ':');

	return path && *v ? set_mount_options(s, path, "bind", v, "rbind", options) : OCISPEC_E_INVALID;
}

static int set_tmpfs(struct ocispec *s, char *v)
{
	char *options = cut(v, ':');

	return set_mount_options(s, v, "tmpfs", "tmpfs", NULL, options);
}

static int set_namespace(struct ocispec *s, char *v)
{
	char *path = cut(v, '=');

	return ocispec_set_namespace(s, v, path);
}

static int drop_namespace(struct ocispec *s, char *v)
{
	return ocispec_remove_namespace(s, v);
}

static int number(const char *s, uint64_t *ret)
{
	long long n;

	if (streq(s, "unlimited") || streq(s, "-1")) {
		*ret = UINT64_MAX;
		return 0;
	}
	if (str_to_i64(s, &n) || n < 0)
		return OCISPEC_E_INVALID;
	*ret = (uint64_t)n;
	return 0;
}

static int set_rlimit(struct ocispec *s, char *v)
{
	char *soft = cut(v, '='), *hard = cut(soft, ':');
	_cleanup_free_ char *type = strf("%s%s", str_starts(v, "RLIMIT_") ? "" : "RLIMIT_", v);
	uint64_t a, b;

	if (!type)
		return -ENOMEM;
	if (!soft || number(soft, &a) || number(hard ? hard : soft, &b))
		return OCISPEC_E_INVALID;
	return ocispec_set_rlimit(s, type, a, b);
}

static int set_sysctl(struct ocispec *s, char *v)
{
	char *value = cut(v, '=');

	return value ? ocispec_set_sysctl(s, v, value) : OCISPEC_E_INVALID;
}

static int set_annotation(struct ocispec *s, char *v)
{
	char *value = cut(v, '=');

	return ocispec_set_annotation(s, v, value ? value : "");
}

/* What is not JSON, or JSON of another type than the member's, is text. */
static int set_any(struct ocispec *s, char *v)
{
	char *value = cut(v, '=');
	int r;

	if (!value)
		return OCISPEC_E_INVALID;
	r = ocispec_set_json(s, v, value, strlen(value), NULL);
	return r > 0 ? ocispec_set_text(s, v, value) : r;
}

static int set_user(struct ocispec *s, const char *value)
{
	_cleanup_free_ char *copy = strdup(value);
	char *gid = cut(copy, ':'), *groups = cut(gid, ':');
	_cleanup_strv_ char **list = NULL;
	uint32_t more[64];
	size_t n = 0;
	uint64_t u = 0, g = 0, x;

	if (!copy || strv_split(groups ? groups : "", ',', &list))
		return -ENOMEM;
	if (number(copy, &u) || u > UINT32_MAX || (gid && (number(gid, &g) || g > UINT32_MAX)))
		return OCISPEC_E_INVALID;
	for (char **p = list; p && *p; p++) {
		if (n == ARRAY_SIZE(more) || number(*p, &x) || x > UINT32_MAX)
			return OCISPEC_E_INVALID;
		more[n++] = (uint32_t)x;
	}
	return ocispec_set_user(s, (uint32_t)u, (uint32_t)g, more, n);
}

/* ---- capabilities: the bounding set of the document, changed, in the three usual sets ---- */

static int drop_caps(char ***caps, char *const *names)
{
	for (; names && *names; names++) {
		const char *name = ocispec_capability_name(*names);

		if (strcasecmp(*names, "ALL") == 0) {
			*caps = strv_free(*caps);
			continue;
		}
		if (!name)
			return OCISPEC_E_INVALID;
		for (char **p = *caps; p && *p; p++) {
			if (!streq(*p, name))
				continue;
			free(*p);
			for (char **q = p; *q; q++)
				q[0] = q[1];
			break;
		}
	}
	return 0;
}

static int add_caps(char ***caps, char *const *names)
{
	const char *name;
	int r = 0;

	for (; !r && names && *names; names++) {
		if (strcasecmp(*names, "ALL") == 0) {
			for (unsigned i = 0; !r && (name = ocispec_capability_by_number(i)); i++)
				r = strv_push(caps, name);
			continue;
		}
		name = ocispec_capability_name(*names);
		r = name ? strv_push(caps, name) : OCISPEC_E_INVALID;
	}
	return r;
}

static int set_caps(struct ocispec *s, const struct generate_options *o)
{
	const int sets = OCISPEC_CAP_BOUNDING | OCISPEC_CAP_EFFECTIVE | OCISPEC_CAP_PERMITTED;
	_cleanup_strv_ char **caps = NULL;
	const char *name;
	int r = 0;

	if (!o->cap_add && !o->cap_drop)
		return 0;
	for (size_t i = 0; !r && (name = ocispec_get_item(s, "process.capabilities.bounding", i)); i++)
		r = strv_push(&caps, name);
	if (!r)
		r = result(drop_caps(&caps, o->cap_drop), "cap-drop", "the list");
	if (!r)
		r = result(add_caps(&caps, o->cap_add), "cap-add", "the list");
	return r ? r : result(ocispec_set_capabilities(s, sets, (const char *const *)caps), "cap-add", "the list");
}

static int set_resources(struct ocispec *s, const struct generate_options *o)
{
	uint64_t limit;
	int r = 0;

	if (o->memory) {
		r = number(o->memory, &limit) || limit > INT64_MAX ? OCISPEC_E_INVALID :
			ocispec_set_memory(s, (int64_t)limit, (int64_t)limit);
		r = result(r, "memory", o->memory);
	}
	if (!r && (o->cpu_shares || o->cpu_quota || o->cpu_period))
		r = result(ocispec_set_cpu(s, (uint64_t)o->cpu_shares, o->cpu_quota, (uint64_t)o->cpu_period, NULL, NULL),
			   "cpu-shares", "?");
	if (!r && o->pids_limit)
		r = result(ocispec_set_pids_limit(s, o->pids_limit), "pids-limit", "?");
	return r;
}

static int set_flags(struct ocispec *s, const struct generate_options *o)
{
	const char *root = o->rootfs ? o->rootfs : ocispec_get_root(s);
	int r = 0;

	if (o->rootfs || o->readonly)
		r = result(ocispec_set_root(s, root ? root : "rootfs", o->readonly), "rootfs", root ? root : "");
	if (!r && o->clear_env)
		r = ocispec_clear_env(s);
	if (!r && o->clear_mounts)
		r = ocispec_unset(s, "mounts");
	if (!r && o->tty)
		r = ocispec_set_terminal(s, 1);
	if (!r && o->no_new_privileges)
		r = ocispec_set_no_new_privileges(s, 1);
	return r ? EXIT_FAILURE : 0;
}

int options_apply(struct ocispec *s, const struct generate_options *o)
{
	const struct {
		const char *option, *value;
		int (*set)(struct ocispec *s, const char *value);
	} texts[] = {
		{ "hostname", o->hostname, ocispec_set_hostname }, { "cwd", o->cwd, ocispec_set_cwd },
		{ "user", o->user, set_user },			   { "cgroup", o->cgroup, ocispec_set_cgroups_path },
		{ "propagation", o->propagation, ocispec_set_rootfs_propagation },
	};
	const struct {
		const char *option;
		char *const *values;
		int (*set)(struct ocispec *s, char *value);
	} lists[] = {
		{ "env", o->env, set_env },		     { "mount", o->mounts, set_bind },
		{ "tmpfs", o->tmpfs, set_tmpfs },	     { "namespace", o->namespaces, set_namespace },
		{ "no-namespace", o->no_namespaces, drop_namespace }, { "rlimit", o->rlimits, set_rlimit },
		{ "sysctl", o->sysctls, set_sysctl },	     { "annotation", o->annotations, set_annotation },
		{ "set", o->sets, set_any },
	};
	int r = set_flags(s, o);

	for (size_t i = 0; !r && i < ARRAY_SIZE(texts); i++)
		if (texts[i].value)
			r = result(texts[i].set(s, texts[i].value), texts[i].option, texts[i].value);
	if (!r && o->domainname)
		r = result(ocispec_set_text(s, "domainname", o->domainname), "domainname", o->domainname);
	if (!r && o->masked)
		r = result(ocispec_set_masked_paths(s, (const char *const *)o->masked), "mask", o->masked[0]);
	if (!r && o->readonly_paths)
		r = result(ocispec_set_readonly_paths(s, (const char *const *)o->readonly_paths), "readonly-path",
			   o->readonly_paths[0]);
	if (!r)
		r = set_caps(s, o);
	if (!r)
		r = set_resources(s, o);
	for (size_t i = 0; !r && i < ARRAY_SIZE(lists); i++)
		r = each(s, lists[i].values, lists[i].option, lists[i].set);
	return r;
}
