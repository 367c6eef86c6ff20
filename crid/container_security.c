/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a container is and what it may do: user, capabilities, namespaces, masked paths, devices; see
 * container_spec.h. Inheritable and ambient capabilities stay empty unless asked for by configuration
 * or request, and nothing is asked of the runtime that the daemon does not have itself.
 */
#include <fcntl.h>
#include <glob.h>
#include <unistd.h>
#include "apparmor.h"
#include "cgroup.h"
#include "container_spec.h"
#include "errors.h"
#include "log.h"
#include "privileges.h"
#include "spawn.h"

typedef Runtime__V1__LinuxContainerSecurityContext security_context;

static const char *const default_masked[] = {
	"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
	"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
	"/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux",
};

static const security_context *security_of(const struct container_spec *b)
{
	const Runtime__V1__LinuxContainerConfig *l = b->make->config->linux;

	return l ? l->security_context : NULL;
}

/* ---- user ---- */

static int resolve_user(struct container_spec *b, const security_context *q, struct cb_error *err)
{
	struct user_request u = {
		.root_fd = b->root_fd,
		.image_user = cimage_config_user(b->image),
		.run_as_username = q ? q->run_as_username : "",
		.run_as_user = q && q->run_as_user ? q->run_as_user->value : -1,
		.run_as_group = q && q->run_as_group ? q->run_as_group->value : -1,
		.supplemental = q ? q->supplemental_groups : NULL,
		.n_supplemental = q ? q->n_supplemental_groups : 0,
		.strict = q && q->supplemental_groups_policy == RUNTIME__V1__SUPPLEMENTAL_GROUPS_POLICY__Strict,
	};
	struct container_info *i = b->info;
	int r;

	if (q && q->supplemental_groups_policy != RUNTIME__V1__SUPPLEMENTAL_GROUPS_POLICY__Merge &&
	    q->supplemental_groups_policy != RUNTIME__V1__SUPPLEMENTAL_GROUPS_POLICY__Strict)
		return err_set(err, E_INVALID, "container %s: supplemental groups policy %d is unknown", i->name,
			       (int)q->supplemental_groups_policy);
	if (q && ((q->run_as_user && q->run_as_user->value < 0) || (q->run_as_group && q->run_as_group->value < 0)))
		return err_set(err, E_INVALID, "container %s: negative user or group id", i->name);
	r = user_resolve(&u, &b->user, err);
	if (!r)
		r = user_map(&b->user, &b->make->pod->maps, err);
	if (r)
		return r;
	i->uid = b->user.uid;
	i->gid = b->user.gid;
	i->groups = arena_alloc(&i->arena, b->user.n_groups * sizeof(*i->groups));
	if (!i->groups)
		return err_oom(err);
	memcpy(i->groups, b->user.groups, b->user.n_groups * sizeof(*i->groups));
	i->n_groups = b->user.n_groups;
	r = ocispec_set_user(b->spec, b->user.uid, b->user.gid, b->user.groups, b->user.n_groups);
	return container_spec_result(b, r, "the user", err);
}

/* ---- capabilities: a set of bits, by number ---- */

#define ALL_CAPS (~0ull)

static int cap_number(const char *name)
{
	const char *wanted = ocispec_capability_name(name), *known;
	unsigned n;

	for (n = 0; wanted && (known = ocispec_capability_by_number(n)); n++)
		if (streq(known, wanted))
			return (int)n;
	return -1;
}

static bool is_all(const char *name)
{
	return strcasecmp(name, "ALL") == 0;
}

static bool names_all(char **v, size_t n)
{
	for (; n; n--, v++)
		if (is_all(*v))
			return true;
	return false;
}

static uint64_t default_caps(const struct container_spec *b)
{
	char **v = b->sv->config->default_capabilities;
	uint64_t caps = 0;
	int n;

	for (; v && *v; v++) {
		n = cap_number(*v);
		if (n >= 0)
			caps |= 1ull << n;
	}
	return caps;
}

