/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default profile by itself, and beside the one that the containers tools ship: for several
 * capability sets every call of either must come to the same end, but for the differences listed.
 */
#include <cbase/io.h>
#include "seccomp_profile.h"
#include "unit.h"

#define PEER "/usr/share/containers/seccomp.json"

static struct ocispec *with_profile(const char *const *caps, const char *kernel)
{
	struct ocispec *s = NULL;

	ck_assert_int_eq(ocispec_new(&s), 0);
	ck_assert_int_eq(ocispec_set_capabilities(s, OCISPEC_CAP_BOUNDING, caps), 0);
	ck_assert_int_eq(ocispec_set_default_seccomp(s, kernel), 0);
	return s;
}

static const struct json *rules_of(const struct ocispec *s)
{
	return json_path(json_root(s->doc), "linux", "seccomp", "syscalls", NULL);
}

/* What happens to a call whatever its arguments: "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "args" or "none". */
static const char *verdict(const struct ocispec *s, const char *name)
{
	const char *found = "none";

	json_foreach(rule, rules_of(s)) {
		if (!capability_in(json_get(rule, "names"), name))
			continue;
		ck_assert_msg(streq(found, "none") || json_get(rule, "args"), "%s is ruled twice",
			      name);
		found = json_get(rule, "args") ? "args" : json_get_string(rule, "action");
	}
	return found;
}

START_TEST(without_capabilities_no_namespaces_can_be_made)
{
	struct ocispec *s = with_profile(NULL, "6.1.0-18-amd64");
	const struct json *args = NULL;
	int64_t v = 0;

	ck_assert_str_eq(verdict(s, "unshare"), "SCMP_ACT_ERRNO");
	ck_assert_str_eq(verdict(s, "setns"), "SCMP_ACT_ERRNO");
	ck_assert_str_eq(verdict(s, "clone3"), "none");
	ck_assert_str_eq(verdict(s, "clone"), "args");
	json_foreach(rule, rules_of(s))
		if (capability_in(json_get(rule, "names"), "clone"))
			args = json_get(rule, "args");
	ck_assert_int_eq(json_int(json_get(args->first, "value"), &v), 0);
	ck_assert_int_eq(v, 0x7e020000);
	ck_assert_str_eq(json_get_string(args->first, "op"), "SCMP_CMP_MASKED_EQ");
	ck_assert_str_eq(verdict(s, "read"), "SCMP_ACT_ALLOW");
	ck_assert_str_eq(verdict(s, "bpf"), "SCMP_ACT_ERRNO");
	ck_assert_str_eq(verdict(s, "no_such_call"), "none");
	ocispec_free(s);
}
END_TEST

START_TEST(sys_admin_opens_its_group)
{
	const char *caps[] = { "SYS_ADMIN", NULL };
	struct ocispec *s = with_profile(caps, NULL);

	ck_assert_str_eq(verdict(s, "unshare"), "SCMP_ACT_ALLOW");
	ck_assert_str_eq(verdict(s, "clone"), "SCMP_ACT_ALLOW");
	ck_assert_str_eq(verdict(s, "clone3"), "SCMP_ACT_ALLOW");
	ck_assert_str_eq(verdict(s, "bpf"), "SCMP_ACT_ALLOW");
	ck_assert_str_eq(verdict(s, "chroot"), "SCMP_ACT_ERRNO");
	ocispec_free(s);
}
END_TEST

START_TEST(only_the_bounding_set_counts)
{
	struct ocispec *s = NULL;
	const char *caps[] = { "SYS_ADMIN", NULL };

	ck_assert_int_eq(ocispec_new(&s), 0);
	ck_assert_int_eq(ocispec_set_capabilities(s, OCISPEC_CAP_BOUNDING, NULL), 0);
	ck_assert_int_eq(
		ocispec_set_capabilities(s, OCISPEC_CAP_EFFECTIVE | OCISPEC_CAP_AMBIENT, caps), 0);
	ck_assert_int_eq(ocispec_set_default_seccomp(s, NULL), 0);
	ck_assert_str_eq(verdict(s, "unshare"), "SCMP_ACT_ERRNO");
	ocispec_free(s);
}
END_TEST

