/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much disk images and containers take. A layer of an image never changes, so it is walked once
 * and its usage kept until the layer is gone. Nothing is walked with a lock held.
 */
#include <pthread.h>
#include <string.h>
#include "container.h"
#include "image.h"
#include "layer.h"
#include "usage.h"

struct known_layer {
	char id[ID_LEN + 1];
	struct usage usage;
};

struct usage_cache {
	pthread_mutex_t mutex;
	struct known_layer *layers; /* sorted by id */
	size_t count;
};

struct usage_cache *usage_cache_new(void)
{
	struct usage_cache *c = calloc(1, sizeof(*c));

	if (c)
		pthread_mutex_init(&c->mutex, NULL);
	return c;
}

void usage_cache_free(struct usage_cache *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->mutex);
	free(c->layers);
	free(c);
}

static int walk_layer(struct cstore *s, const char *id, struct usage *u, struct cstore_error *err)
{
	_cleanup_free_ char *diff = layer_content(s, id);
	int r = diff ? usage_walk(diff, u) : -ENOMEM;

	return r ? err_sysr(err, r, "walk layer %s", id) : 0;
}

int layer_size(struct cstore *s, const struct json *layer, uint64_t *ret, struct cstore_error *err)
{
	int64_t size = json_get_int(layer, "diff-size", -1);
	struct usage u = { 0 };
	int r;

	if (size >= 0) {
		*ret = (uint64_t)size;
		return 0;
	}
	r = walk_layer(s, json_get_string(layer, "id"), &u, err);
	if (!r)
		*ret = u.bytes;
	return r;
}

static int by_layer_id(const void *a, const void *b)
{
	return strcmp(((const struct known_layer *)a)->id, ((const struct known_layer *)b)->id);
}

/* The ids, sorted, of all layers that are no container's; and what the data of images takes. */
static int list_layers(struct cstore *s, struct known_layer **ret, size_t *ret_count,
		       struct cstore_error *err)
{
	_cleanup_unlock_ struct records *layers = NULL, *containers = NULL;
	struct known_layer *out;
	struct record *all;
	size_t n, kept = 0;
	int r;

	r = layers_lock(s, LOCK_SHARED, err);
	if (r)
		return r;
	layers = &s->layers;
	r = records_lock(&s->containers, LOCK_SHARED, err);
	if (r)
		return r;
	containers = &s->containers;
	if (records_all(&s->layers, &all, &n))
		return err_oom(err);
	out = calloc(n + 1, sizeof(*out));
	if (!out)
		return err_oom(err);
	for (size_t i = 0; i < n; i++)
		if (all[i].file != RECORDS_VOLATILE && !record_read_only(&s->layers, &all[i]) &&
		    !container_uses_layer(s, all[i].id))
			memcpy(out[kept++].id, all[i].id, ID_LEN + 1);
	*ret = out; /* sorted, as the index is */
	*ret_count = kept;
	return 0;
}

static int image_data_usage(struct cstore *s, struct usage *u, struct cstore_error *err)
{
	int64_t bytes;
	struct record *all;
	size_t n;
	int r;

	r = records_lock(&s->images, LOCK_SHARED, err);
	if (r)
		return r;
	r = records_all(&s->images, &all, &n) ? err_oom(err) : 0;
	for (size_t i = 0; i < n && !r; i++) {
		u->inodes++; /* its directory */
		json_foreach(item, json_get(all[i].json, "big-data-sizes")) {
			u->inodes++;
			if (!json_int(item, &bytes) && bytes > 0)
				u->bytes += (uint64_t)bytes;
		}
	}
	records_unlock(&s->images);
	return r;
}

/* Fills in what was known, walks the rest, and remembers exactly these layers. */
static int measure(struct cstore *s, struct known_layer *layers, size_t count,
		   struct cstore_error *err)
{
	const struct known_layer *known;
	int r;

	for (size_t i = 0; i < count; i++) {
		known = s->usage->count ? bsearch(&layers[i], s->usage->layers, s->usage->count,
						  sizeof(*layers), by_layer_id)
					: NULL;
		if (known) {
			layers[i].usage = known->usage;
			continue;
		}
		r = walk_layer(s, layers[i].id, &layers[i].usage, err);
		if (r)
			return r;
	}
	free(s->usage->layers);
	s->usage->layers = layers;
	s->usage->count = count;
	return 0;
}

static int measure_all(struct cstore *s, struct usage *u, struct cstore_error *err)
{
	_cleanup_free_ struct known_layer *layers = NULL;
	size_t count = 0;
	int r;

	r = list_layers(s, &layers, &count, err);
	if (!r)
		r = measure(s, layers, count, err);
	if (r)
		return r;
	layers = NULL; /* the cache's now */
	for (size_t i = 0; i < count; i++) {
		u->bytes += s->usage->layers[i].usage.bytes;
		u->inodes += s->usage->layers[i].usage.inodes;
	}
	return image_data_usage(s, u, err);
}

PUBLIC int cstore_image_usage(struct cstore *s, uint64_t *ret_bytes, uint64_t *ret_inodes,
			      struct cstore_error *err)
{
	struct usage u = { 0 };
	int r;

	if (!s || !ret_bytes || !ret_inodes)
		return err_sysr(err, -EINVAL, "usage of images");
	pthread_mutex_lock(&s->usage->mutex);
	r = measure_all(s, &u, err);
	pthread_mutex_unlock(&s->usage->mutex);
	if (r)
		return r;
	*ret_bytes = u.bytes;
	*ret_inodes = u.inodes;
	return 0;
}

PUBLIC int cstore_container_usage(struct cstore *s, const char *container_id, uint64_t *ret_bytes,
				  uint64_t *ret_inodes, struct cstore_error *err)
{
	_cleanup_free_ char *layer = NULL;
	struct usage u = { 0 };
	int r;

	if (!s || !id_valid(container_id) || !ret_bytes || !ret_inodes)
		return err_sysr(err, -EINVAL, "usage of a container");
	r = container_layer(s, container_id, &layer, err);
	if (!r && *layer)
		r = walk_layer(s, layer, &u, err);
	if (r)
		return r;
	*ret_bytes = u.bytes;
	*ret_inodes = u.inodes;
	return 0;
}
