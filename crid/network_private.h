/* SPDX-License-Identifier: Apache-2.0 */
/* What network.c, network_collect.c and their tests share. */
#ifndef CRID_NETWORK_PRIVATE_H
#define CRID_NETWORK_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <cbase/str.h>
#include "network.h"

#define NETWORK_DEL_TIMEOUT_MS (60 * 1000)

struct network {
	struct cnic *cnic;
	struct cnic_watch *watch;	/* NULL: the system has no more */
	pthread_rwlock_t attaching;	/* shared by ADDs; alone for GC */
	atomic_bool leftovers;		/* a teardown left something that is to be tried again */
};

/*
 * A Kubernetes quantity ("10M", "1.5Gi", "1e3", "-2"), rounded up to a whole number, at most
 * INT64_MAX. 0; -EINVAL; -ERANGE more than 18 digits.
 */
int quantity_parse(const char *text, int64_t *ret);

/*
 * Appends the capability arguments of a pod as a JSON object. E_INVALID: malformed bandwidth
 * annotation.
 */
int network_capabilities(const struct network_pod *p, struct str *out, struct cb_error *err);

struct cnic_network;
/* Frees addresses of the network that a power cut left taken by nobody. */
void network_free_leases(const struct cnic_network *n);

#endif
