/* SPDX-License-Identifier: Apache-2.0 */
/* See pod_spec.h. */
#include <cimage.h>
#include "cgroup_path.h"
#include "errors.h"
#include "pod_spec.h"
#include "privileges.h"
#include "records.h"

#define INFRA_OOM_SCORE_ADJ (-998)
#define INFRA_CPU_SHARES 2

/* pause_command of the configuration, else what the image would run. */
static int set_infra_args(const struct services *sv, const struct pod_info *i, struct ocispec *s, struct cb_error *err)
{
	_cleanup_free_ char *key = strf("sha256:%s", i->image_id), *text = NULL;
	const char *const command[] = { sv->config->pause_command, NULL };
	struct cimage_config *image = NULL;
	struct cstore_error se = { 0 };
	struct cimage_error ie = { 0 };
	const char *const *args;
	size_t len;
	int r;

	if (*sv->config->pause_command)
		return ocispec_set_args(s, command);
	if (!key)
		return err_oom(err);
	r = cstore_image_data(sv->store, i->image_id, key, CIMAGE_MANIFEST_MAX, &text, &len, &se);
	if (r)
		return err_from_cstore(err, r, &se);
	r = cimage_config_parse(text, len, &image, &ie);
	if (r)
		return err_from_cimage(err, r, &ie);
	args = *cimage_config_entrypoint(image) ? cimage_config_entrypoint(image) : cimage_config_cmd(image);
	r = *args ? ocispec_set_args(s, args) :
		err_set(err, E_INVALID, "pause image %s has no command and pause_command is empty", i->image);
	cimage_config_free(image);
	return r;
}

static int set_namespaces(const struct pod_info *i, struct ocispec *s)
{
	int r;

	/* the sandbox keeps an entry with the pin also when that is the host's network */
	r = ocispec_set_namespace(s, "network", i->netns);
	if (!r)
		r = ocispec_set_namespace(s, "uts", i->utsns);
	if (!r)
		r = *i->ipcns ? ocispec_set_namespace(s, "ipc", i->ipcns) : ocispec_remove_namespace(s, "ipc");
	if (!r && id_maps_used(&i->maps))
		r = ocispec_set_namespace(s, "user", i->userns);
	if (!r)
		r = id_maps_to_spec(&i->maps, s);
	if (!r && i->pid == NS_NODE)
		r = ocispec_remove_namespace(s, "pid");
	return r == OCISPEC_E_NOT_FOUND ? 0 : r;
}

static int set_sysctls(const struct pod_info *i, struct ocispec *s)
{
	char **v;
	int r = 0;

	for (v = i->sysctls; v && *v && !r; v++) {
		_cleanup_free_ char *key = strdup(*v);
		char *value = key ? strchr(key, '=') : NULL;

		if (!value)
			return -ENOMEM;
		*value++ = '\0';
		r = ocispec_set_sysctl(s, key, value);
	}
	return r;
}

static int set_mounts(const struct pod_info *i, struct ocispec *s)
{
	static const char *const file_options[] = { "ro", "bind", "nodev", "nosuid", "noexec", NULL };
	static const char *const shm_options[] = { "rw", "bind", NULL };
	int r;

	r = ocispec_set_mount(s, "/dev/shm", "bind", i->shm_path, shm_options);
	if (!r)
		r = ocispec_set_mount(s, "/etc/resolv.conf", "bind", i->resolv_path, file_options);
	return r ? r : ocispec_set_mount(s, "/etc/hostname", "bind", i->hostname_path, file_options);
}

static int build(const struct services *sv, const struct pod_info *i, struct ocispec *s, struct cb_error *err)
{
	const struct runtime_handler *h = config_runtime(sv->config, i->handler);
	_cleanup_free_ char *cgroup = cgroup_to_spec(i->cgroup_path);
	const char *const none[] = { NULL };
	int r;

	r = set_infra_args(sv, i, s, err);
	if (r)
		return r;
	r = ocispec_set_version(s, h->oci_version);
	if (!r)
		r = ocispec_set_root(s, *i->mount_point ? i->mount_point : "rootfs", 1);
	if (!r)
		r = ocispec_set_hostname(s, i->hostname);
	if (!r)
		r = ocispec_clear_rlimits(s);
	if (!r)
		r = cgroup ? ocispec_set_cgroups_path(s, cgroup) : -ENOMEM;
	if (!r)
		r = ocispec_set_oom_score_adj(s, privileges_oom_score_adj(INFRA_OOM_SCORE_ADJ));
	if (!r)
		r = ocispec_set_cpu(s, INFRA_CPU_SHARES, 0, 0, NULL, NULL);
	if (!r)
		r = set_namespaces(i, s);
	if (!r)
		r = set_sysctls(i, s);
	if (!r)
		r = set_mounts(i, s);
	if (!r)
		r = ocispec_set_capabilities(s, OCISPEC_CAP_BOUNDING | OCISPEC_CAP_EFFECTIVE | OCISPEC_CAP_PERMITTED |
			OCISPEC_CAP_INHERITABLE | OCISPEC_CAP_AMBIENT, none);
	if (!r)
		r = ocispec_set_no_new_privileges(s, 1);
	if (!r)
		r = ocispec_set_selinux_label(s, i->process_label);
	if (!r)
		r = ocispec_set_mount_label(s, i->mount_label);
	if (!r && !i->privileged)
		r = ocispec_set_default_seccomp(s, sv->kernel_version);
	if (!r)
		r = pod_annotate(s, i);
	if (r > 0)
		return err_set(err, E_INVALID, "pod %s: a path, sysctl or annotation holds what config.json may not", i->name);
	return r ? err_sysr(err, r, "build config.json of pod %s", i->name) : 0;
}

int pod_spec_build(const struct services *sv, const struct pod_info *i, struct ocispec **ret,
		   struct cb_error *err)
{
	struct ocispec *s = NULL;
	int r;

	if (ocispec_new(&s))
		return err_oom(err);
	r = build(sv, i, s, err);
	if (r) {
		ocispec_free(s);
		return r;
	}
	*ret = s;
	return 0;
}
