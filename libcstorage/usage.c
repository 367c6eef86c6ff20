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

/* The writable layer of a container, as it was at a moment. */
struct measured {
	char id[ID_LEN + 1];
	struct usage usage;
	int64_t when; /* monotonic ns */
};

struct usage_cache {
	pthread_mutex_t mutex;
	struct known_layer *layers; /* sorted by id */
	size_t count;
	struct measured *measured; /* in no order: those asked for lately */
	size_t measured_count, measured_room;
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
	free(c->measured);
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

/* ---- containers ---- */

/* Drops what is too old, and finds the layer in the rest. */
static struct measured *find_measured(struct usage_cache *c, const char *id, int64_t oldest)
{
	struct measured *found = NULL;

	for (size_t i = 0; i < c->measured_count; i++) {
		if (c->measured[i].when < oldest) {
			c->measured[i--] = c->measured[--c->measured_count];
			continue;
		}
		if (streq(c->measured[i].id, id))
			found = &c->measured[i];
	}
	return found;
}

/* Without memory for it nothing is remembered. */
static void remember(struct usage_cache *c, const char *id, const struct usage *u, int64_t now)
{
	struct measured *bigger;
	size_t room = c->measured_room ? 2 * c->measured_room : 16;

	if (c->measured_count == c->measured_room) {
		bigger = realloc(c->measured, room * sizeof(*bigger));
		if (!bigger)
			return;
		c->measured = bigger;
		c->measured_room = room;
	}
	bigger = &c->measured[c->measured_count++];
	memcpy(bigger->id, id, ID_LEN + 1);
	bigger->usage = *u;
	bigger->when = now;
}

static int writable_usage(struct cstore *s, const char *layer, struct usage *u,
			  struct cstore_error *err)
{
	int64_t now = mono_ns();
	struct measured *known;
	int r;

	if (!s->usage_age)
		return walk_layer(s, layer, u, err);
	pthread_mutex_lock(&s->usage->mutex);
	known = find_measured(s->usage, layer, now - s->usage_age);
	if (known)
		*u = known->usage;
	pthread_mutex_unlock(&s->usage->mutex);
	if (known)
		return 0;
	r = walk_layer(s, layer, u, err); /* two at once both walk: neither waits for a tree */
	if (r)
		return r;
	pthread_mutex_lock(&s->usage->mutex);
	remember(s->usage, layer, u, now);
	pthread_mutex_unlock(&s->usage->mutex);
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
		r = writable_usage(s, layer, &u, err);
	if (r)
		return r;
	*ret_bytes = u.bytes;
	*ret_inodes = u.inodes;
	return 0;
}

/* ---- one layer ---- */

/* An image's layer as it is remembered, when it is. */
static bool known_usage(struct usage_cache *c, const char *id, struct usage *ret)
{
	struct known_layer key, *known = NULL;

	memcpy(key.id, id, ID_LEN + 1);
	pthread_mutex_lock(&c->mutex);
	if (c->count)
		known = bsearch(&key, c->layers, c->count, sizeof(key), by_layer_id);
	if (known)
		*ret = known->usage;
	pthread_mutex_unlock(&c->mutex);
	return known != NULL;
}

PUBLIC int cstore_layer_usage(struct cstore *s, const char *id, uint64_t *ret_bytes,
			      uint64_t *ret_inodes, struct cstore_error *err)
{
	struct usage u = { 0 };
	struct json *layer;
	int r;

	if (!s || !id_valid(id) || !ret_bytes || !ret_inodes)
		return err_sysr(err, -EINVAL, "usage of a layer");
	r = layers_lock(s, LOCK_SHARED, err);
	if (r)
		return r;
	r = layer_get(s, id, &layer, err);
	records_unlock(&s->layers);
	if (!r && !known_usage(s->usage, id, &u))
		r = writable_usage(s, id, &u, err);
	if (r)
		return r;
	*ret_bytes = u.bytes;
	*ret_inodes = u.inodes;
	return 0;
}
