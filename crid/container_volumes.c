/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts of a request. container_volumes_plan() looks at all of them before anything is made: what
 * contradicts itself, or what the handler's program cannot do, is refused, never done by halves.
 *
 * An image volume is a clone of the image's mount, kept in the container's run directory: whole or one
 * directory of it, found inside the image whatever its symlinks say. The image's own mount goes at once,
 * so nothing has to be counted, and unmounting twice is no harm.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include "container_volumes.h"
#include "errors.h"

#define MOUNTINFO_MAX (64u << 20)
#define RANGES_MAX 340			/* of ids, the kernel's limit */

typedef Runtime__V1__Mount mount_request;

static bool is_private(const mount_request *m)
{
	return m->propagation == RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_PRIVATE;
}

/* ---- what may be asked for ---- */

static int check_recursive(const mount_request *m, const struct runtime_handler *h, struct cb_error *err)
{
	if (!m->recursive_read_only)
		return 0;
	if (!m->readonly)
		return err_set(err, E_INVALID, "mount on %s: recursive_read_only needs readonly", m->container_path);
	if (!is_private(m))
		return err_set(err, E_INVALID, "mount on %s: recursive_read_only needs private propagation", m->container_path);
	return h->recursive_ro ? 0 : err_set(err, E_UNSUPPORTED, "mount on %s: runtime handler %s has no recursive read-only mounts",
					     m->container_path, h->name);
}

static int check_ranges(const mount_request *m, Runtime__V1__IDMapping *const *v, size_t n, struct cb_error *err)
{
	uint32_t end;
	size_t i;

	if (n > RANGES_MAX)
		return err_set(err, E_LIMIT, "mount on %s: more than %d id mappings", m->container_path, RANGES_MAX);
	for (i = 0; i < n; i++)
		if (!v[i]->length || __builtin_add_overflow(v[i]->host_id, v[i]->length, &end) ||
		    __builtin_add_overflow(v[i]->container_id, v[i]->length, &end))
			return err_set(err, E_INVALID, "mount on %s: id mapping %u-%u-%u is no range of ids", m->container_path,
				       v[i]->container_id, v[i]->host_id, v[i]->length);
	return 0;
}

static int check_mappings(const mount_request *m, const struct runtime_handler *h, struct cb_error *err)
{
	int r;

	if (!m->n_uidmappings && !m->n_gidmappings)
		return 0;
	if (!m->n_uidmappings || !m->n_gidmappings)
		return err_set(err, E_INVALID, "mount on %s: mappings of uids and gids must come together", m->container_path);
	r = check_ranges(m, m->uidmappings, m->n_uidmappings, err);
	if (!r)
		r = check_ranges(m, m->gidmappings, m->n_gidmappings, err);
	if (r)
		return r;
	return h->idmap_mounts ? 0 : err_set(err, E_UNSUPPORTED, "mount on %s: runtime handler %s has no id-mapped mounts",
					     m->container_path, h->name);
}

static int check_options(const mount_request *m, struct cb_error *err)
{
	static const char *const known[] = { "noexec", "nodev", "nosuid" };
	size_t i, k;

	for (i = 0; i < m->n_mount_options; i++) {
		for (k = 0; k < ARRAY_SIZE(known) && !streq(m->mount_options[i], known[k]); k++)
			;
		if (k == ARRAY_SIZE(known))
			return err_set(err, E_INVALID, "mount on %s: option \"%.100s\" is not one of noexec, nodev, nosuid",
				       m->container_path, m->mount_options[i]);
	}
	return 0;
}

static int check_source(const mount_request *m, struct cb_error *err)
{
	bool image = m->image && *m->image->image;

	if (*m->container_path != '/' || (!image && *m->host_path != '/'))
		return err_set(err, E_INVALID, "mount of \"%s\" on \"%s\": both paths must be absolute", m->host_path, m->container_path);
	if (image && *m->host_path)
		return err_set(err, E_INVALID, "mount on %s: an image and a host path exclude each other", m->container_path);
	if (image && !m->readonly)
		return err_set(err, E_INVALID, "mount on %s: an image can only be mounted readonly", m->container_path);
	if (!image && *m->image_sub_path)
		return err_set(err, E_INVALID, "mount on %s: image_sub_path without an image", m->container_path);
	return 0;
}

