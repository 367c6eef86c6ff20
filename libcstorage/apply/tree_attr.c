/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owner, mode, extended attributes, times: in this order, because changing the owner clears
 * set-user-id bits and capabilities.
 *
 * Attributes that overlayfs keeps for itself are dropped: only whiteouts may set those. SELinux
 * labels are the host's business.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cbase/err.h>
#include "tree.h"

bool attr_wanted(const char *name, bool userns)
{
	static const char *const dropped[] = { "trusted.overlay.", "user.overlay.",
					       "security.selinux" };

	for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
		if (str_starts(name, dropped[i]))
			return false;
	if (userns && str_starts(name, "trusted."))
		return false;
	return *name && strlen(name) <= 255;
}

void attr_times(const struct tar_member *m, struct timespec out[2])
{
	bool atime_later =
		m->atime.tv_sec > m->mtime.tv_sec ||
		(m->atime.tv_sec == m->mtime.tv_sec && m->atime.tv_nsec > m->mtime.tv_nsec);

	out[0] = atime_later ? m->atime : m->mtime;
	out[1] = m->mtime;
}

/* A file system without this kind of attribute is no reason to refuse an image. */
static int xattr_result(const struct tar_member *m, const struct tar_xattr *x, int r, bool userns,
			struct cstore_error *err)
{
	if (r == 0 || errno == ENOTSUP || (errno == EPERM && userns))
		return 0;
	return err_sys(err, "set attribute %.100s of %.300s", x->name, m->name);
}

int attr_set_fd(const struct tar_member *m, int fd, bool userns, struct cstore_error *err)
{
	int r;

	if (fchown(fd, m->uid, m->gid) < 0)
		return err_sys(err, "set owner of %.300s to %u:%u", m->name, m->uid, m->gid);
	if (fchmod(fd, m->mode) < 0)
		return err_sys(err, "set mode of %.300s", m->name);
	for (size_t i = 0; i < m->xattr_count; i++) {
		const struct tar_xattr *x = &m->xattrs[i];

		if (!attr_wanted(x->name, userns))
			continue;
		r = xattr_result(m, x, fsetxattr(fd, x->name, x->value, x->len, 0), userns, err);
		if (r)
			return r;
	}
	return 0;
}

static int set_dir(const struct tar_member *m, int dirfd, const char *name, bool userns,
		   struct cstore_error *err)
{
	_cleanup_close_ int fd =
		openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(err, "open %.300s", m->name) : attr_set_fd(m, fd, userns, err);
}

/* There is no call for attributes of what cannot be opened; the path leads through our own descriptor. */
static int set_xattrs_at(const struct tar_member *m, int dirfd, const char *name, bool userns,
			 struct cstore_error *err)
{
	_cleanup_free_ char *path = m->xattr_count ? strf("/proc/self/fd/%d/%s", dirfd, name)
						   : NULL;
	int r;

	if (m->xattr_count && !path)
		return err_oom(err);
	for (size_t i = 0; i < m->xattr_count; i++) {
		const struct tar_xattr *x = &m->xattrs[i];

		if (!attr_wanted(x->name, userns) || str_starts(x->name, "user."))
			continue; /* the kernel has no user.* here */
		r = xattr_result(m, x, lsetxattr(path, x->name, x->value, x->len, 0), userns, err);
		if (r)
			return r;
	}
	return 0;
}

int attr_set_at(const struct tar_member *m, int dirfd, const char *name, bool userns, struct cstore_error *err)
{
	struct timespec times[2];
	int r;

	if (m->type == TAR_DIR)
		return set_dir(m, dirfd, name, userns, err);
	if (fchownat(dirfd, name, m->uid, m->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "set owner of %.300s to %u:%u", m->name, m->uid, m->gid);
	/* what is no link cannot be followed: nobody else changes this tree */
	if (m->type != TAR_SYMLINK && fchmodat(dirfd, name, m->mode, 0) < 0)
		return err_sys(err, "set mode of %.300s", m->name);
	r = set_xattrs_at(m, dirfd, name, userns, err);
	if (r)
		return r;
	attr_times(m, times);
	if (utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "set times of %.300s", m->name);
	return 0;
}