/* ALL first, then the single names, additions before drops. */
static int wanted_caps(const struct container_spec *b, const Runtime__V1__Capability *q, uint64_t *ret, struct cb_error *err)
{
	uint64_t caps = 0;
	size_t i;
	int n;

	if (!q) {
		*ret = default_caps(b);
		return 0;
	}
	if (!names_all(q->add_capabilities, q->n_add_capabilities) &&
	    !names_all(q->drop_capabilities, q->n_drop_capabilities))
		caps = default_caps(b);
	if (names_all(q->add_capabilities, q->n_add_capabilities))
		caps = ALL_CAPS;
	if (names_all(q->drop_capabilities, q->n_drop_capabilities))
		caps = 0;
	for (i = 0; i < q->n_add_capabilities; i++) {
		n = cap_number(q->add_capabilities[i]);
		if (n < 0 && !is_all(q->add_capabilities[i]))
			return err_set(err, E_INVALID, "unknown capability \"%s\" to add", q->add_capabilities[i]);
		if (n >= 0)
			caps |= 1ull << n;
	}
	for (i = 0; i < q->n_drop_capabilities; i++) {
		n = cap_number(q->drop_capabilities[i]);
		if (n < 0 && !is_all(q->drop_capabilities[i]))
			return err_set(err, E_INVALID, "failed to drop cap: unknown capability \"%s\"", q->drop_capabilities[i]);
		if (n >= 0)
			caps &= ~(1ull << n);
	}
	*ret = caps;
	return 0;
}

static int put_caps(struct container_spec *b, int sets, uint64_t caps)
{
	const char *names[65], *name;
	size_t n = 0;
	unsigned c;

	caps = privileges_caps(caps);
	for (c = 0; c < 64 && (name = ocispec_capability_by_number(c)); c++)
		if (caps >> c & 1)
			names[n++] = name;
	names[n] = NULL;
	return ocispec_set_capabilities(b->spec, sets, names);
}

static int set_capabilities(struct container_spec *b, const security_context *q, struct cb_error *err)
{
	/* what the daemon cannot give is not asked of the runtime */
	const int usual = OCISPEC_CAP_BOUNDING | OCISPEC_CAP_EFFECTIVE | OCISPEC_CAP_PERMITTED;
	const Runtime__V1__Capability *want = q ? q->capabilities : NULL;
	uint64_t caps = 0, ambient = 0;
	size_t i;
	int r, n;

	if (q && q->privileged)
		return container_spec_result(b, put_caps(b, usual | OCISPEC_CAP_INHERITABLE | OCISPEC_CAP_AMBIENT, ALL_CAPS),
					     "capabilities", err);
	r = wanted_caps(b, want, &caps, err);
	if (r)
		return r;
	for (i = 0; want && i < want->n_add_ambient_capabilities; i++) {
		n = cap_number(want->add_ambient_capabilities[i]);
		if (n < 0)
			return err_set(err, E_INVALID, "unknown capability \"%s\" to add", want->add_ambient_capabilities[i]);
		ambient |= 1ull << n;
	}
	r = put_caps(b, usual, caps | ambient);
	if (!r)
		r = put_caps(b, OCISPEC_CAP_INHERITABLE, ambient | (b->sv->config->add_inheritable_capabilities ? caps : 0));
	if (!r)
		r = put_caps(b, OCISPEC_CAP_AMBIENT, ambient);
	return container_spec_result(b, r, "capabilities", err);
}

/* ---- AppArmor ---- */

/* The text that apparmor took the place of; callers that are older still send it. */
static const char *old_apparmor(const security_context *q)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	return q ? q->apparmor_profile : "";
#pragma GCC diagnostic pop
}