static int check(const mount_request *m, const struct runtime_handler *h, struct cb_error *err)
{
	int r = check_source(m, err);

	if (!r)
		r = check_recursive(m, h, err);
	if (!r)
		r = check_mappings(m, h, err);
	return r ? r : check_options(m, err);
}

static int plan_image(struct arena *a, const mount_request *m, const struct image_table *images, struct mount_info *ret,
		      struct cb_error *err)
{
	const struct image *image;

	if (!m->image || !*m->image->image)
		return 0;
	image = image_table_find(images, m->image->image);
	if (!image)
		return err_set(err, E_NOT_FOUND, "ImageVolumeMountFailed: image %s of the volume on %s is not here: pull it first",
			       m->image->image, m->container_path);
	ret->image = arena_strdup(a, image->id);
	ret->image_ref = image_ref(image, a);
	ret->image_sub_path = arena_strdup(a, m->image_sub_path);
	return 0;
}

static int plan(struct arena *a, const mount_request *m, const struct image_table *images, struct mount_info *ret,
		struct cb_error *err)
{
	*ret = (struct mount_info){
		.container_path = arena_strdup(a, m->container_path), .host_path = arena_strdup(a, m->host_path),
		.readonly = m->readonly, .selinux_relabel = m->selinux_relabel, .recursive_read_only = m->recursive_read_only,
		.propagation = (int)m->propagation,
	};
	if (m->n_mount_options) {
		ret->options = arena_alloc(a, (m->n_mount_options + 1) * sizeof(*ret->options));
		for (size_t i = 0; ret->options && i < m->n_mount_options; i++)
			ret->options[i] = arena_strdup(a, m->mount_options[i]);
	}
	return plan_image(a, m, images, ret, err);
}

int container_volumes_plan(struct container_info *i, const Runtime__V1__ContainerConfig *q, const struct runtime_handler *h,
			   const struct image_table *images, struct cb_error *err)
{
	size_t n;
	int r;

	i->mounts = arena_alloc(&i->arena, q->n_mounts * sizeof(*i->mounts));
	if (!i->mounts)
		return err_oom(err);
	for (n = 0; n < q->n_mounts; n++) {
		r = check(q->mounts[n], h, err);
		if (!r)
			r = plan(&i->arena, q->mounts[n], images, &i->mounts[n], err);
		if (r)
			return r;
	}
	i->n_mounts = q->n_mounts;
	return arena_failed(&i->arena) ? err_oom(err) : 0;
}

/* ---- host paths ---- */

static int source_path(struct container_spec *b, const char *host_path, char **ret, struct cb_error *err)
{
	_cleanup_free_ char *path = strf("%s%s", b->sv->config->bind_mount_prefix, host_path);
	char *resolved;
	struct stat st;
	int r;

	if (!path)
		return err_oom(err);
	if (lstat(path, &st) < 0) {
		if (errno != ENOENT)
			return err_sys(err, "look at mount source %s", path);
		if (strv_has(b->sv->config->absent_mount_sources_to_reject, host_path))
			return err_set(err, E_INVALID, "cannot mount %s: path does not exist and will cause issues as a directory", host_path);
		r = mkdir_p(path, 0755);
		if (r)
			return err_sysr(err, r, "make missing mount source %s", path);
	} else if (S_ISLNK(st.st_mode)) {
		resolved = realpath(path, NULL);
		if (!resolved)
			return err_sys(err, "resolve mount source %s", path);
		free(path);
		path = resolved;
	}
	*ret = take(path);
	return 0;
}

