/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.seccomp from the tables of the default profile: one rule with everything allowed, one with
 * everything refused, and one for each condition on arguments. What the bounding set holds decides
 * about the privileged calls, because a capability that is not in it can never be had.
 */
#include "private.h"
#include "seccomp_profile.h"

struct choice {
	const struct json *bounding;
	struct kernel_version kernel;
};

static bool has_cap(const struct choice *c, const char *cap)
{
	return cap && capability_in(c->bounding, cap);
}

static bool listed(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (streq(*names, name))
			return true;
	return false;
}

int kernel_version_read(const char *version, struct kernel_version *ret)
{
	unsigned long major, minor;
	char *end;

	*ret = (struct kernel_version){ UINT32_MAX, UINT32_MAX };
	if (!version)
		return 0;
	if (*version < '0' || *version > '9')
		return OCISPEC_E_INVALID;
	major = strtoul(version, &end, 10);
	if (*end != '.' || end[1] < '0' || end[1] > '9')
		return OCISPEC_E_INVALID;
	minor = strtoul(end + 1, &end, 10);
	if (major > 65535 || minor > 65535)
		return OCISPEC_E_INVALID;
	*ret = (struct kernel_version){ (unsigned)major, (unsigned)minor };
	return 0;
}

int kernel_version_compare(const struct kernel_version *a, const struct kernel_version *b)
{
	if (a->major != b->major)
		return a->major < b->major ? -1 : 1;
	return a->minor < b->minor ? -1 : a->minor > b->minor;
}

static bool is_since(const struct choice *c, const struct seccomp_since *s)
{
	const struct kernel_version min = { s->major, s->minor };

	return kernel_version_compare(&c->kernel, &min) >= 0;
}

static bool is_allowed(const struct choice *c, const struct seccomp_privileged *p)
{
	return has_cap(c, p->caps[0]) || has_cap(c, p->caps[1]);
}

static void append_rule(struct ocispec *s, struct json *rules, struct place rule)
{
	if (rule.obj)
		json_append(s->doc, rules, rule.obj);
}

static struct place new_rule(struct place seccomp, unsigned errno_ret)
{
	struct place rule = place_element(seccomp, "syscalls");

	place_array(rule, "names");
	place_put_string(rule, "action", errno_ret ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW");
	if (errno_ret)
		place_put_uint(rule, "errnoRet", errno_ret);
	return rule;
}

static void add_name(struct place rule, const char *name)
{
	json_append_string(rule.doc, place_array(rule, "names"), name);
}

static void add_plain_rules(struct ocispec *s, struct place seccomp, const struct choice *c,
			    struct json *rules)
{
	struct place allowed = new_rule(seccomp, 0), refused = new_rule(seccomp, SECCOMP_EPERM);

	for (const char *const *n = seccomp_allowed; *n; n++)
		add_name(allowed, *n);
	for (const char *const *n = seccomp_allowed_here; *n; n++)
		add_name(allowed, *n);
	for (const char *const *n = seccomp_refused; *n; n++)
		if (!listed(seccomp_allowed_here, *n))
			add_name(refused, *n);
	for (const struct seccomp_since *e = seccomp_allowed_since; e->name; e++)
		add_name(is_since(c, e) ? allowed : refused, e->name);
	for (const struct seccomp_privileged *p = seccomp_privileged; p->name; p++)
		add_name(is_allowed(c, p) ? allowed : refused, p->name);
	append_rule(s, rules, refused);
	append_rule(s, rules, allowed);
}

static void add_args(struct place rule, const struct seccomp_conditional *e)
{
	for (size_t i = 0; i < e->n_args; i++) {
		struct place arg = place_element(rule, "args");

		place_put_uint(arg, "index", e->args[i].index);
		place_put_uint(arg, "value", e->args[i].value);
		if (e->args[i].value_two) /* as Go's omitempty */
			place_put_uint(arg, "valueTwo", e->args[i].value_two);
		place_put_string(arg, "op", e->args[i].op);
		if (arg.obj)
			json_append(rule.doc, place_array(rule, "args"), arg.obj);
	}
}

static void add_conditional_rules(struct ocispec *s, struct place seccomp, const struct choice *c,
				  struct json *rules)
{
	for (const struct seccomp_conditional *e = seccomp_conditional; e->name; e++) {
		struct place rule;

		if ((e->with_cap && !has_cap(c, e->with_cap)) ||
		    (e->without_cap && has_cap(c, e->without_cap)))
			continue;
		rule = new_rule(seccomp, e->errno_ret);
		add_name(rule, e->name);
		add_args(rule, e);
		append_rule(s, rules, rule);
	}
}

PUBLIC int ocispec_clear_seccomp(struct ocispec *s)
{
	if (!s)
		return -EINVAL;
	place_remove(place_child(place_root(s), "linux"), "seccomp");
	return place_result(s);
}

PUBLIC int ocispec_set_default_seccomp(struct ocispec *s, const char *kernel_version)
{
	struct choice c = { 0 };
	struct place seccomp;
	int r;

	if (!s)
		return -EINVAL;
	r = kernel_version_read(kernel_version, &c.kernel);
	if (r)
		return r;
	c.bounding = json_path(json_root(s->doc), "process", "capabilities", "bounding", NULL);
	r = ocispec_clear_seccomp(s);
	if (r)
		return r;
	seccomp = place_child(place_child(place_root(s), "linux"), "seccomp");
	place_put_string(seccomp, "defaultAction", "SCMP_ACT_ERRNO");
	place_put_uint(seccomp, "defaultErrnoRet", SECCOMP_ENOSYS);
	place_put_strings(seccomp, "architectures", seccomp_architectures);
	if (place_array(seccomp, "syscalls")) {
		add_plain_rules(s, seccomp, &c, place_array(seccomp, "syscalls"));
		add_conditional_rules(s, seccomp, &c, place_array(seccomp, "syscalls"));
	}
	return place_result(s);
}
