/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operation threads may use: objects that are safe to share between threads and never change
 * after start-up, but that another configuration may take the place of this one (reload.h). An operation gets this and a description of what to do, and nothing of the table.
 */
#ifndef CRID_SERVICES_H
#define CRID_SERVICES_H

#include <cstorage.h>
#include <ocispec.h>
#include "config.h"
#include "hostports.h"
#include "network.h"
#include "selinux.h"

struct services {
	const struct config *_Atomic config;	/* each stays as it is until the daemon ends */
	struct cstore *store;
	struct network *network;
	struct hostports *hostports;
	struct selinux *selinux;		/* NULL: no labels */
	struct ocispec_filters *filters;	/* has a lock of its own */
	char kernel_version[64];	/* "6.1.0", for seccomp rules */
};

#endif