START_TEST(old_kernels_get_no_ptrace)
{
	struct ocispec *s = with_profile(NULL, "4.7.10");

	ck_assert_str_eq(verdict(s, "ptrace"), "SCMP_ACT_ERRNO");
	ocispec_free(s);
	s = with_profile(NULL, "4.8");
	ck_assert_str_eq(verdict(s, "ptrace"), "SCMP_ACT_ALLOW");
	ocispec_free(s);
	s = with_profile(NULL, "10.0-rc1");
	ck_assert_str_eq(verdict(s, "ptrace"), "SCMP_ACT_ALLOW");
	ck_assert_int_eq(ocispec_set_default_seccomp(s, "six"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_default_seccomp(s, "6"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_default_seccomp(s, "6.x"), OCISPEC_E_INVALID);
	ocispec_free(s);
}
END_TEST

START_TEST(setting_twice_and_clearing)
{
	struct ocispec *s = parsed("{\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\","
				   "\"flags\":[\"x\"]}}}");
	const struct json *seccomp;

	ck_assert_int_eq(ocispec_set_default_seccomp(s, NULL), 0);
	ck_assert_int_eq(ocispec_set_default_seccomp(s, NULL), 0);
	seccomp = json_path(json_root(s->doc), "linux", "seccomp", NULL);
	ck_assert_str_eq(json_get_string(seccomp, "defaultAction"), "SCMP_ACT_ERRNO");
	ck_assert_int_eq(json_get_int(seccomp, "defaultErrnoRet", 0), SECCOMP_ENOSYS);
	ck_assert_ptr_null(json_get(seccomp, "flags"));
#ifdef __x86_64__
	ck_assert_uint_eq(json_get(seccomp, "architectures")->count, 3);
	ck_assert_str_eq(json_get(seccomp, "architectures")->first->string, "SCMP_ARCH_X86_64");
#endif
	ck_assert_int_eq(ocispec_clear_seccomp(s), 0);
	ck_prints(s, "{\"linux\":{}}");
}
END_TEST

/* ---- the peer ---- */

static bool cap_given(const char *const *caps, const char *cap)
{
	for (; caps && *caps; caps++)
		if (streq(ocispec_capability_name(*caps), cap))
			return true;
	return false;
}

static bool applies(const struct json *rule, const char *const *caps)
{
	const struct json *arches = json_path(rule, "includes", "arches", NULL);

	if (arches && !capability_in(arches, "amd64"))
		return false;
	json_foreach(c, json_path(rule, "includes", "caps", NULL))
		if (!cap_given(caps, c->string))
			return false;
	json_foreach(c, json_path(rule, "excludes", "caps", NULL))
		if (cap_given(caps, c->string))
			return false;
	return true;
}

/* Of two plain rules for one call the later one is taken, but for the listed setns. */
static const char *peer_verdict(const struct json *peer, const char *name, const char *const *caps)
{
	const char *found = "none";

	json_foreach(rule, json_get(peer, "syscalls")) {
		const struct json *args = json_get(rule, "args");

		if (capability_in(json_get(rule, "names"), name) && applies(rule, caps))
			found = args && args->first ? "args" : json_get_string(rule, "action");
	}
	return found;
}

/* Newer than the peer's version, or reserved to CAP_SYS_ADMIN as CRI-O does. */
static bool differs_on_purpose(const char *name)
{
	static const char *const names[] = { "clone",
					     "clone3",
					     "unshare",
					     "setns",
					     "cachestat",
					     "fanotify_init",
					     "fchmodat2",
					     "futex_requeue",
					     "futex_wait",
					     "futex_waitv",
					     "futex_wake",
					     "io_pgetevents_time64",
					     "map_shadow_stack",
					     "quotactl_fd",
					     "socket",
					     "syscall",
					     NULL };

	for (size_t i = 0; names[i]; i++)
		if (streq(names[i], name))
			return true;
	return false;
}

static size_t compare_names(const struct ocispec *s, const struct json *peer,
			    const struct json *names, const char *const *caps)
{
	size_t n = 0;

	json_foreach(name, names) {
		if (differs_on_purpose(name->string))
			continue;
		ck_assert_msg(
			streq(verdict(s, name->string), peer_verdict(peer, name->string, caps)),
			"%s: %s, the peer %s", name->string, verdict(s, name->string),
			peer_verdict(peer, name->string, caps));
		n++;
	}
	return n;
}

START_TEST(every_call_ends_as_with_the_peers_profile)
{
	static const char *const none[] = { NULL }, *const admin[] = { "SYS_ADMIN", NULL },
				 *const some[] = { "SYS_CHROOT", "SYS_TIME",	"SYS_PTRACE",
						   "SYS_RAWIO",	 "AUDIT_WRITE", NULL },
				 *const others[] = { "SYS_MODULE", "SYS_PACCT", "SYS_TTY_CONFIG",
						     "DAC_READ_SEARCH", NULL };
	const char *const *const sets[] = { none, admin, some, others };
	struct json_doc *doc = NULL;
	char *text = NULL;
	size_t len, n;

	if (read_file(PEER, 1 << 20, &text, &len))
		return; /* said by the case below */
	ck_assert_int_eq(json_parse(text, len, 0, &doc, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		struct ocispec *s = with_profile(sets[i], NULL);

		n = 0;
		json_foreach(rule, json_get(json_root(doc), "syscalls"))
			n += compare_names(s, json_root(doc), json_get(rule, "names"), sets[i]);
		ck_assert_uint_gt(n, 400);
		json_foreach(rule, rules_of(s))
			compare_names(s, json_root(doc), json_get(rule, "names"), sets[i]);
		ocispec_free(s);
	}
	json_doc_free(doc);
	free(text);
}
END_TEST

START_TEST(no_name_is_in_two_tables)
{
	struct ocispec *s = with_profile(NULL, NULL);

	for (const char *const *n = seccomp_allowed; *n; n++)
		ck_assert_str_eq(verdict(s, *n), "SCMP_ACT_ALLOW");
	for (const char *const *n = seccomp_refused; *n; n++)
		ck_assert_str_eq(verdict(s, *n), "SCMP_ACT_ERRNO");
	for (const struct seccomp_privileged *p = seccomp_privileged; p->name; p++) {
		ck_assert_str_eq(verdict(s, p->name), "SCMP_ACT_ERRNO");
		ck_assert_ptr_eq(ocispec_capability_name(p->caps[0]) ? p->caps[0] : NULL,
				 p->caps[0]);
	}
	ocispec_free(s);
}
END_TEST

RUN_TESTS("seccomp", without_capabilities_no_namespaces_can_be_made, sys_admin_opens_its_group,
	  only_the_bounding_set_counts, old_kernels_get_no_ptrace, setting_twice_and_clearing,
	  every_call_ends_as_with_the_peers_profile, no_name_is_in_two_tables)
