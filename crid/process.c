/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that are not (or no longer) our children, named by pid and start time as CRI-O's
 * state.json names them.
 */
#include "spawn.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <cbase/io.h>
#include <cbase/str.h>

#define STAT_MAX 4096	/* bytes of /proc/PID/stat */
#define STAT_START_TIME 22

/*
 * The text behind field n (fields count from 1) of a stat line; comm may hold spaces and
 * parentheses.
 */
static const char *stat_field(const char *stat, int n)
{
	const char *p = strrchr(stat, ')');

	for (int i = 2; p && i < n; i++) {
		p = strchr(p, ' ');
		if (p)
			p++;
	}
	return p;
}

static int parse_stat(char *stat, uint64_t *ret)
{
	const char *state = stat_field(stat, 3), *start = stat_field(stat, STAT_START_TIME);
	char *end;
	unsigned long long v;

	if (!state || !start || *start < '0' || *start > '9')
		return -EINVAL;
	if (*state == 'Z' || *state == 'X' || *state == 'x')
		return -ESRCH;
	errno = 0;
	v = strtoull(start, &end, 10);
	if (errno || (*end != ' ' && *end != '\0'))
		return -EINVAL;
	*ret = v;
	return 0;
}

int process_start_time(pid_t pid, uint64_t *ret)
{
	_cleanup_free_ char *stat = NULL;
	char path[64];
	int r;

	if (pid <= 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = read_file(path, STAT_MAX, &stat, NULL);
	if (r == -ENOENT || r == -ESRCH)
		return -ESRCH;
	if (r)
		return r;
	return parse_stat(stat, ret);
}

int process_open(pid_t pid, uint64_t start_time)
{
	_cleanup_close_ int fd = -1;
	uint64_t now;
	int r;

	if (pid <= 0)
		return -ESRCH;
	/* First the descriptor: if what it names has our start time afterwards, it is ours. */
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		/* EINVAL: a thread, not a process */
		return errno == EINVAL ? -ESRCH : -errno;
	r = process_start_time(pid, &now);
	if (r)
		return r;
	return now == start_time ? take_fd(fd) : -ESRCH;
}
