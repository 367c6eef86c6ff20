/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sysctls of a pod: typed name and value, only those that belong to a namespace just made.
 */
#ifndef PINNS_SYSCTL_H
#define PINNS_SYSCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <cbase/err.h>

#define SYSCTL_PATH_MAX 256	/* bytes of a path below /proc/sys, with its NUL */
#define SYSCTL_VALUE_MAX 4000	/* bytes; the kernel takes less than a page */

struct sysctl {
	char path[SYSCTL_PATH_MAX];	/* below /proc/sys: "net/ipv4/ip_forward" */
	const char *value;		/* [borrowed] from the text */
};

/*
 * "key=value", split at the first '='. A key's first separator tells its form, as in sysctl(8):
 * with dots ("net.ipv4.conf.eth0/1.rp_filter") dots and slashes change places, with slashes it is
 * the path itself. 0, or -EINVAL with the reason in err.
 */
int sysctl_parse(const char *text, struct sysctl *ret, struct cb_error *err);
/* Does it belong to a network (net) or IPC (ipc) namespace of its own? */
bool sysctl_is_namespaced(const struct sysctl *s, bool net, bool ipc);
/* Writes to the namespaces of the calling process. */
int sysctl_write(const struct sysctl *s, size_t n, struct cb_error *err);

#endif
