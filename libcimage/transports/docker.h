/* SPDX-License-Identifier: Apache-2.0 */
/* The docker transport, between its files. */
#ifndef CIMAGE_DOCKER_H
#define CIMAGE_DOCKER_H

#include "client.h"

/*
 * A client of the registry that a place is in, for other things than reading one image. It refers to the endpoints,
 * which are [owned], too.
 */
int docker_client(struct cimage_context *c, const struct cimage_place *place, const char *actions,
		  struct cimage_endpoint ***ret_endpoints, struct client **ret, struct cimage_error *err);

extern const struct cimage_destination_ops docker_destination;	/* docker_dest.c */

#endif
