/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Id-mapped mounts: the layers of an image keep their owners on disk, and a container in a user namespace
 * sees them as its own. The kernel takes the mapping from a user namespace, which lives in
 * a child that does nothing but wait; the descriptor keeps it when the child is gone.
 *
 * The child is made without a signal for its end, so that whoever collects children in this process does
 * not meet it, and shares nothing that it could change: it only reads one byte and exits.
 */
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "mount.h"

static int write_map(pid_t pid, const char *name, const struct id_range *ranges, size_t count)
{
	_cleanup_free_ char *path = strf("/proc/%d/%s", (int)pid, name);
	_cleanup_str_ struct str text = STR_INIT;
	_cleanup_close_ int fd = -1;

	for (size_t i = 0; i < count; i++)
		str_appendf(&text, "%u %u %u\n", ranges[i].inside, ranges[i].outside,
			    ranges[i].count);
	if (!path || str_failed(&text))
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, text.data, text.len) == (ssize_t)text.len ? 0 : -errno;
}

static int open_userns(pid_t pid, const struct id_maps *maps)
{
	_cleanup_free_ char *path = strf("/proc/%d/ns/user", (int)pid);
	int r, fd;

	if (!path)
		return -ENOMEM;
	r = write_map(pid, "uid_map", maps->uids, maps->uid_count);
	if (!r)
		r = write_map(pid, "gid_map", maps->gids, maps->gid_count);
	if (r)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int idmap_userns(const struct id_maps *maps)
{
	int ends[2], r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		char c;

		close(ends[1]);
		while (read(ends[0], &c, 1) < 0 && errno == EINTR)
			;
		_exit(0);
	}
	r = pid < 0 ? -errno : open_userns(pid, maps);
	close(ends[0]);
	close(ends[1]);
	while (pid > 0 && waitpid(pid, NULL, __WCLONE) < 0 && errno == EINTR)
		;
	return r;
}

int idmap_mount(const char *directory, const char *target, int userns)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns };
	_cleanup_close_ int tree = open_tree(AT_FDCWD, directory, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0)
		return errno == ENOSYS ? -EOPNOTSUPP : -errno;
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
	return move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}
