/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod network: libcnic with CRI-O's arguments, its plugins started by the daemon's spawner. One
 * struct network for the daemon; functions run on operation threads.
 */
#ifndef CRID_NETWORK_H
#define CRID_NETWORK_H

#include "config.h"

struct network;

int network_new(const struct config *c, struct network **ret, struct cb_error *err);
struct network *network_free(struct network *n);
/*
 * Reads the configuration directory again and asks whether the network is ready; the text says
 * why not.
 */
int network_reload(struct network *n, struct cb_error *err);

struct network_pod {
	const char *id, *name, *namespace, *uid; /* of the sandbox */
	const char *netns;			 /* path of the pin; NULL when it is gone */
	const char *cgroup_parent;		 /* "" none */
	char *const *annotations;		 /* key, value, ... NULL */
};

/*
 * ADD; [owned] vector of the pod's addresses (no prefix lengths) and the result as CNI 1.1.0
 * JSON.
 */
int network_setup(struct network *n, const struct network_pod *p, char ***ret_ips,
		  char **ret_result, struct cb_error *err);
/*
 * DEL. When it fails and the namespace, the network or the plugin is gone, the cache is dropped
 * and the error only logged. When a plugin fails although all are there, its error is returned
 * and the cache kept: another try, at the latest one without the namespace, ends it.
 */
int network_teardown(struct network *n, const struct network_pod *p, struct cb_error *err);
/*
 * DEL, without a namespace, for every cached attachment of what is not known. Only after a boot, when
 * nothing of anybody's can be left that has a network.
 */
void network_release_unknown(struct network *n, bool (*is_known)(void *user, const char *id), void *user);
/* Addresses from the cache; E_NOT_FOUND when the pod has none. */
int network_addresses(struct network *n, const struct network_pod *p, char ***ret_ips,
		      struct cb_error *err);

#endif
