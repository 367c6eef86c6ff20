/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pinned namespaces of a pod: crid-pinns makes them, these functions run it and take the pins away.
 * Pins are namespaces_dir/{netns,ipcns,utsns,userns}/<uuid>, one uuid for all of a pod.
 */
#ifndef CRID_NAMESPACES_H
#define CRID_NAMESPACES_H

#include "idmaps.h"

struct pins {
	char uuid[37];	       /* "xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx" */
	char *net, *ipc, *uts, *user; /* paths; [owned]; user NULL: the host's */
	const struct id_maps *maps;   /* of user; [borrowed] */
};

/* Chooses uuid and paths; makes nothing yet, so that they can be written to disk first. maps: of a user namespace, or none. */
int pins_plan(const struct config *c, const struct id_maps *maps, struct pins *ret, struct cb_error *err);
/* From the paths of a restored pod; any may be NULL. */
int pins_set(struct pins *p, const char *net, const char *ipc, const char *uts, const char *user);
void pins_done(struct pins *p);
/*
 * host_*: pin the host's namespace instead of a new one. sysctls: "k=v" entries, NULL-terminated
 * or NULL.
 */
int pins_make(const struct config *c, const struct pins *p, bool host_net, bool host_ipc,
	      char *const *sysctls, struct cb_error *err);
/* Is the path an nsfs mount? */
bool pin_exists(const char *path);
/*
 * Unmounts and unlinks; what is gone already is success. Only names in the directories of pins
 * below namespaces_dir are touched, E_INVALID for others. With a uuid also the pod's pins that no
 * path names.
 */
int pins_remove(const struct config *c, const struct pins *p, struct cb_error *err);

/*
 * May this sysctl be set in a pod with these host namespaces? 0; E_INVALID with the reason:
 * malformed (key [a-zA-Z0-9_.-/]+, value without control bytes but tabs), or one that would
 * reach the host.
 */
int sysctl_check(const char *key, const char *value, bool host_net, bool host_ipc,
		 struct cb_error *err);

#endif
