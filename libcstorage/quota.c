/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Project quotas. A project is a number that directories pass on to what is made in them. The next free
 * number is one more than the highest of all layers, found by asking each directory of the home: only the
 * stores that use quotas pay for it, and nothing has to be kept that could be lost.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include "quota.h"

#define PROJECTS_FROM 100000u /* below are the administrator's */

static int project_of(int dir, const char *name, uint32_t *ret)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct fsxattr x;

	if (fd < 0 || ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0)
		return -errno;
	*ret = x.fsx_projid;
	return 0;
}

static int next_project(const char *home, uint32_t *ret)
{
	_cleanup_closedir_ DIR *d = opendir(home);
	uint32_t highest = PROJECTS_FROM, id = 0;
	struct dirent *e;

	if (!d)
		return -errno;
	while ((e = readdir(d)))
		if (id_valid(e->d_name) && !project_of(dirfd(d), e->d_name, &id) && id > highest)
			highest = id;
	*ret = highest + 1;
	return highest == UINT32_MAX ? -ENOSPC : 0;
}

static int join(int fd, uint32_t project)
{
	struct fsxattr x;

	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0)
		return -errno;
	x.fsx_projid = project;
	x.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	return ioctl(fd, FS_IOC_FSSETXATTR, &x) < 0 ? -errno : 0;
}

static int limit(int fd, uint32_t project, uint64_t bytes, uint64_t inodes)
{
	struct fs_disk_quota q = {
		.d_version = FS_DQUOT_VERSION,
		.d_flags = FS_PROJ_QUOTA,
		.d_fieldmask = FS_DQ_BHARD | FS_DQ_BSOFT | FS_DQ_IHARD | FS_DQ_ISOFT,
		.d_id = project,
		.d_blk_hardlimit = (bytes + 511) / 512,
		.d_blk_softlimit = (bytes + 511) / 512,
		.d_ino_hardlimit = inodes,
		.d_ino_softlimit = inodes,
	};

	return syscall(SYS_quotactl_fd, fd, QCMD(Q_XSETQLIM, PRJQUOTA), project, &q) < 0 ? -errno
											     : 0;
}

int quota_set(const char *home, const char *dir, uint64_t bytes, uint64_t inodes,
	      struct cstore_error *err)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	uint32_t project = 0;
	int r;

	if (fd < 0)
		return err_sys(err, "open %s", dir);
	r = next_project(home, &project);
	if (!r) /* the limit first: a directory never is in a project without one */
		r = limit(fd, project, bytes, inodes);
	if (!r)
		r = join(fd, project);
	if (r == -ESRCH || r == -ENOSYS || r == -ENOTTY || r == -EINVAL)
		r = -EOPNOTSUPP;
	return r ? err_sysr(err, r, "limit the size of %s by a project quota", dir) : 0;
}
