/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private root. unshare(CLONE_NEWNS) alone would copy every mount of the machine, and so keep
 * the root file systems of containers and the pins of network namespaces alive as long as the pull
 * takes. So the new tree is made of clones of single mounts (open_tree without AT_RECURSIVE), and
 * the copy of the old tree is dropped within the same few system calls.
 *
 * Which mounts: for each path, all mounts that an absolute lookup of it passes. Everything is
 * private (nothing mounted later on the host arrives), without set-user-id and without devices,
 * and read-only unless the path is for writing.
 */
#include "sandbox.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cbase/cleanup.h>
#include <cbase/str.h>

/* <sys/mount.h> and <linux/mount.h> cannot both be included with this C library. */
#define MS_REC_ 16384ul
#define MS_PRIVATE_ (1ul << 18)
#define MNT_DETACH_ 2

#define TREE_MAX 64		/* mounts of the new root */

struct node {
	char *path;		/* real path */
	int fd;			/* detached clone; closed once attached */
	bool writable;
};

struct tree {
	struct node nodes[TREE_MAX];
	size_t n;
};

static void tree_done(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->nodes[i].path);
		close_fd(t->nodes[i].fd);
	}
}

static bool path_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/' || streq(dir, "/"));
}

static struct node *tree_find(struct tree *t, const char *path)
{
	for (size_t i = 0; i < t->n; i++) {
		if (streq(t->nodes[i].path, path))
			return &t->nodes[i];
	}
	return NULL;
}

/* What a lookup of path ends in so far. */
static const struct node *tree_cover(const struct tree *t, const char *path)
{
	const struct node *best = &t->nodes[0];

	for (size_t i = 0; i < t->n; i++) {
		if (path_below(path, t->nodes[i].path) &&
		    strlen(t->nodes[i].path) > strlen(best->path))
			best = &t->nodes[i];
	}
	return best;
}

static int set_attributes(int fd, enum root_access access)
{
	struct mount_attr a = {
		.attr_set = MOUNT_ATTR_NOSUID,
		.propagation = MS_PRIVATE_,
	};

	if (access != ROOT_WRITE)
		a.attr_set |= MOUNT_ATTR_RDONLY;
	else
		a.attr_set |= MOUNT_ATTR_NOEXEC;
	if (access != ROOT_DEVICES)
		a.attr_set |= MOUNT_ATTR_NODEV;
	return syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0 ? -errno : 0;
}

static int tree_add(struct tree *t, const char *path, enum root_access access, struct cb_error *err)
{
	struct node *n = &t->nodes[t->n];
	int r;

	if (t->n == TREE_MAX)
		return err_sysr(err, -E2BIG, "private root: %s", path);
	n->fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (n->fd < 0)
		return err_sys(err, "private root: clone the mount of %s", path);
	n->writable = access == ROOT_WRITE;
	n->path = strdup(path);
	t->n++;
	if (!n->path)
		return err_oom(err);
	r = set_attributes(n->fd, access);
	return r ? err_sysr(err, r, "private root: change the mount of %s", path) : 0;
}

static int mount_id(const char *path, uint64_t *ret)
{
	struct statx st;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_MNT_ID, &st) < 0)
		return -errno;
	if (!(st.stx_mask & STATX_MNT_ID))
		return -ENOSYS;
	*ret = st.stx_mnt_id;
	return 0;
}

/* One directory on the way: a mount begins here if its id is not its parent's. */
static int tree_pass(struct tree *t, const char *prefix, uint64_t *id, bool last,
		     enum root_access access, struct cb_error *err)
{
	uint64_t here;
	int r = mount_id(prefix, &here);
	bool begins;

	if (r)
		return err_sysr(err, r, "private root: %s", prefix);
	begins = here != *id;
	*id = here;
	if (tree_find(t, prefix))
		return 0;
	if (last && access == ROOT_WRITE)
		begins |= !tree_cover(t, prefix)->writable;
	return begins ? tree_add(t, prefix, last ? access : ROOT_READ, err) : 0;
}

static int tree_add_path(struct tree *t, const struct root_path *p, struct cb_error *err)
{
	_cleanup_free_ char *real = realpath(p->path, NULL);
	uint64_t id;
	int r;

	if (!real && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (!real)
		return err_sys(err, "private root: %s", p->path);
	r = mount_id("/", &id);
	if (r)
		return err_sysr(err, r, "private root");
	for (char *s = real + 1; *s; s++) {
		char *end = strchrnul(s, '/'), saved = *end;

		*end = '\0';
		r = tree_pass(t, real, &id, saved == '\0', p->access, err);
		*end = saved;
		if (r)
			return r;
		s = end;
		if (!saved)
			break;
	}
	return 0;
}

static int move(int fd, const char *to)
{
	if (syscall(SYS_move_mount, fd, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

/* From here on in the new namespace. The old tree goes as soon as the new root stands. */
static int tree_enter(struct tree *t, struct cb_error *err)
{
	int r;

	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, "private root: unshare the mount namespace");
	if (syscall(SYS_mount, NULL, "/", NULL, MS_REC_ | MS_PRIVATE_, NULL) < 0)
		return err_sys(err, "private root: make mounts private");
	r = move(t->nodes[0].fd, "/");
	if (r)
		return err_sysr(err, r, "private root: attach");
	if (fchdir(t->nodes[0].fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(err, "private root: change to it");
	if (syscall(SYS_umount2, ".", MNT_DETACH_) < 0 || chdir("/") < 0)
		return err_sys(err, "private root: leave the old one");
	for (size_t i = 1; i < t->n; i++) {
		r = move(t->nodes[i].fd, t->nodes[i].path);
		if (r)
			return err_sysr(err, r, "private root: attach %s", t->nodes[i].path);
	}
	return 0;
}

int sandbox_root(const struct root_path *paths, size_t n, struct cb_error *err)
{
	_cleanup_(tree_done) struct tree t = { .n = 0 };
	int r;

	r = tree_add(&t, "/", ROOT_READ, err);
	for (size_t i = 0; !r && i < n; i++)
		r = tree_add_path(&t, &paths[i], err);
	return r ? r : tree_enter(&t, err);
}