static int set_apparmor(struct container_spec *b, const security_context *q, struct cb_error *err)
{
	const char *usual = b->sv->config->apparmor_profile, *name;
	struct apparmor_choice choice;
	int r;

	if (b->info->privileged)
		return 0;
	r = apparmor_choose(q ? q->apparmor : NULL, old_apparmor(q), usual, &choice, err);
	if (!r)
		r = apparmor_check(&choice, usual, &name, err);
	if (r)
		return r;
	return container_spec_result(b, ocispec_set_apparmor_profile(b->spec, name), "the AppArmor profile", err);
}

/* ---- SELinux ---- */

/* The pod's, with what the request names put into them; what is privileged has none. */
int container_spec_labels(struct container_spec *b, struct cb_error *err)
{
	const security_context *q = security_of(b);
	const struct selinux *s = b->sv->selinux;
	const struct pod_info *pod = b->make->pod;
	struct container_info *i = b->info;
	const char *base = *pod->process_label ? pod->process_label : s ? selinux_process_label(s) : "";
	int r;

	i->process_label = s && !i->privileged ? pod->process_label : "";
	i->mount_label = s ? pod->mount_label : "";
	if (!s || i->privileged || !q || !q->selinux_options)
		return 0;
	r = selinux_process_make(&i->arena, base, q->selinux_options, "", &i->process_label, err);
	if (!r)
		r = selinux_file_make(&i->arena, selinux_file_label(s), i->process_label, &i->mount_label, err);
	return r ? r : selinux_check(s, i->process_label, err);
}

static int set_labels(struct container_spec *b, struct cb_error *err)
{
	int r = ocispec_set_selinux_label(b->spec, b->info->process_label);

	return container_spec_result(b, r ? r : ocispec_set_mount_label(b->spec, b->info->mount_label), "an SELinux label", err);
}

/* ---- namespaces ---- */

/*
 * By a descriptor of ours: the process may end before the runtime gets to its namespace, and its number
 * then be that of a process of the host.
 */
static int share_pid_namespace(struct container_spec *b, const struct process_id *of, struct cb_error *err)
{
	_cleanup_close_ int alive = -1;
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", of->pid);
	b->pidns_fd = open(path, O_RDONLY | O_CLOEXEC);
	alive = process_open(of->pid, of->start_time);
	if (b->pidns_fd < 0 || alive < 0)
		return err_set(err, E_STATE, "container %s: the process whose pid namespace it is to share has ended", b->info->name);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), b->pidns_fd);
	return container_spec_result(b, ocispec_set_namespace(b->spec, "pid", path), "the pid namespace", err);
}

static int set_pid_namespace(struct container_spec *b, const Runtime__V1__NamespaceOption *ns, struct cb_error *err)
{
	/* who says nothing gets what the pod has */
	enum ns_mode mode = ns ? (enum ns_mode)ns->pid : b->make->pod->pid;

	b->info->pid = mode;
	switch (mode) {
	case NS_CONTAINER:
		return 0;
	case NS_NODE:
		return container_spec_result(b, ocispec_remove_namespace(b->spec, "pid"), "the pid namespace", err);
	case NS_POD:
		if (!b->make->infra.pid)
			return err_set(err, E_STATE, "container %s: pid namespace of the pod asked for, but pod %s has no infra container",
				       b->info->name, b->make->pod->name);
		return share_pid_namespace(b, &b->make->infra, err);
	case NS_TARGET:
		if (!b->make->target.pid)
			return err_set(err, E_STATE, "container %s: target container %s is not running in this pod",
				       b->info->name, ns->target_id);
		return share_pid_namespace(b, &b->make->target, err);
	default:
		return err_set(err, E_INVALID, "container %s: unknown pid namespace mode %d", b->info->name, (int)mode);
	}
}

/* The pod's, or nothing said: there is no other to be in. */
static int check_userns(struct container_spec *b, const security_context *q, struct cb_error *err)
{
	const Runtime__V1__UserNamespace *u = q && q->namespace_options ? q->namespace_options->userns_options : NULL;
	struct id_maps maps;
	int r;

	if (!u)
		return 0;
	r = id_maps_from_cri(&b->info->arena, u, b->sv->config, &maps, err);
	if (r)
		return r;
	return id_maps_equal(&maps, &b->make->pod->maps) ? 0 :
		err_set(err, E_INVALID, "its user namespace is not that of pod %s", b->make->pod->name);
}

