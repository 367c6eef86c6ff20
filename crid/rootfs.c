/* SPDX-License-Identifier: Apache-2.0 */
/* See rootfs.h. */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "errors.h"
#include "rootfs.h"

/* The parent of path is open at dir; makes the one component and opens it. */
static int mkdir_one(int root_fd, const char *path, int dir, const char *name, uint32_t uid, uint32_t gid)
{
	int fd;

	if (mkdirat(dir, name, 0755) < 0)
		return errno == EEXIST ? -ENOTDIR : -errno;
	fd = open_beneath(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	if (fchown(fd, uid, gid) < 0) {
		close_fd(fd);
		return -errno;
	}
	return fd;
}

int rootfs_mkdir_p(int root_fd, const char *path, uint32_t uid, uint32_t gid, struct cb_error *err)
{
	_cleanup_close_ int dir = open_in_root(root_fd, ".", O_PATH | O_DIRECTORY, 0);
	char prefix[PATH_MAX];
	size_t end = 0, start;
	int fd;

	if (strlen(path) >= sizeof(prefix))
		return err_sysr(err, -ENAMETOOLONG, "make directory %.100s... in the root file system", path);
	if (dir < 0)
		return err_sysr(err, dir, "open the root file system");
	for (;;) {
		start = end + strspn(path + end, "/");
		if (!path[start])
			return 0;
		end = start + strcspn(path + start, "/");
		memcpy(prefix, path, end);
		prefix[end] = '\0';
		/* the whole prefix from the root again: a component may be a symlink to anywhere inside */
		fd = open_in_root(root_fd, prefix, O_PATH | O_DIRECTORY, 0);
		if (fd == -ENOENT && !streq(prefix + start, ".") && !streq(prefix + start, ".."))
			fd = mkdir_one(root_fd, prefix, dir, prefix + start, uid, gid);
		if (fd < 0)
			return err_sysr(err, fd, "make directory %s in the root file system", prefix);
		close_fd(dir);
		dir = fd;
	}
}

int rootfs_link_mtab(int root_fd, uint32_t uid, uint32_t gid, struct cb_error *err)
{
	_cleanup_close_ int etc = open_in_root(root_fd, "etc", O_PATH | O_DIRECTORY, 0);

	if (etc == -ENOENT || etc == -ENOTDIR || etc == -ELOOP)
		return 0;
	if (etc < 0)
		return err_sysr(err, etc, "open /etc of the root file system");
	if (symlinkat("/proc/mounts", etc, "mtab") < 0)
		return errno == EEXIST || errno == EROFS ? 0 : err_sys(err, "link /etc/mtab of the root file system");
	if (fchownat(etc, "mtab", uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "own /etc/mtab of the root file system");
	return 0;
}
