/* SPDX-License-Identifier: Apache-2.0 */
/* Process, resources and frame of a container's config.json; see container_spec.h. */
#include <linux/capability.h>
#include <sys/resource.h>
#include "annotations.h"
#include "cgroup.h"
#include "container_resources.h"
#include "container_spec.h"
#include "errors.h"
#include "privileges.h"
#include "rootfs.h"

int container_spec_result(const struct container_spec *b, int r, const char *what, struct cb_error *err)
{
	if (!r)
		return 0;
	if (r == -ENOMEM)
		return err_oom(err);
	return err_set(err, E_INVALID, "container %s: %s is not valid", b->info->name, what);
}

/* Entrypoint of the image unless the request has a command; the image's Cmd only with its own entrypoint. */
static int set_args(struct container_spec *b, struct cb_error *err)
{
	const Runtime__V1__ContainerConfig *c = b->make->config;
	const char *const *image_args = cimage_config_cmd(b->image);
	const char *const *entry = cimage_config_entrypoint(b->image);
	_cleanup_strv_ char **args = NULL;
	size_t i;
	int r = 0;

	for (i = 0; i < c->n_command && !r; i++)
		r = strv_push(&args, c->command[i]);
	for (; !c->n_command && *entry && !r; entry++)
		r = strv_push(&args, *entry);
	for (i = 0; i < c->n_args && !r; i++)
		r = strv_push(&args, c->args[i]);
	for (; !c->n_command && !c->n_args && *image_args && !r; image_args++)
		r = strv_push(&args, *image_args);
	if (r)
		return err_oom(err);
	if (!args)
		return err_set(err, E_INVALID, "no command specified: neither the request nor image %s has one", b->info->image);
	return container_spec_result(b, ocispec_set_args(b->spec, (const char *const *)args), "the command", err);
}

/* "NAME=value" as it is; a later one of the same name wins. */
static int set_env_entry(struct container_spec *b, const char *entry)
{
	size_t n = strcspn(entry, "=");
	_cleanup_free_ char *name = strndup(entry, n);

	if (!name)
		return -ENOMEM;
	return n ? ocispec_set_env(b->spec, name, entry[n] ? entry + n + 1 : "") : 0;
}

static int set_env(struct container_spec *b, struct cb_error *err)
{
	const Runtime__V1__ContainerConfig *c = b->make->config;
	const char *const *image_env = cimage_config_env(b->image);
	char **default_env = b->sv->config->default_env;
	size_t i;
	int r;

	r = ocispec_clear_env(b->spec);
	if (!r)
		r = ocispec_set_env(b->spec, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	if (!r && c->tty)
		r = ocispec_set_env(b->spec, "TERM", "xterm");
	for (; !r && default_env && *default_env; default_env++)
		r = set_env_entry(b, *default_env);
	for (; !r && *image_env; image_env++)
		r = set_env_entry(b, *image_env);
	if (!r)
		r = ocispec_set_env(b->spec, "HOSTNAME", b->make->pod->hostname);
	for (i = 0; i < c->n_envs && !r; i++) {
		const ProtobufCBinaryData *v = &c->envs[i]->value;
		_cleanup_free_ char *value = strndup(v->data ? (const char *)v->data : "", v->len);

		if (!value)
			return err_oom(err);
		if (!*c->envs[i]->key || strchr(c->envs[i]->key, '=') || strlen(value) != v->len || !utf8_valid(value, v->len))
			return err_set(err, E_INVALID, "container %s: environment variable \"%s\" has an empty name, '=' in its name, "
				       "a NUL or invalid UTF-8 in its value", b->info->name, c->envs[i]->key);
		r = ocispec_set_env(b->spec, c->envs[i]->key, value);
	}
	return container_spec_result(b, r, "the environment", err);
}

static int set_cwd(struct container_spec *b, struct cb_error *err)
{
	const char *cwd = b->make->config->working_dir;
	int r;

	if (!*cwd)
		cwd = cimage_config_working_dir(b->image);
	if (!*cwd)
		cwd = "/";
	if (*cwd != '/')
		return err_set(err, E_INVALID, "container %s: working directory \"%s\" is not absolute", b->info->name, cwd);
	r = rootfs_mkdir_p(b->root_fd, cwd, b->user.owner_uid, b->user.owner_gid, err);
	return r ? r : container_spec_result(b, ocispec_set_cwd(b->spec, cwd), "the working directory", err);
}

/* "nofile=1024:2048" */
static int set_ulimit(struct container_spec *b, const char *entry, struct cb_error *err)
{
	unsigned long long soft, hard;
	char name[32], type[48];
	size_t i;

	if (sscanf(entry, "%31[a-z]=%llu:%llu", name, &soft, &hard) < 2)
		return err_set(err, E_INVALID, "default_ulimits: \"%s\" is not name=soft:hard", entry);
	if (!strchr(entry, ':'))
		hard = soft;
	snprintf(type, sizeof(type), "RLIMIT_%s", name);
	for (i = 0; type[i]; i++)
		if (type[i] >= 'a' && type[i] <= 'z')
			type[i] = (char)(type[i] - 'a' + 'A');
	return container_spec_result(b, ocispec_set_rlimit(b->spec, type, soft, hard), "a resource limit", err);
}

static int set_process(struct container_spec *b, struct cb_error *err)
{
	char **ulimits = b->sv->config->default_ulimits;
	int r;

	r = set_args(b, err);
	if (!r)
		r = set_env(b, err);
	if (!r)
		r = set_cwd(b, err);
	if (!r)
		r = container_spec_result(b, ocispec_clear_rlimits(b->spec), "a resource limit", err);
	for (; !r && ulimits && *ulimits; ulimits++)
		r = set_ulimit(b, *ulimits, err);
	if (!r)
		r = container_spec_result(b, ocispec_set_terminal(b->spec, b->make->config->tty), "tty", err);
	return r;
}

static int set_resources(struct container_spec *b, struct cb_error *err)
{
	const Runtime__V1__LinuxContainerConfig *linux_config = b->make->config->linux;
	const Runtime__V1__LinuxContainerResources *q = linux_config ? linux_config->resources : NULL;
	int r = 0;

	if (b->sv->config->pids_limit > 0)
		r = ocispec_set_pids_limit(b->spec, b->sv->config->pids_limit);
	if (!r && q)
		r = ocispec_set_oom_score_adj(b->spec, privileges_oom_score_adj(q->oom_score_adj));
	if (r)
		return container_spec_result(b, r, "a limit", err);
	r = q ? container_resources_set(b->spec, q, b->handler->container_min_memory, err) : 0;
	resource_info_load(b->spec, &b->info->arena, &b->info->resources);
	return r ? err_ctx(err, r, "container %s", b->info->name) : 0;
}

/* "FILE=VALUE;FILE=VALUE": over what the request has, on cgroup v2. */
static int set_unified(struct container_spec *b, const char *text, struct cb_error *err)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *key, *value;
	int r = 0;

	if (!copy)
		return err_oom(err);
	while (!r && (key = strsep(&rest, ";"))) {
		value = strchr(key, '=');
		if (!value)
			return *key ? err_set(err, E_INVALID, "unified cgroup setting \"%.100s\" is not FILE=VALUE", key) : 0;
		*value++ = '\0';
		r = container_spec_result(b, ocispec_set_unified(b->spec, key, value), "a unified cgroup setting", err);
	}
	return r;
}

