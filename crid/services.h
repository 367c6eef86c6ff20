/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operation threads may use: objects that are safe to share between threads and never change
 * after start-up. An operation gets this and a description of what to do, and nothing of the table.
 */
#ifndef CRID_SERVICES_H
#define CRID_SERVICES_H

#include <cstorage.h>
#include <ocispec.h>
#include "config.h"
#include "network.h"

struct services {
	const struct config *config;
	struct cstore *store;
	struct network *network;
	char **oci_versions;		/* of config->runtimes[i]: the newest ociVersion it accepts */
	bool *is_crun;			/* of config->runtimes[i]: takes compiled seccomp filters */
	struct ocispec_filters *filters;	/* has a lock of its own */
	char kernel_version[64];	/* "6.1.0", for seccomp rules */
};

/* ociVersion for a handler of config_runtime(). */
const char *services_oci_version(const struct services *sv, const struct runtime_handler *h);
bool services_takes_filters(const struct services *sv, const struct runtime_handler *h);

#endif
