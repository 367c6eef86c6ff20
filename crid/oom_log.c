/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See oom_log.h. Of each kill the kernel logs one record, or the rest of one that became too long:
 *
 *	6,1234,5140900,-;oom-kill:constraint=...,oom_memcg=/a.slice,task_memcg=/a.slice/crio-ID.scope,task=sh,pid=7,uid=0
 *
 * The id is in the name of the cgroup, so no other container's kill is taken for this one's.
 */
#include <fcntl.h>
#include <string.h>
#include <cbase/io.h>
#include "oom_log.h"

#define RECORD_MAX 8192 /* the kernel gives no longer ones */

bool oom_log_names(const char *record, const char *id)
{
	const char *cgroup = strstr(record, "task_memcg=");

	return cgroup && strstr(cgroup, id);
}

bool oom_log_has(const char *id)
{
	_cleanup_close_ int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[RECORD_MAX + 1];
	ssize_t n;

	/* EPIPE: records were overwritten meanwhile, the next read goes on behind them */
	while (fd >= 0 && ((n = read(fd, record, RECORD_MAX)) > 0 || (n < 0 && errno == EPIPE))) {
		record[n > 0 ? n : 0] = '\0';
		if (oom_log_names(record, id))
			return true;
	}
	return false;
}
