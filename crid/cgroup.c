/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See cgroup.h. /proc/self/cgroup names the hierarchies: "0::" is cgroup2 (mounted at /sys/fs/cgroup, or
 * on hybrid hosts somewhere below), every other line one v1 hierarchy with its controllers.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "cgroup.h"
#include "errors.h"

#define ROOT "/sys/fs/cgroup"
#define PROC_MAX (1u << 20)
#define DEPTH_MAX 16		/* cgroups below a container's that are removed with it */

bool cgroup_v2(void)
{
	struct statfs fs;

	return statfs(ROOT, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* Mount points of all v1 hierarchies, or the one of v2; NULL when out of memory or nothing is there. */
static char **hierarchies(void)
{
	_cleanup_free_ char *text = NULL;
	char *line, *save = NULL, point[4096], type[64], *dash;
	_cleanup_strv_ char **v = NULL;

	if (cgroup_v2())
		return strv_push(&v, ROOT) ? NULL : take(v);
	if (read_file("/proc/self/mountinfo", PROC_MAX * 64, &text, NULL))
		return NULL;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		dash = strstr(line, " - ");
		if (!dash || sscanf(line, "%*d %*d %*s %*s %4095s", point) != 1 || sscanf(dash + 3, "%63s", type) != 1)
			continue;
		/* the same hierarchy may be mounted again inside a container's root file system */
		if (streq(type, "cgroup") && str_starts(point, ROOT "/") && !strchr(point + strlen(ROOT "/"), '/') && strv_push(&v, point))
			return NULL;
	}
	return take(v);
}

bool cgroup_has_controller(const char *name)
{
	_cleanup_free_ char *text = NULL;
	char *line, *save = NULL, *field, *save2;

	if (cgroup_v2()) {
		if (read_file(ROOT "/cgroup.controllers", PROC_MAX, &text, NULL))
			return false;
		for (field = strtok_r(text, " \n", &save); field; field = strtok_r(NULL, " \n", &save))
			if (streq(field, name))
				return true;
		return false;
	}
	if (read_file("/proc/self/cgroup", PROC_MAX, &text, NULL))
		return false;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		field = strchr(line, ':');
		if (!field)
			continue;
		for (field = strtok_r(field + 1, ",:", &save2); field && *field != '/'; field = strtok_r(NULL, ",:", &save2))
			if (streq(field, name))
				return true;
	}
	return false;
}

bool cgroup_has_swap(void)
{
	struct stat st;

	if (!cgroup_v2())
		return stat(ROOT "/memory/memory.memsw.limit_in_bytes", &st) == 0;
	/* the root has no such file: swap accounting is there when the kernel has swap control compiled in */
	return cgroup_has_controller("memory") && stat("/proc/swaps", &st) == 0;
}

int cgroup_path(const char *parent, const char *id, char **ret, struct cb_error *err)
{
	const char *p = *parent ? parent : "/crio";
	size_t n = strlen(p);
	char *path;

	if (str_ends(p, ".slice"))
		return err_set(err, E_INVALID, "cgroup_parent %s is a systemd slice, but cgroup_manager is cgroupfs", p);
	if (*p != '/' || strstr(p, "/../") || str_ends(p, "/..") || n > 4000)
		return err_set(err, E_INVALID, "cgroup_parent \"%.200s\" is not an absolute path without \"..\"", p);
	for (; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(err, E_INVALID, "cgroup_parent \"%.200s\" has a control byte", parent);
	p = *parent ? parent : "/crio";
	while (n > 1 && p[n - 1] == '/')
		n--;
	path = strf("%.*s/crio-%s", (int)(n == 1 ? 0 : n), p, id);
	if (!path)
		return err_oom(err);
	*ret = path;
	return 0;
}

/* A v1 cpuset cgroup is born without cpus and mems and refuses processes until it has some. */
static int inherit_cpuset(const char *dir)
{
	static const char *const names[] = { "cpuset.cpus", "cpuset.mems" };
	size_t i, n;
	int r;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *own = strf("%s/%s", dir, names[i]), *parent = strf("%s/../%s", dir, names[i]), *text = NULL;
		_cleanup_close_ int fd = -1;

		if (!own || !parent)
			return -ENOMEM;
		r = read_file(parent, PROC_MAX, &text, &n);
		if (r)
			return r == -ENOENT ? 0 : r;
		fd = open(own, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		if (n > 1)
			r = write_all(fd, text, n);
		if (r)
			return r;
	}
	return 0;
}

/* Every component of path below the hierarchy's mount point. */
static int make_in(const char *hierarchy, const char *path)
{
	bool cpuset = strstr(hierarchy, "cpuset");
	size_t end = 0;
	int r;

	for (;;) {
		_cleanup_free_ char *dir = NULL;

		end += strspn(path + end, "/");
		if (!path[end])
			return 0;
		end += strcspn(path + end, "/");
		dir = strf("%s%.*s", hierarchy, (int)end, path);
		if (!dir)
			return -ENOMEM;
		if (mkdir(dir, 0755) < 0) {
			if (errno != EEXIST)
				return -errno;
			continue;
		}
		r = cpuset ? inherit_cpuset(dir) : 0;
		if (r)
			return r;
	}
}

int cgroup_make(const char *path, struct cb_error *err)
{
	_cleanup_strv_ char **all = hierarchies();
	char **h;
	int r;

	for (h = all; h && *h; h++) {
		r = make_in(*h, path);
		if (r)
			return err_sysr(err, r, "make cgroup %s%s", *h, path);
	}
	return 0;
}

/* Children first; what is not empty stays and is told. */
static int remove_at(int dirfd, const char *name, int depth)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	int fd, r = 0;

	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	if (depth == DEPTH_MAX)
		return -EBUSY;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		close_fd(fd);
		return -ENOMEM;
	}
	while (!r && (e = readdir(d)))
		if (e->d_type == DT_DIR && *e->d_name != '.')
			r = remove_at(fd, e->d_name, depth + 1);
	if (!r && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

int cgroup_remove(const char *path, struct cb_error *err)
{
	_cleanup_strv_ char **all = hierarchies();
	char **h;
	int r = 0, one;

	for (h = all; h && *h; h++) {
		_cleanup_free_ char *dir = strf("%s%s", *h, path);

		one = dir ? remove_at(AT_FDCWD, dir, 0) : -ENOMEM;
		if (one && !r)
			r = err_sysr(err, one, "remove cgroup %s%s", *h, path);
	}
	return r;
}
