/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pin. Everything goes by descriptor, so a name is resolved once. The file is new (O_EXCL) and
 * mode 0000, as CRI-O's. Directories that were made stay also when undone: another pinns may be
 * using them by now, and CRI-O leaves them as well.
 */
#include "pin.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

static int open_ns_dir(int base, const char *ns_name, struct cb_error *err)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "%sns", ns_name);
	if (mkdirat(base, name, 0755) < 0 && errno != EEXIST)
		return err_sys(err, "make directory %s", name);
	fd = openat(base, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "open directory %s", name) : fd;
}

static int bind_ns(int ns_fd, int file, const char *ns_name, struct cb_error *err)
{
	char source[64], target[64];

	snprintf(source, sizeof(source), "/proc/self/fd/%d", ns_fd);
	snprintf(target, sizeof(target), "/proc/self/fd/%d", file);
	if (mount(source, target, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, "bind the %s namespace", ns_name);
	return 0;
}

int pin_make(int base, const char *ns_name, const char *file, int ns_fd, struct pin *ret,
	     struct cb_error *err)
{
	_cleanup_close_ int dir = -1, fd = -1;
	int r;

	dir = open_ns_dir(base, ns_name, err);
	if (dir < 0)
		return dir;
	fd = openat(dir, file, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "make %sns/%s", ns_name, file);
	r = bind_ns(ns_fd, fd, ns_name, err);
	if (r) {
		unlinkat(dir, file, 0);
		return r;
	}
	ret->file = file;
	ret->dir = take_fd(dir);
	return 0;
}

void pin_undo(struct pin *p)
{
	char path[64 + 256];

	if (p->dir < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", p->dir, p->file);
	umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	unlinkat(p->dir, p->file, 0);
	p->dir = close_fd(p->dir);
}