/* Propagation of the host mount that path lies on: the mount's id, and its line in /proc/self/mountinfo. */
static int host_propagation(const char *path, bool *ret_shared, bool *ret_slave, struct cb_error *err)
{
	_cleanup_free_ char *text = NULL;
	unsigned long long id;
	char *line, *save = NULL;
	struct statx st;
	int r, skip;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) < 0)
		return err_sys(err, "look at %s", path);
	r = read_file("/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL);
	if (r)
		return err_sysr(err, r, "read /proc/self/mountinfo");
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		skip = 0;
		if (sscanf(line, "%llu %*d %*s %*s %*s %*s %n", &id, &skip) != 1 || id != st.stx_mnt_id || !skip)
			continue;
		line[skip + (int)strcspn(line + skip, "-")] = '\0';
		*ret_shared = strstr(line + skip, "shared:");
		*ret_slave = strstr(line + skip, "master:");
		return 0;
	}
	return err_set(err, E_NOT_FOUND, "the mount that %s is on is not in /proc/self/mountinfo", path);
}

/* A container that sees the store must not keep other containers' mounts alive. */
static bool contains_store(const struct container_spec *b, const char *path)
{
	const char *root = cstore_graph_root(b->sv->store);
	size_t n = streq(path, "/") ? 0 : strlen(path);

	return !strncmp(root, path, n) && (!root[n] || root[n] == '/');
}

/*
 * The mount's own option, and what the root needs for it: of several mounts the one that shares both
 * ways decides, whichever comes first.
 */
static int set_propagation(struct container_spec *b, const mount_request *m, const char *source, bool *root_shared,
			   const char **ret, struct cb_error *err)
{
	const bool both = m->propagation == RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL;
	bool shared = false, slave = false;
	int r;

	*ret = "rprivate";
	if (is_private(m) && !contains_store(b, source))
		return 0;
	r = host_propagation(source, &shared, &slave, err);
	if (r)
		return r;
	if (both && !shared)
		return err_set(err, E_INVALID, "path %s is mounted on a host mount that is not shared", source);
	if (m->propagation == RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER && !shared && !slave)
		return err_set(err, E_INVALID, "path %s is mounted on a host mount that is neither shared nor slave", source);
	*ret = both ? "rshared" : "rslave";
	*root_shared |= both;
	return container_spec_result(b, ocispec_set_rootfs_propagation(b->spec, *root_shared ? "rshared" : "rslave"),
				     "the propagation of the root", err);
}

/* ---- image volumes ---- */

static char *volume_path(const struct container_info *i, size_t n)
{
	return strf("%s/image-volumes/%zu", i->run_dir, n);
}

/* Something of the kind of what is to be mounted there. */
static int make_target(const char *path, mode_t kind, struct cb_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = mkdir_p(path, 0711);

	if (r)
		return err_sysr(err, r, "make %s", path);
	if (S_ISDIR(kind))
		return 0;
	if (rmdir(path) < 0)
		return err_sys(err, "make %s", path);
	fd = open(path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(err, "make %s", path) : 0;
}

/* A clone of sub_path of what is mounted at root, on target. */
static int clone_mount(const char *root, const char *sub_path, const char *target, struct cb_error *err)
{
	_cleanup_close_ int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), at = -1, tree = -1;
	struct stat st;
	int r;

	if (dir < 0)
		return err_sys(err, "open %s", root);
	at = open_in_root(dir, *sub_path ? sub_path : ".", O_PATH, 0);
	if (at < 0)
		return err_set(err, E_INVALID, "path %s: %s", sub_path, strerror(-at));
	if (fstat(at, &st) < 0)
		return err_sys(err, "look at %s", sub_path);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(err, E_INVALID, "path %s is neither a directory nor a file", sub_path);
	r = make_target(target, st.st_mode, err);
	if (r)
		return r;
	tree = open_tree(at, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0)
		return err_sys(err, "clone the mount of %s", root);
	if (move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, "mount on %s", target);
	return 0;
}

