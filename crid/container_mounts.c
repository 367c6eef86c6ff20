/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container sees mounted, in CRI-O's order: the defaults of the runtime, /sys/fs/cgroup, the
 * request's mounts, the pod's files, the image's volumes, generated passwd and group. A destination
 * that the request mounts is the request's; all are sorted by depth at the end.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <cbase/io.h>
#include "annotations.h"
#include "cgroup.h"
#include "container_volumes.h"
#include "errors.h"
#include "rootfs.h"

#define TTY_GID 5

/* As libocispec compares destinations: slashes more or less do not count. */
static bool same_destination(const char *a, const char *b)
{
	size_t n, m;

	for (;;) {
		a += strspn(a, "/");
		b += strspn(b, "/");
		n = strcspn(a, "/");
		m = strcspn(b, "/");
		if (n != m || memcmp(a, b, n))
			return false;
		if (!n)
			return true;
		a += n;
		b += m;
	}
}

static bool requested(const struct container_spec *b, const char *destination)
{
	size_t i;

	for (i = 0; i < b->info->n_mounts; i++)
		if (same_destination(b->info->mounts[i].container_path, destination))
			return true;
	return false;
}

/* ---- /sys and the pod's files ---- */

/*
 * Only who owns the network namespace may mount sysfs, and the IPC namespace mqueue: with the host's
 * of these a user namespace gets what the host has mounted.
 */
static int set_userns_mounts(struct container_spec *b, struct cb_error *err)
{
	static const char *const sys[] = { "nosuid", "noexec", "nodev", "rro", "rbind", NULL };
	static const char *const mqueue[] = { "nosuid", "noexec", "nodev", "rbind", NULL };
	static const char *const pts[] = { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", NULL };
	const struct pod_info *pod = b->make->pod;
	uint32_t gid;
	int r = 0;

	if (!id_maps_used(&pod->maps))
		return 0;
	if (pod->network == NS_NODE)
		r = ocispec_set_mount(b->spec, "/sys", "bind", "/sys", sys);
	if (!r && pod->ipc == NS_NODE)
		r = access("/dev/mqueue", F_OK) ? ocispec_remove_mount(b->spec, "/dev/mqueue") :
			ocispec_set_mount(b->spec, "/dev/mqueue", "bind", "/dev/mqueue", mqueue);
	if (!r && !id_maps_gid(&pod->maps, TTY_GID, &gid))
		r = ocispec_set_mount(b->spec, "/dev/pts", "devpts", "devpts", pts);
	return container_spec_result(b, r, "a mount", err);
}

/* An init that wants to write to its cgroup and have its directories, as CRI-O tells it. */
static bool is_systemd(const struct ocispec *s)
{
	const char *program = ocispec_get_item(s, "process.args", 0), *slash = program ? strrchr(program, '/') : NULL;

	return program && (strstr(program, "/sbin/init") || streq(slash ? slash + 1 : program, "systemd"));
}

static int set_systemd(struct container_spec *b, struct cb_error *err)
{
	static const char *const paths[] = { "/run", "/run/lock", "/tmp", "/var/log/journal" };
	static const char *const options[] = { "rw", "rprivate", "noexec", "nosuid", "nodev", "tmpcopyup", NULL };
	int r = 0;

	if (!is_systemd(b->spec))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(paths) && !r; i++)
		if (!requested(b, paths[i]))
			r = ocispec_set_mount(b->spec, paths[i], "tmpfs", "tmpfs", options);
	if (!r)
		r = ocispec_set_env(b->spec, "container", "crio");
	return container_spec_result(b, r, "a mount for systemd", err);
}

static int set_sys(struct container_spec *b, struct cb_error *err)
{
	static const char *const ro[] = { "nosuid", "noexec", "nodev", "relatime", "ro", NULL };
	static const char *const rw[] = { "nosuid", "noexec", "nodev", "relatime", "rw", NULL };
	const char *annotation = annotation_get(b->make->pod->annotations, ANNOTATION_CGROUP_RW, "");
	bool writable = b->info->privileged || (cgroup_v2() && (is_systemd(b->spec) || (annotation && streq(annotation, "true"))));
	int r = 0;

	if (!requested(b, "/sys"))
		r = ocispec_set_mount(b->spec, "/sys/fs/cgroup", "cgroup", "cgroup", writable ? rw : ro);
	if (!r && b->info->privileged)
		r = ocispec_mounts_writable(b->spec);
	return container_spec_result(b, r, "a mount", err);
}

/* A mount of the request on /dev or /sys takes the defaults beneath it away. */
static int drop_hidden(struct container_spec *b, struct cb_error *err)
{
	static const char *const hidden[] = { "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys/fs/cgroup" };
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(hidden) && !r; i++) {
		if ((str_starts(hidden[i], "/dev") && requested(b, "/dev")) || (str_starts(hidden[i], "/sys") && requested(b, "/sys")))
			r = ocispec_remove_mount(b->spec, hidden[i]);
		if (r == OCISPEC_E_NOT_FOUND)
			r = 0;
	}
	return container_spec_result(b, r, "a mount", err);
}

static int bind_file(struct container_spec *b, const char *destination, const char *source, bool readonly,
		     struct cb_error *err)
{
	const char *const options[] = { readonly ? "ro" : "rw", "bind", "nodev", "nosuid", "noexec", NULL };

	if (requested(b, destination))
		return 0;
	return container_spec_result(b, ocispec_set_mount(b->spec, destination, "bind", source, options), "a mount", err);
}

