/* SPDX-License-Identifier: Apache-2.0 */
/* What every file of libcstorage shares: names, limits, and the inside of struct cstore. */
#ifndef CSTORAGE_PRIVATE_H
#define CSTORAGE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <cbase/cleanup.h>
#include <cbase/err.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include <cbase/str.h>
#include "cstorage.h"
#include "records.h"

#define PUBLIC __attribute__((visibility("default")))

#define ID_LEN 64      /* layers, images, containers: hex digits */
#define LINK_LEN 26    /* short link names: base32 digits */
#define LOWERS_MAX 500 /* the format's limit on lower directories of one mount */
#define LOWER_FILE_MAX (LOWERS_MAX * (LINK_LEN + 3))
#define RECORDS_FILE_MAX (256u << 20) /* one file of records */
#define NAME_MAX_BYTES 4096	      /* names of images, layers and containers */

struct usage_cache;
struct driver;

/* A root directory that has layers and images: the graph root, the image store, an additional store. */
struct place {
	char *root;
	char *home;			/* root/overlay, or the driver's name */
	char *layers_dir, *images_dir;	/* root/overlay-* */
	bool read_only;
};

/* Ranges of ids in a user namespace and outside of it, as in uid_map. */
struct id_range {
	uint32_t inside, outside, count;
};
struct id_maps {
	struct id_range *uids, *gids;
	size_t uid_count, gid_count;
};

struct cstore {
	const struct driver *driver;
	struct place *places;	/* [0]: the graph root; then the image store, if any; then additional stores */
	int place_count, image_place; /* where new image layers and images go: 0 or 1 */
	const char **additional; /* roots of those that are only read, NULL-terminated */
	char *graph_root, *run_root;
	char *home;					/* graph_root/overlay */
	char *layers_dir, *images_dir, *containers_dir; /* graph_root/overlay-* */
	char *run_home, *run_layers_dir, *run_containers_dir; /* below run_root */
	char *mountopt;					/* comma list for overlay mounts, or NULL */
	uint64_t size, inodes;				/* quota of a container's layer; 0: none */
	bool no_mounts, skip_mount_home, disable_volatile, leave_garbage, transient;
	bool force_mask; /* files have not their own owner and mode: nothing is written or mounted */
	/* Taken in this order; each contains a mutex, so the order holds for threads too. */
	struct lockfile graph_lock;
	struct records layers, images, containers, mountpoints;
	struct usage_cache *usage;
	int64_t usage_age; /* ns: how long the usage of a writable layer is remembered */
};

static inline bool id_valid(const char *id)
{
	return id && str_is_hex(id, ID_LEN);
}

/* Of an image, layer or container. */
static inline bool name_valid(const char *name)
{
	size_t n = strlen(name);

	return n && n <= NAME_MAX_BYTES && utf8_valid(name, n);
}

/* Is path the root of a mount? */
bool is_mount_point(const char *path);

int id_random(char out[ID_LEN + 1]);

/* The record of that exact id, or CSTORE_E_NOT_FOUND with a message naming the kind of object. */
int layer_get(struct cstore *s, const char *id, struct json **ret, struct cstore_error *err);
int image_get(struct cstore *s, const char *id, struct json **ret, struct cstore_error *err);
int container_get(struct cstore *s, const char *id, struct json **ret, struct cstore_error *err);

#endif
