/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon as the kernel sees it. Nothing here needs the daemon's help, so every server is measured
 * alike. CPU time is the process's clock, which is utime + stime of all its threads, ended ones too,
 * in nanoseconds where /proc/PID/stat has ticks; children are not in it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cbase/io.h>
#include "bench.h"

#define PROC_FILE_MAX (64u << 10)

int proc_peer(const char *endpoint, pid_t *ret)
{
	_cleanup_close_ int fd = unix_connect(endpoint);
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (fd < 0)
		return fd;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n))
		return -errno;
	*ret = peer.pid;
	return 0;
}

int64_t proc_cpu_ns(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (pid <= 0 || clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		return -1;
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The value in bytes of a line "Name:   123 kB". */
static double kilobytes(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	return p ? strtod(p + strlen(name), NULL) * 1024 : NAN;
}

void proc_memory(pid_t pid, struct memory *ret)
{
	_cleanup_free_ char *text = NULL;
	char path[64];

	*ret = (struct memory){ NAN, NAN };
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	if (pid <= 0 || read_file(path, PROC_FILE_MAX, &text, NULL))
		return;
	ret->pss = kilobytes(text, "\nPss:");
	ret->private_dirty = kilobytes(text, "\nPrivate_Dirty:");
}

static bool is_monitor(const char *comm)
{
	return str_starts(comm, "conmon") || str_starts(comm, "containerd-shim");
}

static bool names_one(const char *cmdline, size_t len, const struct made_pod *pods, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const char *pod = pods[i].pod, *container = pods[i].container;

		if ((pod && memmem(cmdline, len, pod, strlen(pod))) ||
		    (container && memmem(cmdline, len, container, strlen(container))))
			return true;
	}
	return false;
}

size_t proc_monitors(const struct made_pod *pods, size_t n, struct memory *ret)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	struct dirent *e;
	size_t found = 0;

	*ret = (struct memory){ 0, 0 };
	while (d && (e = readdir(d))) {
		_cleanup_free_ char *comm = NULL, *cmdline = NULL;
		char path[300];
		struct memory m;
		size_t len;

		snprintf(path, sizeof(path), "%s/comm", e->d_name);
		if (e->d_name[0] < '0' || e->d_name[0] > '9' ||
		    read_file_at(dirfd(d), path, PROC_FILE_MAX, &comm, NULL) || !is_monitor(comm))
			continue;
		snprintf(path, sizeof(path), "%s/cmdline", e->d_name);
		if (read_file_at(dirfd(d), path, PROC_FILE_MAX, &cmdline, &len) ||
		    !names_one(cmdline, len, pods, n))
			continue;
		proc_memory((pid_t)strtol(e->d_name, NULL, 10), &m);
		ret->pss += m.pss;
		ret->private_dirty += m.private_dirty;
		found++;
	}
	return found;
}
