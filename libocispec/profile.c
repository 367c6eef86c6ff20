/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seccomp profile file (Docker's format, also podman's and CRI-O's) resolved for one container:
 * the rules whose conditions hold here, in their order, as linux.seccomp. What "includes" lists must
 * all hold, of what "excludes" lists nothing may. Capabilities are looked for in the bounding set,
 * because one that is not in it can never be had.
 */
#include "private.h"
#include "seccomp_profile.h"

/* As Go and libseccomp name this machine. */
#if defined(__x86_64__)
#define ARCH_NAME "amd64"
#elif defined(__i386__)
#define ARCH_NAME "x86"
#elif defined(__aarch64__)
#define ARCH_NAME "arm64"
#elif defined(__arm__)
#define ARCH_NAME "arm"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define ARCH_NAME "ppc64le"
#elif defined(__s390x__)
#define ARCH_NAME "s390x"
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH_NAME "riscv64"
#elif defined(__loongarch64)
#define ARCH_NAME "loong64"
#endif

struct setting {
	const struct json *bounding;
	struct kernel_version kernel;
};

static bool has(const struct setting *c, const char *cap)
{
	const char *name = ocispec_capability_name(cap);

	return name && capability_in(c->bounding, name);
}

static int since(const struct setting *c, const char *version, bool *ret, struct ocispec_error *err)
{
	struct kernel_version min;

	if (kernel_version_read(version, &min))
		return err_set(err, OCISPEC_E_INVALID, "minKernel \"%s\" is not a version", version);
	*ret = kernel_version_compare(&c->kernel, &min) >= 0;
	return 0;
}

static int applies(const struct setting *c, const struct json *rule, bool *ret, struct ocispec_error *err)
{
	const struct json *in = json_get(rule, "includes"), *ex = json_get(rule, "excludes");
	const struct json *arches = json_get(in, "arches");
	const char *kernel;
	bool newer = false;
	int r;

	*ret = !arches || !arches->first || capability_in(arches, ARCH_NAME);
	*ret &= !capability_in(json_get(ex, "arches"), ARCH_NAME);
	json_foreach(cap, json_get(in, "caps"))
		*ret &= has(c, cap->string);
	json_foreach(cap, json_get(ex, "caps"))
		*ret &= !has(c, cap->string);
	for (int excludes = 0; excludes < 2; excludes++) {
		kernel = json_get_string(excludes ? ex : in, "minKernel");
		if (!kernel || !*kernel)
			continue;
		r = since(c, kernel, &newer, err);
		if (r)
			return r;
		*ret &= excludes ? !newer : newer;
	}
	return 0;
}

/* "ENOSYS" or "38"; this machine's numbers are the ones its runtime uses. */
static int errno_number(const char *name, unsigned *ret)
{
	long long number;

	if (str_to_i64(name, &number) == 0 && number >= 0 && number <= UINT16_MAX) {
		*ret = (unsigned)number;
		return 0;
	}
	for (int n = 1; n < 256; n++) {
		const char *known = strerrorname_np(n);

		if (known && streq(known, name)) {
			*ret = (unsigned)n;
			return 0;
		}
	}
	return OCISPEC_E_INVALID;
}

/* The name counts more than the number, as for the others. */
static int put_errno(struct place p, const char *member, const struct json *from, const char *name_member,
		     struct ocispec_error *err)
{
	const char *name = json_get_string(from, name_member);
	const struct json *number = json_get(from, member);
	unsigned n;

	if (name && *name) {
		if (errno_number(name, &n))
			return err_set(err, OCISPEC_E_INVALID, "no error is called \"%s\"", name);
		place_put_uint(p, member, n);
	} else if (number && number->type == JSON_NUMBER) {
		place_put(p, member, json_copy(p.doc, number));
	}
	return 0;
}

static void put_copy(struct place p, const char *member, const struct json *from)
{
	const struct json *v = json_get(from, member);

	if (v && v->type != JSON_NULL && (v->type == JSON_STRING ? v->len : v->count))
		place_put(p, member, json_copy(p.doc, v));
}

static void put_architectures(struct place seccomp, const struct json *profile)
{
	put_copy(seccomp, "architectures", profile);
	json_foreach(a, json_get(profile, "archMap")) {
		const char *name = json_get_string(a, "architecture");

		if (!name || !streq(name, seccomp_architectures[0]))
			continue;
		json_append_string(seccomp.doc, place_array(seccomp, "architectures"), name);
		json_foreach(sub, json_get(a, "subArchitectures"))
			json_append_string(seccomp.doc, place_array(seccomp, "architectures"), sub->string);
		return;
	}
}

static void put_args(struct place rule, const struct json *from)
{
	json_foreach(a, json_get(from, "args")) {
		struct place arg = place_element(rule, "args");
		const struct json *two = json_get(a, "valueTwo");

		for (const char *const *m = (const char *const[]){ "index", "value", NULL }; *m; m++) {
			place_put_uint(arg, *m, 0);
			if (json_get(a, *m) && json_get(a, *m)->type == JSON_NUMBER)
				place_put(arg, *m, json_copy(arg.doc, json_get(a, *m)));
		}
		if (two && two->type == JSON_NUMBER && !streq(two->string, "0"))
			place_put(arg, "valueTwo", json_copy(arg.doc, two));
		put_copy(arg, "op", a);
		if (arg.obj)
			json_append(arg.doc, place_array(rule, "args"), arg.obj);
	}
}

static int put_rule(struct place seccomp, const struct json *from, struct ocispec_error *err)
{
	const char *name = json_get_string(from, "name");
	const struct json *names = json_get(from, "names");
	struct place rule = place_element(seccomp, "syscalls");
	int r;

	if (name && *name && names && names->count)
		return err_set(err, OCISPEC_E_INVALID, "both \"name\" and \"names\"");
	if (name && *name)
		json_append_string(rule.doc, place_array(rule, "names"), name);
	else if (names && names->count)
		put_copy(rule, "names", from);
	else
		return 0;
	put_copy(rule, "action", from);
	r = put_errno(rule, "errnoRet", from, "errno", err);
	if (r)
		return r;
	put_args(rule, from);
	if (rule.obj)
		json_append(rule.doc, place_array(seccomp, "syscalls"), rule.obj);
	return 0;
}

static int put_rules(struct place seccomp, const struct json *profile, const struct setting *c,
		     struct ocispec_error *err)
{
	size_t i = 0;
	bool wanted;
	int r;

	json_foreach(rule, json_get(profile, "syscalls")) {
		r = applies(c, rule, &wanted, err);
		if (!r && wanted)
			r = put_rule(seccomp, rule, err);
		if (r)
			return err_ctx(err, r, "syscalls[%zu]", i);
		i++;
	}
	return 0;
}

static int put_profile(struct place seccomp, const struct json *profile, const struct setting *c,
		       struct ocispec_error *err)
{
	const struct json *list = json_get(profile, "architectures"), *map = json_get(profile, "archMap");
	int r;

	if (list && list->count && map && map->count)
		return err_set(err, OCISPEC_E_INVALID, "both \"architectures\" and \"archMap\"");
	put_copy(seccomp, "defaultAction", profile);
	r = put_errno(seccomp, "defaultErrnoRet", profile, "defaultErrno", err);
	if (r)
		return r;
	put_architectures(seccomp, profile);
	put_copy(seccomp, "flags", profile);
	put_copy(seccomp, "listenerPath", profile);
	put_copy(seccomp, "listenerMetadata", profile);
	return put_rules(seccomp, profile, c, err);
}

PUBLIC int ocispec_set_seccomp_profile(struct ocispec *s, const struct ocispec *profile,
				       const char *kernel_version, struct ocispec_error *err)
{
	struct setting c = { 0 };
	const struct json *root, *rules;
	struct place linux_obj, seccomp;
	int r;

	if (!s || !profile || profile->shape != shape_profile)
		return err_sysr(err, -EINVAL, "set seccomp profile");
	if (kernel_version_read(kernel_version, &c.kernel))
		return err_set(err, OCISPEC_E_INVALID, "\"%s\" is not a kernel version", kernel_version);
	c.bounding = path_get(s, "process.capabilities.bounding");
	root = json_root(profile->doc);
	rules = json_get(root, "syscalls");
	linux_obj = place_child(place_root(s), "linux");
	seccomp = place_element(linux_obj, "seccomp");
	r = put_profile(seccomp, root, &c, err);
	if (r)
		return r;
	if (json_get_string(root, "defaultAction") || (rules && rules->count))
		place_put(linux_obj, "seccomp", seccomp.obj);
	else	/* Docker's way to say: none */
		place_remove(linux_obj, "seccomp");
	return place_result(s);
}