static int set_pod_files(struct container_spec *b, struct cb_error *err)
{
	static const char *const shm_options[] = { "rw", "bind", NULL };
	const struct pod_info *pod = b->make->pod;
	const Runtime__V1__LinuxContainerConfig *l = b->make->config->linux;
	bool ro = b->sv->config->read_only || (l && l->security_context && l->security_context->readonly_rootfs);
	int r;

	r = bind_file(b, "/etc/resolv.conf", pod->resolv_path, ro, err);
	if (!r)
		r = bind_file(b, "/etc/hostname", pod->hostname_path, ro, err);
	if (!r)
		r = bind_file(b, "/run/.containerenv", pod->containerenv_path, ro, err);
	if (!r && pod->network == NS_NODE && access("/etc/hosts", F_OK) == 0)
		r = bind_file(b, "/etc/hosts", "/etc/hosts", ro, err);
	if (!r && !requested(b, "/dev/shm") && !requested(b, "/dev"))
		r = container_spec_result(b, ocispec_set_mount(b->spec, "/dev/shm", "bind", pod->shm_path, shm_options), "a mount", err);
	return r;
}

/* With the server's read_only every root file system is read-only and gets these to write to. */
static int set_tmpfs(struct container_spec *b, struct cb_error *err)
{
	static const struct {
		const char *path, *mode;
	} tmpfs[] = { { "/run", "mode=0755" }, { "/tmp", "mode=1777" }, { "/var/tmp", "mode=1777" } };
	size_t i;
	int r = 0;

	for (i = 0; b->sv->config->read_only && i < ARRAY_SIZE(tmpfs) && !r; i++) {
		const char *const options[] = { "rw", "noexec", "nosuid", "nodev", "tmpcopyup", tmpfs[i].mode, NULL };

		if (!requested(b, tmpfs[i].path))
			r = ocispec_set_mount(b->spec, tmpfs[i].path, "tmpfs", "tmpfs", options);
	}
	return container_spec_result(b, r, "a mount", err);
}

/* ---- the image's volumes, passwd and group ---- */

static int make_volumes(struct container_spec *b, struct cb_error *err)
{
	const char *const *v = cimage_config_volumes(b->image);
	int r = 0;

	for (; *v && !r; v++)
		if (!requested(b, *v))
			r = rootfs_mkdir_p(b->root_fd, *v, b->user.owner_uid, b->user.owner_gid, err);
	return r;
}

/* $HOME, else the working directory, else /tmp. */
static const char *home_of(const struct ocispec *s)
{
	const char *entry, *cwd = ocispec_get_text(s, "process.cwd");

	for (size_t i = 0; (entry = ocispec_get_item(s, "process.env", i)); i++)
		if (str_starts(entry, "HOME="))
			return entry + strlen("HOME=");
	return cwd && *cwd ? cwd : "/tmp";
}

typedef int (*account_text_fn)(struct container_spec *b, char **ret, size_t *ret_len, struct cb_error *err);

static int passwd_text(struct container_spec *b, char **ret, size_t *ret_len, struct cb_error *err)
{
	return user_passwd_text(b->root_fd, &b->user, home_of(b->spec), ret, ret_len, err);
}

static int group_text(struct container_spec *b, char **ret, size_t *ret_len, struct cb_error *err)
{
	return user_group_text(b->root_fd, &b->user, ret, ret_len, err);
}

/* A file of the container's own with one line more, when its user has none in the image. */
static int bind_account_file(struct container_spec *b, const char *name, account_text_fn make, struct cb_error *err)
{
	static const char *const options[] = { "rw", "nodev", "nosuid", "noexec", "bind", NULL };
	_cleanup_free_ char *source = strf("%s/%s", b->info->run_dir, name), *text = NULL;
	_cleanup_free_ char *destination = strf("/etc/%s", name);
	uint32_t uid, gid;
	size_t len;
	int r;

	if (!source || !destination)
		return err_oom(err);
	if (requested(b, destination) || requested(b, "/etc"))
		return 0;
	r = make(b, &text, &len, err);
	if (r == E_NOT_FOUND)
		return 0;
	if (r)
		return r;
	r = write_file(source, 0644, text, len, 0);
	if (r)
		return err_sysr(err, r, "write %s", source);
	id_maps_root(&b->make->pod->maps, &uid, &gid);
	if ((uid || gid) && chown(source, uid, gid) < 0)
		return err_sys(err, "give %s to the pod", source);
	if (b->sv->selinux) {
		r = selinux_relabel(source, b->info->mount_label, err);
		if (r)
			return r;
	}
	return container_spec_result(b, ocispec_set_mount(b->spec, destination, "bind", source, options), "a mount", err);
}

int container_spec_mounts(struct container_spec *b, struct cb_error *err)
{
	uint32_t uid, gid;
	int r;

	id_maps_root(&b->make->pod->maps, &uid, &gid);
	r = set_userns_mounts(b, err);
	if (!r)
		r = set_sys(b, err);
	if (!r)
		r = drop_hidden(b, err);
	if (!r)
		r = set_tmpfs(b, err);
	if (!r)
		r = set_systemd(b, err);
	if (!r)
		r = container_spec_volumes(b, err);
	if (!r)
		r = set_pod_files(b, err);
	if (!r)
		r = make_volumes(b, err);
	if (!r)
		r = bind_account_file(b, "passwd", passwd_text, err);
	if (!r)
		r = bind_account_file(b, "group", group_text, err);
	if (!r)
		r = rootfs_link_mtab(b->root_fd, uid, gid, err);
	return r ? r : container_spec_result(b, ocispec_sort_mounts(b->spec), "a mount", err);
}
