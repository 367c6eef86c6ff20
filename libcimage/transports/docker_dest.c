/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registries as a destination. Blobs are uploaded by several threads, each with a client of its own
 * that is taken from a heap of idle ones, so that connections are used again. What the tag names
 * changes with the last manifest; before it nothing of the image can be seen, and blobs that nothing
 * names are the registry's to collect.
 */
#include <cbase/digest.h>
#include <pthread.h>
#include "docker.h"

#define CLIENTS_MAX 32

struct cimage_destination {
	struct cimage_context *ctx;
	const struct cimage_place *place;
	struct cimage_endpoint **endpoints;
	struct client *first;			/* of the opening thread; what others are made after */
	pthread_mutex_t lock;
	struct client *idle[CLIENTS_MAX];	/* under the lock */
	size_t idle_count;
	char *reference;			/* a tag, or a digest */
	/* the manifest that commit makes visible */
	char *bytes, *type;
	size_t len;
};

static void dest_close(struct cimage_destination *d)
{
	while (d->idle_count)
		client_free(d->idle[--d->idle_count]);
	client_free(d->first);
	cimage_endpoints_free(d->endpoints);
	pthread_mutex_destroy(&d->lock);
	free(d->reference);
	free(d->bytes);
	free(d->type);
	free(d);
}

static int dest_open(struct cimage_context *c, const struct cimage_place *place,
		     struct cimage_destination **ret, struct cimage_error *err)
{
	const struct cimage_ref *ref = cimage_place_ref(place);
	struct cimage_destination *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_oom(err);
	d->ctx = c;
	d->place = place;
	pthread_mutex_init(&d->lock, NULL);
	d->reference = strdup(cimage_ref_digest(ref) ? cimage_ref_digest(ref) : cimage_ref_tag(ref));
	r = d->reference ? docker_client(c, place, ACTIONS_PUSH, &d->endpoints, &d->first, err)
			 : err_oom(err);
	if (r)
		dest_close(d);
	else
		*ret = d;
	return r;
}

static int take_client(struct cimage_destination *d, struct client **ret, struct cimage_error *err)
{
	struct client *cl = NULL;

	pthread_mutex_lock(&d->lock);
	if (d->idle_count)
		cl = d->idle[--d->idle_count];
	pthread_mutex_unlock(&d->lock);
	if (!cl)
		return client_clone(d->first, ret, err);
	*ret = cl;
	return 0;
}

static void give_back(struct cimage_destination *d, struct client *cl)
{
	pthread_mutex_lock(&d->lock);
	if (d->idle_count < CLIENTS_MAX) {
		d->idle[d->idle_count++] = cl;
		cl = NULL;
	}
	pthread_mutex_unlock(&d->lock);
	client_free(cl);
}

static int dest_flags(const struct cimage_destination *d)
{
	return CIMAGE_DEST_FOREIGN_LAYERS | CIMAGE_DEST_LISTS | CIMAGE_DEST_SIGNATURES |
	       (cimage_ref_digest(cimage_place_ref(d->place)) ? CIMAGE_DEST_DIGESTED : 0);
}

static const char *const *dest_types(const struct cimage_destination *d)
{
	static const char *const types[] = {
		"application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.oci.image.index.v1+json",
		NULL,
	};

	return types;
}

static int find_blob(struct cimage_destination *d, struct client *cl, const struct cimage_put *b,
		     bool *there, struct cimage_error *err)
{
	const char *own = cimage_ref_path(cimage_endpoint_ref(cl->endpoint));
	const char *const *from;
	int r = client_has_blob(cl, b->digest, there, err);

	for (from = b->known_at; !r && !*there && from && *from; from++)
		if (!streq(*from, own))
			r = client_mount(cl, b->digest, *from, there, err);
	return r;
}

static int dest_has(struct cimage_destination *d, const struct cimage_put *b, int *ret,
		    struct cimage_error *err)
{
	bool there = false;
	struct client *cl;
	int r = take_client(d, &cl, err);

	if (r)
		return r;
	r = find_blob(d, cl, b, &there, err);
	give_back(d, cl);
	*ret = there;
	return r;
}

static int dest_put(struct cimage_destination *d, const struct cimage_put *b,
		    struct cimage_stream *s, struct cimage_error *err)
{
	struct client *cl;
	int r = take_client(d, &cl, err);

	if (r)
		return r;
	r = client_put_blob(cl, b, s, err);
	give_back(d, cl);
	return r;
}

/* One of a list is put at once, by its digest; the last one waits for the commit. */
static int dest_manifest(struct cimage_destination *d, const char *bytes, size_t n,
			 const char *media_type, const char *instance, struct cimage_error *err)
{
	if (instance)
		return client_put_manifest(d->first, instance, bytes, n, media_type, err);
	free(d->bytes);
	free(d->type);
	d->bytes = malloc(n + 1);
	d->type = strdup(media_type);
	if (!d->bytes || !d->type)
		return err_oom(err);
	memcpy(d->bytes, bytes, n);
	d->len = n;
	return 0;
}

static int dest_signatures(struct cimage_destination *d, const struct cimage_signatures *s,
			   const char *instance, struct cimage_error *err)
{
	char digest[DIGEST_STR_MAX];

	if (!instance && !d->bytes)
		return -EINVAL;
	if (!instance)
		digest_sha256(d->bytes, d->len, digest);
	return client_put_signatures(d->first, s, instance ? instance : digest, err);
}

static int dest_commit(struct cimage_destination *d, const char *list, size_t n,
		       struct cimage_error *err)
{
	return d->bytes ? client_put_manifest(d->first, d->reference, d->bytes, d->len, d->type, err)
			: -EINVAL;
}

const struct cimage_destination_ops docker_destination = {
	.open = dest_open,
	.close = dest_close,
	.flags = dest_flags,
	.manifest_types = dest_types,
	.has_blob = dest_has,
	.put_blob = dest_put,
	.put_manifest = dest_manifest,
	.put_signatures = dest_signatures,
	.commit = dest_commit,
};
