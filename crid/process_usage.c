/* SPDX-License-Identifier: Apache-2.0 */
/* See process_usage.h. Processes come and go meanwhile; one that is gone counts nothing. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "cgroup.h"
#include "process_usage.h"

#define PROCS_MAX (64u << 10)	/* bytes of one cgroup.procs */
#define DEPTH_MAX 8

static void count_descriptors(pid_t pid, struct process_usage *u)
{
	char path[32], target[8];
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	int left = PROCESS_USAGE_MAX;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d && left-- && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		u->descriptors++;
		/* "socket:[123]"; the rest does not matter */
		if (readlinkat(dirfd(d), e->d_name, target, sizeof(target)) == sizeof(target) && memcmp(target, "socket:[", 8) == 0)
			u->sockets++;
	}
}

static void count_processes(int dir, int depth, struct process_usage *u)
{
	_cleanup_free_ char *list = NULL;
	_cleanup_closedir_ DIR *d = NULL;
	char *p, *end;
	struct dirent *e;
	int fd;

	if (!read_file_at(dir, "cgroup.procs", PROCS_MAX, &list, NULL))
		for (p = list; u->processes < PROCESS_USAGE_MAX && *p; p = *end ? end + 1 : end) {
			pid_t pid = (pid_t)strtol(p, &end, 10);

			if (end == p)
				break;
			u->processes++;
			count_descriptors(pid, u);
		}
	fd = depth < DEPTH_MAX ? openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		close_fd(fd);
	while (d && (e = readdir(d))) {
		_cleanup_close_ int child = -1;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		child = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0)
			count_processes(child, depth + 1, u);
	}
}

bool process_usage_read(const char *cgroup, pid_t init, struct process_usage *ret)
{
	_cleanup_close_ int dir = cgroup_open(cgroup, cgroup_v2() ? "" : "memory");
	struct process_usage u = { 0 };
	struct rlimit limit;

	if (dir < 0)
		return false;
	count_processes(dir, 0, &u);
	u.max_open_files = UINT64_MAX;
	if (init > 0 && !prlimit(init, RLIMIT_NOFILE, NULL, &limit) && limit.rlim_cur != RLIM_INFINITY)
		u.max_open_files = limit.rlim_cur;
	*ret = u;
	return true;
}
