/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process object: what runs, as whom, with which limits and rights.
 */
#include "private.h"

#define OOM_SCORE_ADJ_MIN (-1000)
#define OOM_SCORE_ADJ_MAX 1000
#define UMASK_MAX 0777
#define GROUPS_MAX 65536 /* NGROUPS_MAX of the kernel */

static struct place process(struct ocispec *s)
{
	return place_child(place_root(s), "process");
}

static const struct json *process_get(const struct ocispec *s, const char *member)
{
	return s ? json_path(json_root(s->doc), "process", member, NULL) : NULL;
}

PUBLIC int ocispec_set_args(struct ocispec *s, const char *const *args)
{
	if (!s || !args)
		return -EINVAL;
	if (!text_list_valid(args))
		return OCISPEC_E_INVALID;
	place_put_strings(process(s), "args", args);
	return place_result(s);
}

PUBLIC int ocispec_set_cwd(struct ocispec *s, const char *cwd)
{
	if (!s || !cwd)
		return -EINVAL;
	if (!path_absolute(cwd))
		return OCISPEC_E_INVALID;
	place_put_string(process(s), "cwd", cwd);
	return place_result(s);
}

PUBLIC int ocispec_set_terminal(struct ocispec *s, int terminal)
{
	if (!s)
		return -EINVAL;
	place_put_bool(process(s), "terminal", terminal);
	return place_result(s);
}

PUBLIC int ocispec_get_terminal(const struct ocispec *s)
{
	const struct json *v = process_get(s, "terminal");

	return v && v->type == JSON_BOOL && v->boolean;
}

/* Is this entry "NAME=..." or just "NAME"? */
static bool env_is(const struct json *entry, const char *name, size_t len)
{
	const char *text = json_string(entry);

	return text && strncmp(text, name, len) == 0 && (text[len] == '=' || text[len] == 0);
}

PUBLIC int ocispec_set_env(struct ocispec *s, const char *name, const char *value)
{
	_cleanup_free_ char *entry = NULL;
	struct json *env, *v;

	if (!s || !name)
		return -EINVAL;
	if (!*name || strchr(name, '=') || !text_valid(name) || (value && !text_valid(value)))
		return OCISPEC_E_INVALID;
	entry = strf("%s%s%s", name, value ? "=" : "", value ? value : "");
	if (!entry)
		return -ENOMEM;
	env = place_array(process(s), "env");
	v = json_new_string(s->doc, entry);
	if (!env || !v)
		return -ENOMEM;
	json_foreach(old, env) {
		if (!env_is(old, name, strlen(name)))
			continue;
		old->string = v->string;
		old->len = v->len;
		return place_result(s);
	}
	json_append(s->doc, env, v);
	return place_result(s);
}

PUBLIC int ocispec_clear_env(struct ocispec *s)
{
	if (!s)
		return -EINVAL;
	place_remove(process(s), "env");
	return place_result(s);
}

PUBLIC int ocispec_set_user(struct ocispec *s, uint32_t uid, uint32_t gid, const uint32_t *groups,
			    size_t n)
{
	struct place user;
	struct json *list;
	char digits[16];

	if (!s || (n && !groups))
		return -EINVAL;
	if (n > GROUPS_MAX)
		return OCISPEC_E_LIMIT;
	user = place_child(process(s), "user");
	place_put_uint(user, "uid", uid);
	place_put_uint(user, "gid", gid);
	place_remove(user, "additionalGids");
	list = n ? place_array(user, "additionalGids") : NULL;
	for (size_t i = 0; i < n; i++) {
		snprintf(digits, sizeof(digits), "%u", groups[i]);
		json_append(s->doc, list, json_new_number(s->doc, digits));
	}
	return place_result(s);
}

PUBLIC int ocispec_get_user(const struct ocispec *s, uint32_t *ret_uid, uint32_t *ret_gid)
{
	const struct json *user = process_get(s, "user");

	if (!s)
		return -EINVAL;
	if (!user || user->type != JSON_OBJECT)
		return OCISPEC_E_NOT_FOUND;
	if (ret_uid)
		*ret_uid = (uint32_t)json_get_int(user, "uid", 0);
	if (ret_gid)
		*ret_gid = (uint32_t)json_get_int(user, "gid", 0);
	return 0;
}

PUBLIC size_t ocispec_get_groups(const struct ocispec *s, uint32_t *groups, size_t max)
{
	const struct json *list = json_get(process_get(s, "user"), "additionalGids");
	int64_t gid = 0;
	size_t n = 0;

	json_foreach(g, list) {
		if (n < max && groups && json_int(g, &gid) == 0)
			groups[n] = (uint32_t)gid;
		n++;
	}
	return n;
}

PUBLIC int ocispec_set_umask(struct ocispec *s, uint32_t umask)
{
	if (!s)
		return -EINVAL;
	if (umask > UMASK_MAX)
		return OCISPEC_E_INVALID;
	place_put_uint(place_child(process(s), "user"), "umask", umask);
	return place_result(s);
}

PUBLIC int ocispec_set_no_new_privileges(struct ocispec *s, int on)
{
	if (!s)
		return -EINVAL;
	place_put_bool(process(s), "noNewPrivileges", on);
	return place_result(s);
}

PUBLIC int ocispec_set_oom_score_adj(struct ocispec *s, int value)
{
	if (!s)
		return -EINVAL;
	if (value < OOM_SCORE_ADJ_MIN || value > OOM_SCORE_ADJ_MAX)
		return OCISPEC_E_INVALID;
	place_put_int(process(s), "oomScoreAdj", value);
	return place_result(s);
}

bool rlimit_known(const char *type)
{
	static const char *const known[] = {
		"AS",	"CORE",	  "CPU",   "DATA", "FSIZE",  "LOCKS",  "MEMLOCK",    "MSGQUEUE",
		"NICE", "NOFILE", "NPROC", "RSS",  "RTPRIO", "RTTIME", "SIGPENDING", "STACK",
	};

	if (!str_starts(type, "RLIMIT_"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(type + strlen("RLIMIT_"), known[i]))
			return true;
	return false;
}

PUBLIC int ocispec_set_rlimit(struct ocispec *s, const char *type, uint64_t soft, uint64_t hard)
{
	struct place limit, p;

	if (!s || !type)
		return -EINVAL;
	if (!rlimit_known(type) || soft > hard)
		return OCISPEC_E_INVALID;
	p = process(s);
	limit = place_element(p, "rlimits");
	place_put_string(limit, "type", type);
	place_put_uint(limit, "hard", hard);
	place_put_uint(limit, "soft", soft);
	array_upsert(s->doc, place_array(p, "rlimits"), "type", limit.obj);
	return place_result(s);
}

PUBLIC int ocispec_clear_rlimits(struct ocispec *s)
{
	if (!s)
		return -EINVAL;
	place_remove(process(s), "rlimits");
	return place_result(s);
}

static int set_process_text(struct ocispec *s, const char *member, const char *value)
{
	if (!s)
		return -EINVAL;
	if (value && !text_printable(value))
		return OCISPEC_E_INVALID;
	place_put_string(process(s), member, value);
	return place_result(s);
}

PUBLIC int ocispec_set_selinux_label(struct ocispec *s, const char *label)
{
	return set_process_text(s, "selinuxLabel", label);
}

PUBLIC int ocispec_set_apparmor_profile(struct ocispec *s, const char *name)
{
	return set_process_text(s, "apparmorProfile", name);
}
