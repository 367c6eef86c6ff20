/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See leftover.h. A monitor is known by its arguments "-u ID", which CRI-O's have too: its pid file is
 * only there once it has forked, and the first of the two processes is to be found as well.
 */
#include <dirent.h>
#include <stdlib.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "leftover.h"
#include "log.h"
#include "proctree.h"
#include "spawn.h"

#define CMDLINE_MAX (64u << 10)
#define ROUNDS 3	/* it may fork while we look */

static bool is_monitor_of(pid_t pid, const char *id)
{
	_cleanup_free_ char *path = strf("/proc/%d/cmdline", (int)pid), *text = NULL;
	const char *arg, *end, *before = "";
	size_t n;

	if (!path || read_file(path, CMDLINE_MAX, &text, &n))
		return false;
	for (arg = text, end = text + n; arg < end; before = arg, arg += strlen(arg) + 1)
		if (streq(before, "-u") && streq(arg, id))
			return true;
	return false;
}

static bool kill_monitor(pid_t pid, const char *id)
{
	_cleanup_close_ int fd = -1;
	uint64_t start_time;

	if (process_start_time(pid, &start_time))
		return false;
	fd = process_open(pid, start_time);
	if (fd < 0 || !is_monitor_of(pid, id))
		return false;
	log_info("container %s: its monitor %d is still making it, and is killed", id, (int)pid);
	proctree_kill(fd, pid);
	return true;
}

static bool kill_round(const char *id)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	struct dirent *e;
	bool any = false;

	while (d && (e = readdir(d)))
		if (*e->d_name >= '1' && *e->d_name <= '9' && kill_monitor(atoi(e->d_name), id))
			any = true;
	return any;
}

void leftover_kill_monitors(const char *id)
{
	int n;

	for (n = 0; n < ROUNDS && kill_round(id); n++)
		;
}