static int set_namespaces(struct container_spec *b, const security_context *q, struct cb_error *err)
{
	const struct pod_info *pod = b->make->pod;
	int r;

	r = pod->network == NS_NODE ? ocispec_remove_namespace(b->spec, "network") :
		ocispec_set_namespace(b->spec, "network", pod->netns);
	if (!r)
		r = *pod->ipcns ? ocispec_set_namespace(b->spec, "ipc", pod->ipcns) : ocispec_remove_namespace(b->spec, "ipc");
	if (!r)
		r = ocispec_set_namespace(b->spec, "uts", pod->utsns);
	if (!r && cgroup_v2() && !b->info->privileged)
		r = ocispec_set_namespace(b->spec, "cgroup", NULL);
	if (!r && id_maps_used(&pod->maps))
		r = ocispec_set_namespace(b->spec, "user", pod->userns);
	if (!r)
		r = id_maps_to_spec(&pod->maps, b->spec);
	if (r)
		return container_spec_result(b, r, "a namespace", err);
	r = check_userns(b, q, err);
	return r ? r : set_pid_namespace(b, q ? q->namespace_options : NULL, err);
}

/* ---- paths ---- */

/* One for each processor: how much work its neighbours have. */
static int mask_thermal(char ***masked)
{
	glob_t g = { 0 };
	int r = 0;

	if (glob("/sys/devices/system/cpu/cpu*/thermal_throttle", GLOB_NOSORT, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc && !r; i++)
			r = strv_push(masked, g.gl_pathv[i]);
	globfree(&g);
	return r;
}

/* None given: nothing is masked. Else theirs and ours together. */
static int set_masked(struct container_spec *b, const security_context *q, struct cb_error *err)
{
	_cleanup_strv_ char **masked = NULL, **readonly = NULL;
	size_t i;
	int r = 0;

	if (!q || q->privileged)
		return 0;
	for (i = 0; i < q->n_masked_paths && !r; i++)
		r = strv_push(&masked, q->masked_paths[i]);
	for (i = 0; masked && i < ARRAY_SIZE(default_masked) && !r; i++)
		if (!strv_has(masked, default_masked[i]))
			r = strv_push(&masked, default_masked[i]);
	if (masked && !r)
		r = mask_thermal(&masked);
	for (i = 0; i < q->n_readonly_paths && !r; i++)
		r = strv_push(&readonly, q->readonly_paths[i]);
	if (r)
		return err_oom(err);
	if (masked)
		r = ocispec_set_masked_paths(b->spec, (const char *const *)masked);
	if (!r && readonly)
		r = ocispec_set_readonly_paths(b->spec, (const char *const *)readonly);
	return container_spec_result(b, r, "a masked or read-only path", err);
}

int container_spec_security(struct container_spec *b, struct cb_error *err)
{
	const security_context *q = security_of(b);
	int r;

	if (b->info->privileged && !b->make->pod->privileged)
		return err_set(err, E_INVALID, "container %s: no privileged container allowed in sandbox %s",
			       b->info->name, b->make->pod->name);
	r = resolve_user(b, q, err);
	if (!r)
		r = set_capabilities(b, q, err);
	if (!r)
		r = container_spec_result(b, ocispec_set_no_new_privileges(b->spec, q && q->no_new_privs), "no_new_privs", err);
	if (!r)
		r = container_spec_seccomp(b, q, err);
	if (!r)
		r = set_apparmor(b, q, err);
	if (!r)
		r = set_labels(b, err);
	if (!r)
		r = set_namespaces(b, q, err);
	if (!r)
		r = set_masked(b, q, err);
	return r ? r : container_spec_devices(b, err);
}
