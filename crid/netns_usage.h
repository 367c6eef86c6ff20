/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of the network interfaces of a pod. */
#ifndef CRID_NETNS_USAGE_H
#define CRID_NETNS_USAGE_H

#include <stddef.h>
#include <stdint.h>
#include <cbase/err.h>

#define NETNS_INTERFACES_MAX 256	/* of one namespace that are told of */

struct interface_usage {
	char name[16];
	uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
	uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
};

/* All but lo, in the kernel's order; [owned]. Operation threads. */
int netns_usage_read(const char *netns, struct interface_usage **ret, size_t *ret_n, struct cb_error *err);

/* For tests: adds what one message block of RTM_GETLINK's answer tells. 0 more follows, 1 the end, negative errno. */
int netns_usage_parse(void *bytes, size_t n, struct interface_usage *v, size_t *n_v);

#endif