/* What the pod's annotations ask for; those that its handler does not allow are gone already. */
static int obey_annotations(struct container_spec *b, struct cb_error *err)
{
	char *const *pairs = b->make->pod->annotations;
	const char *mask = annotation_get(pairs, ANNOTATION_UMASK, "");
	const char *unified = annotation_get(pairs, ANNOTATION_UNIFIED_CGROUP, b->info->meta_name);
	uint32_t umask_value;
	int r = 0;

	if (mask) {
		r = annotation_parse_umask(mask, &umask_value, err);
		if (!r)
			r = container_spec_result(b, ocispec_set_umask(b->spec, umask_value), "the umask", err);
	}
	if (!r && unified && cgroup_v2())
		r = set_unified(b, unified, err);
	return r;
}

static int set_frame(struct container_spec *b, struct cb_error *err)
{
	const Runtime__V1__LinuxContainerConfig *l = b->make->config->linux;
	bool readonly = b->sv->config->read_only || (l && l->security_context && l->security_context->readonly_rootfs);
	_cleanup_free_ char *cgroup = cgroup_to_spec(b->info->cgroup_path);
	int r;

	r = ocispec_set_version(b->spec, b->handler->oci_version);
	if (!r)
		r = ocispec_set_root(b->spec, b->info->mount_point, readonly);
	if (!r)
		r = ocispec_set_hostname(b->spec, b->make->pod->hostname);
	if (!r)
		r = cgroup ? ocispec_set_cgroups_path(b->spec, cgroup) : -ENOMEM;
	return container_spec_result(b, r, "config.json", err);
}

int container_spec_build(struct container_spec *b, struct cb_error *err)
{
	int r;

	if (ocispec_new(&b->spec))
		return err_oom(err);
	r = set_frame(b, err);
	if (!r)
		r = container_spec_security(b, err);
	if (!r)
		r = set_process(b, err);
	if (!r)
		r = set_resources(b, err);
	if (!r)
		r = obey_annotations(b, err);
	if (!r)
		r = container_spec_mounts(b, err);
	if (!r)
		r = container_spec_inject(b, err);
	if (!r)
		r = container_spec_result(b, container_annotate(b->spec, b->info, b->make->pod), "an annotation", err);
	if (!r && arena_failed(&b->info->arena))
		r = err_oom(err);
	return r;
}
