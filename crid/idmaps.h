/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user namespace of a pod: which ids outside its ids are. One set of maps for the pod and all its
 * containers. No maps at all: the host's user namespace.
 */
#ifndef CRID_IDMAPS_H
#define CRID_IDMAPS_H

#include <stdbool.h>
#include <cstorage.h>
#include <ocispec.h>
#include <cbase/arena.h>
#include <cbase/err.h>
#include "config.h"

struct Runtime__V1__UserNamespace;	/* of CRI */

struct id_maps {
	struct cstore_id_range *uids, *gids;
	size_t n_uids, n_gids;		/* both 0 or none */
};

static inline bool id_maps_used(const struct id_maps *m)
{
	return m->n_uids > 0;
}

/*
 * What a request asks for; NULL and NODE: none. E_INVALID: another mode than POD, not exactly one range
 * each, id 0 not mapped, a range the kernel refuses, or one below minimum_mappable_*.
 */
int id_maps_from_cri(struct arena *a, const struct Runtime__V1__UserNamespace *u, const struct config *c,
		     struct id_maps *ret, struct cb_error *err);
bool id_maps_equal(const struct id_maps *a, const struct id_maps *b);

/* The id outside of one inside; without maps it is the same. false: it is not mapped. */
bool id_maps_uid(const struct id_maps *m, uint32_t uid, uint32_t *ret);
bool id_maps_gid(const struct id_maps *m, uint32_t gid, uint32_t *ret);
/* The owner outside of what belongs to root inside. */
void id_maps_root(const struct id_maps *m, uint32_t *ret_uid, uint32_t *ret_gid);

/* The highest gid there is inside. */
uint32_t id_maps_last_gid(const struct id_maps *m);

/* linux.uidMappings and gidMappings of config.json. */
int id_maps_to_spec(const struct id_maps *m, struct ocispec *s);
int id_maps_from_spec(struct arena *a, const struct ocispec *s, struct id_maps *ret);

/*
 * Lets every user pass through the directories above path, and path itself if it is one: processes of a
 * user namespace are "others" on their way to the root file system and the pod's files. As CRI-O, up to /.
 */
int id_maps_open_path(const char *path, struct cb_error *err);

#endif
