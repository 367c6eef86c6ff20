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

/* Does the default network answer STATUS, so that what it says may change by itself? */
bool network_has_status(struct network *n);
/*
 * Readable when the configuration or the plugins may have changed; -1: the system has no more of these.
 * network_changed() then says whether to reload. For one thread.
 */
int network_watch_fd(const struct network *n);
bool network_changed(struct network *n);

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
 * DEL. When it fails and the namespace, the network or the plugin is gone, the pod may go all the same:
 * every plugin that can gets its DEL, and the rest is tried again by network_collect(). When a plugin
 * fails although all are there, its error is returned.
 */
int network_teardown(struct network *n, const struct network_pod *p, struct cb_error *err);
/* Is there something for network_collect()? */
bool network_has_leftovers(const struct network *n);
/*
 * Releases what is left of pods that are gone; pods: ids of those that may have a network. true:
 * something is still left.
 */
bool network_collect(struct network *n, char *const *pods);
/* The addresses in a result of CNI (JSON), as network_setup() gives them. [owned] */
int network_addresses(const char *result, char ***ret_ips, struct cb_error *err);

#endif
