/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel's log says about processes that were killed for want of memory, when their cgroup is gone. */
#ifndef CRID_OOM_LOG_H
#define CRID_OOM_LOG_H

#include <stdbool.h>

/* Was a process of the container with this id killed? false also without CAP_SYSLOG, or when the log has forgotten. */
bool oom_log_has(const char *id);
/* For tests: does this record of /dev/kmsg say so? */
bool oom_log_names(const char *record, const char *id);

#endif
