/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices of a container, in CRI-O's order: those of the configuration, those of the pod's annotation as far
 * as the configuration allows them, all of the host's if it is privileged, those of the request. A later one
 * takes the place of an earlier one at the same path.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <cbase/io.h>
#include "annotations.h"
#include "container_spec.h"
#include "errors.h"

#define DEPTH_MAX 16			/* of directories of devices */

struct device {
	const char *host, *path;	/* where it is, and where it will be */
	const char *permissions;	/* of "rwm" */
	bool of_request;
};

static bool permissions_valid(const char *s)
{
	return *s && strspn(s, "rwm") == strlen(s);
}

/* The container's user may own what it asked for. */
static void choose_owner(const struct container_spec *b, const struct device *d, struct stat *st)
{
	const Runtime__V1__LinuxContainerConfig *l = b->make->config->linux;
	const Runtime__V1__LinuxContainerSecurityContext *q = l ? l->security_context : NULL;

	if (!d->of_request || !b->sv->config->device_ownership_from_security_context || !q)
		return;
	if (q->run_as_user && q->run_as_user->value > 0)
		st->st_uid = b->user.uid;
	if (q->run_as_group && q->run_as_group->value > 0)
		st->st_gid = b->user.gid;
}

static int add_node(struct container_spec *b, const struct device *d, struct stat *st, struct cb_error *err)
{
	const char type = S_ISCHR(st->st_mode) ? 'c' : 'b';
	int r;

	choose_owner(b, d, st);
	r = ocispec_add_device(b->spec, d->path, type, major(st->st_rdev), minor(st->st_rdev), st->st_mode & 07777,
			       st->st_uid, st->st_gid);
	if (!r && d->permissions)
		r = ocispec_add_device_rule(b->spec, 1, type, major(st->st_rdev), minor(st->st_rdev), d->permissions);
	return container_spec_result(b, r, "a device", err);
}

static bool is_node(const struct stat *st)
{
	return (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) && st->st_rdev;
}

static bool is_skipped_dir(const char *name)
{
	static const char *const skipped[] = { ".", "..", "pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev" };

	for (size_t i = 0; i < ARRAY_SIZE(skipped); i++)
		if (streq(name, skipped[i]))
			return true;
	return false;
}

static int add_directory(struct container_spec *b, const struct device *d, int fd, int depth, struct cb_error *err);

static int add_entry(struct container_spec *b, const struct device *d, int dir, const char *name, int depth, struct cb_error *err)
{
	_cleanup_free_ char *host = strf("%s/%s", d->host, name), *path = strf("%s/%s", d->path, name);
	struct device inner = *d;
	struct stat st;
	int fd;

	if (!host || !path)
		return err_oom(err);
	inner.host = host;
	inner.path = path;
	/* what vanishes meanwhile was not there */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (is_node(&st))
		return streq(name, "console") ? 0 : add_node(b, &inner, &st, err);
	if (!S_ISDIR(st.st_mode) || is_skipped_dir(name) || depth == DEPTH_MAX)
		return 0;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? 0 : add_directory(b, &inner, fd, depth + 1, err);
}

/* Every node below; fd is its own. */
static int add_directory(struct container_spec *b, const struct device *d, int fd, int depth, struct cb_error *err)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!dir) {
		close_fd(fd);
		return err_oom(err);
	}
	while (!r && (e = readdir(dir)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			r = add_entry(b, d, dirfd(dir), e->d_name, depth, err);
	closedir(dir);
	return r;
}

static int add_device(struct container_spec *b, const struct device *d, struct cb_error *err)
{
	struct stat st;
	int fd;

	if (*d->host != '/' || *d->path != '/')
		return err_set(err, E_INVALID, "device \"%s\" at \"%s\": both paths must be absolute", d->host, d->path);
	if (!permissions_valid(d->permissions))
		return err_set(err, E_INVALID, "device %s: permissions \"%s\" are not a subset of rwm", d->host, d->permissions);
	if (stat(d->host, &st) < 0)
		return err_set(err, E_INVALID, "device %s: %s", d->host, strerror(errno));
	if (is_node(&st))
		return add_node(b, d, &st, err);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, E_INVALID, "device %s is neither a device nor a directory", d->host);
	fd = open(d->host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "open %s", d->host) : add_directory(b, d, fd, 0, err);
}

/* ---- "HOST[:CONTAINER[:PERMISSIONS]]" ---- */

static int add_text(struct container_spec *b, const char *entry, char *const *allowed, struct cb_error *err)
{
	_cleanup_free_ char *text = strdup(entry);
	struct device d = { .permissions = "rwm" };
	char *rest = text, *second;

	if (!text)
		return err_oom(err);
	d.host = d.path = strsep(&rest, ":");
	second = strsep(&rest, ":");
	if (second && !rest && permissions_valid(second))
		d.permissions = second;
	else if (second)
		d.path = second;
	if (rest)
		d.permissions = rest;
	if (allowed && !strv_has(allowed, d.host))
		return err_set(err, E_INVALID, "device %s is asked for by an annotation, and not in allowed_devices", d.host);
	return add_device(b, &d, err);
}

static int add_configured(struct container_spec *b, struct cb_error *err)
{
	char **v = b->sv->config->additional_devices;
	int r = 0;

	for (; v && *v && !r; v++)
		r = add_text(b, *v, NULL, err);
	return r ? err_ctx(err, r, "additional_devices") : 0;
}

static int add_annotated(struct container_spec *b, struct cb_error *err)
{
	static char *const none[] = { NULL };
	char *const *allowed = b->sv->config->allowed_devices;
	const char *text = annotation_get(b->make->pod->annotations, ANNOTATION_DEVICES, "");
	_cleanup_free_ char *copy = text ? strdup(text) : NULL;
	char *rest = copy, *entry;
	int r = 0;

	if (text && !copy)
		return err_oom(err);
	while (!r && (entry = strsep(&rest, ",")))
		r = *entry ? add_text(b, entry, allowed ? allowed : none, err) : 0;
	return r;
}

/* ---- privileged, and the request ---- */

static bool sees_all(const struct container_spec *b)
{
	return b->info->privileged && !b->handler->privileged_without_host_devices;
}

static int add_all(struct container_spec *b, struct cb_error *err)
{
	const struct device dev = { .host = "/dev", .path = "/dev" };
	int r, fd;

	if (!sees_all(b))
		return 0;
	r = ocispec_clear_device_rules(b->spec);
	if (!r)
		r = ocispec_add_device_rule(b->spec, 1, 'a', -1, -1, "rwm");
	if (r)
		return container_spec_result(b, r, "a device rule", err);
	fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "open /dev") : add_directory(b, &dev, fd, 0, err);
}

static int add_requested(struct container_spec *b, const Runtime__V1__Device *q, struct cb_error *err)
{
	const struct device d = {
		.host = q->host_path, .path = *q->container_path ? q->container_path : q->host_path,
		.permissions = q->permissions, .of_request = true,
	};

	if (sees_all(b) && !streq(d.host, d.path) && access(d.path, F_OK) == 0)
		return err_set(err, E_INVALID, "device %s at %s: a privileged container has the host's device there", d.host, d.path);
	return add_device(b, &d, err);
}

int container_spec_devices(struct container_spec *b, struct cb_error *err)
{
	const Runtime__V1__ContainerConfig *c = b->make->config;
	int r = add_configured(b, err);

	if (!r)
		r = add_annotated(b, err);
	if (!r)
		r = add_all(b, err);
	for (size_t i = 0; i < c->n_devices && !r; i++)
		r = add_requested(b, c->devices[i], err);
	return r;
}
