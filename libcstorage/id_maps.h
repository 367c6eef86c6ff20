/* SPDX-License-Identifier: Apache-2.0 */
/* The maps of a user namespace, as containers' records have them. */
#ifndef CSTORAGE_ID_MAPS_H
#define CSTORAGE_ID_MAPS_H

#include "private.h"

#define ID_RANGES_MAX 340 /* the kernel's limit */

/* Members "uidmap" and "gidmap"; *ret NULL when there are none. CSTORE_E_DAMAGED. */
int id_maps_load(const struct json *rec, struct id_maps **ret, struct cstore_error *err);
/* Those of the caller, copied; *ret NULL when both are empty. CSTORE_E_INVALID: empty, overlapping, too many. */
int id_maps_new(const struct cstore_id_range *uids, size_t uid_count,
		const struct cstore_id_range *gids, size_t gid_count, struct id_maps **ret,
		struct cstore_error *err);
void id_maps_save(const struct id_maps *m, struct json_doc *doc, struct json *rec);
struct id_maps *id_maps_free(struct id_maps *m); /* returns NULL */

#endif
