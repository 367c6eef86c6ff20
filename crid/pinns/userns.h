/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces owned by a new user namespace: made in a child, because the maps are written from
 * outside.
 */
#ifndef PINNS_USERNS_H
#define PINNS_USERNS_H

#include <sys/types.h>
#include <cbase/err.h>
#include <cbase/str.h>

struct userns_holder {
	pid_t pid;	/* 0: none */
};

/*
 * Starts the child, which unshares USER, gets the maps, becomes root in it, unshares flags and
 * calls setup. It stays until userns_done(), so that its namespaces can be opened below
 * /proc/PID/ns. setup's failure is the result.
 */
int userns_start(struct userns_holder *h, int flags, const struct str *uid_map,
		 const struct str *gid_map, int (*setup)(void *user, struct cb_error *err),
		 void *user, struct cb_error *err);
void userns_done(struct userns_holder *h);

#endif