static int mount_image(struct container_spec *b, const struct mount_info *m, const char *target, struct cb_error *err)
{
	struct cstore_mount_options o = { .size = sizeof(o), .read_only = 1 };
	_cleanup_free_ char *path = NULL;
	struct cstore_image *image = NULL;
	struct cstore_error e = { 0 };
	const char *layer;
	int r = cstore_image_lookup(b->sv->store, m->image, &image, &e);

	if (r)
		return err_from_cstore(err, r, &e);
	layer = cstore_image_top_layer(image);
	r = cstore_layer_mount(b->sv->store, layer, &o, &path, &e);
	if (r) {
		r = err_from_cstore(err, r, &e);
	} else {
		r = clone_mount(path, m->image_sub_path, target, err);
		cstore_layer_unmount(b->sv->store, layer, 0, NULL);
	}
	cstore_image_free(image);
	return r;
}

void container_volumes_unmount(const struct container_info *i)
{
	for (size_t n = 0; n < i->n_mounts; n++) {
		_cleanup_free_ char *path = i->mounts[n].image ? volume_path(i, n) : NULL;

		if (path)
			umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
}

/* ---- config.json ---- */

static int map_ids(struct container_spec *b, const mount_request *m)
{
	size_t i;
	int r = 0;

	for (i = 0; i < m->n_uidmappings && !r; i++)
		r = ocispec_add_mount_id_mapping(b->spec, m->container_path, 0, m->uidmappings[i]->container_id,
						 m->uidmappings[i]->host_id, m->uidmappings[i]->length);
	for (i = 0; i < m->n_gidmappings && !r; i++)
		r = ocispec_add_mount_id_mapping(b->spec, m->container_path, 1, m->gidmappings[i]->container_id,
						 m->gidmappings[i]->host_id, m->gidmappings[i]->length);
	return r;
}

static int put_mount(struct container_spec *b, const mount_request *m, const char *source, const char *propagation,
		     struct cb_error *err)
{
	_cleanup_strv_ char **options = NULL;
	const char *const usual[] = { "rbind", propagation, m->recursive_read_only ? "rro" : m->readonly ? "ro" : "rw" };
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(usual) && !r; i++)
		r = strv_push(&options, usual[i]);
	for (i = 0; i < m->n_mount_options && !r; i++)
		r = strv_push(&options, m->mount_options[i]);
	if (!r)
		r = ocispec_set_mount(b->spec, m->container_path, "bind", source, (const char *const *)options);
	return container_spec_result(b, r, "a mount", err);
}

static int add_image(struct container_spec *b, size_t n, struct cb_error *err)
{
	const struct mount_info *m = &b->info->mounts[n];
	_cleanup_free_ char *path = volume_path(b->info, n);
	int r = path ? mount_image(b, m, path, err) : err_oom(err);

	if (r)
		return err_ctx(err, r, "ImageVolumeMountFailed: image %s on %s", m->image_ref, m->container_path);
	return put_mount(b, b->make->config->mounts[n], path, "rprivate", err);
}

static int add_host_path(struct container_spec *b, const mount_request *m, bool *root_shared, struct cb_error *err)
{
	_cleanup_free_ char *source = NULL;
	const char *propagation;
	int r = source_path(b, m->host_path, &source, err);

	if (!r)
		r = set_propagation(b, m, source, root_shared, &propagation, err);
	if (!r && m->selinux_relabel && b->sv->selinux && !b->info->privileged)
		r = selinux_relabel(source, b->info->mount_label, err);
	if (!r)
		r = put_mount(b, m, source, propagation, err);
	return r ? r : container_spec_result(b, map_ids(b, m), "an id mapping of a mount", err);
}

int container_spec_volumes(struct container_spec *b, struct cb_error *err)
{
	const Runtime__V1__ContainerConfig *c = b->make->config;
	bool root_shared = false;
	size_t n;
	int r = 0;

	for (n = 0; n < c->n_mounts && !r; n++)
		r = b->info->mounts[n].image ? add_image(b, n, err) : add_host_path(b, c->mounts[n], &root_shared, err);
	return r;
}
