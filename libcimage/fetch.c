/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching one image: policy, manifest, platform, config (reading.c), then the layers the sink wants.
 *
 * A layer is digested while it streams. Nothing is handed on before it was checked, but for the
 * bytes of a layer: the sink learns from layer_done() that they are good.
 */
#include <cbase/json.h>
#include "context.h"
#include "crypt.h"
#include "digest_module.h"
#include "module.h"
#include "reading.h"
#include "ref.h"
#include "sigpipe.h"
#include "trust.h"

#define PLAIN_MAX (64u << 10)

struct fetch {
	struct reading reading;
	const struct cimage_sink *sink;
	struct cimage_image *image;
	struct cimage_error *err;
};

/* A blob on its way. */
struct blob {
	struct fetch *f;
	size_t n; /* layer number */
	int fd;
	const char *digest;
	uint64_t size, received;
	size_t taken; /* of the bytes that will be offered again after a pause */
	struct digest_stream *stream;
	/* of an encrypted layer: what was decrypted and not written yet lies between at and len */
	struct crypt *crypt;
	char *plain;
	size_t plain_at, plain_len;
};

static int check_cancel(struct fetch *f)
{
	return cimage_context_cancelled(f->reading.ctx) ? err_set(f->err, CIMAGE_E_CANCELLED, "cancelled")
						: 0;
}

/* ---- manifests ---- */

static int get_manifests(struct fetch *f)
{
	_cleanup_(manifest_freep) struct manifest *list = NULL;
	struct cimage_image *image = f->image;
	_cleanup_free_ char *type = NULL;
	int r;

	r = reading_manifest(&f->reading, NULL, -1, &image->manifest, &type, f->err);
	if (!r)
		r = manifest_parse(image->manifest.bytes, image->manifest.len, type, &image->parsed,
				   f->err);
	if (r)
		return r;
	if (!manifest_is_list(image->parsed))
		return reading_judge(&f->reading, &image->manifest, f->err);
	image->list = image->manifest;
	image->manifest = (struct document){ 0 };
	list = take(image->parsed);
	return reading_chosen(&f->reading, list, false, &image->manifest, &image->parsed, f->err);
}

/* ---- blobs ---- */

static int blob_init(struct blob *b, struct fetch *f, const struct descriptor *d)
{
	*b = (struct blob){ .f = f, .fd = -1, .digest = d->digest, .size = (uint64_t)d->size };
	if (f->reading.digests->stream_new(d->digest, &b->stream))
		return err_oom(f->err);
	if (!str_ends(d->media_type, "+encrypted"))
		return 0;
	b->plain = malloc(PLAIN_MAX);
	if (!b->plain)
		return err_oom(f->err);
	return err_ctx(f->err,
		       crypt_decrypt_new(f->reading.ctx, json_get(d->node, "annotations"),
					 &b->crypt, f->err),
		       "layer %s", d->digest);
}

static void blob_done(struct blob *b)
{
	close_fd(b->fd);
	crypt_free(b->crypt);
	free(b->plain);
	if (b->stream)
		b->f->reading.digests->stream_free(b->stream);
}

/* Writes what fits now; CIMAGE_PAUSE when not all did. *ret_n counts what was written in any case. */
static int write_out(struct blob *b, const char *p, size_t n, size_t *ret_n)
{
	ssize_t k;

	for (*ret_n = 0; n; p += k, n -= (size_t)k, *ret_n += (size_t)k) {
		do
			k = write(b->fd, p, n);
		while (k < 0 && errno == EINTR);
		if (k < 0 && errno == EAGAIN)
			return CIMAGE_PAUSE;
		if (k < 0)
			return err_sys(b->f->err, "write blob %s", b->digest);
	}
	return 0;
}

/*
 * The same for an encrypted layer; *ret_n counts what was decrypted. Bytes can be decrypted only once,
 * so what does not fit now is kept, and is offered before anything else after the pause.
 */
static int write_decrypted(struct blob *b, const char *p, size_t n, size_t *ret_n)
{
	size_t done;
	int r;

	for (*ret_n = 0;; *ret_n += b->plain_len) {
		r = write_out(b, b->plain + b->plain_at, b->plain_len - b->plain_at, &done);
		b->plain_at += done;
		if (r || *ret_n == n)
			return r;
		b->plain_at = 0;
		b->plain_len = n - *ret_n < PLAIN_MAX ? n - *ret_n : PLAIN_MAX;
		crypt_update(b->crypt, p + *ret_n, b->plain, b->plain_len);
	}
}

/*
 * After a pause the transport offers the whole piece again, perhaps cut differently; what was already
 * taken of it is passed over.
 */
static int on_data(void *user, const void *data, size_t n)
{
	struct blob *b = user;
	size_t again = b->taken < n ? b->taken : n, fresh = n - again;
	const char *p = (const char *)data + again;
	int r;

	if (fresh > b->size - b->received)
		return err_set(b->f->err, CIMAGE_E_DIGEST, "blob %s: longer than its %llu bytes",
			       b->digest, (unsigned long long)b->size);
	r = b->crypt ? write_decrypted(b, p, fresh, &fresh) : write_out(b, p, fresh, &fresh);
	if (r && r != CIMAGE_PAUSE)
		return r;
	b->f->reading.digests->update(b->stream, p, fresh);
	b->received += fresh;
	b->taken = r ? b->taken + fresh : b->taken - again;
	if (fresh && b->f->sink->progress)
		b->f->sink->progress(b->f->sink->user, b->n, b->received);
	return r;
}

static int blob_check(struct blob *b)
{
	char digest[DIGEST_STR_MAX];

	if (b->received != b->size)
		return err_set(b->f->err, CIMAGE_E_DIGEST, "blob %s: %llu bytes instead of %llu",
			       b->digest, (unsigned long long)b->received,
			       (unsigned long long)b->size);
	b->f->reading.digests->final(b->stream, digest);
	if (!streq(digest, b->digest))
		return err_set(b->f->err, CIMAGE_E_DIGEST, "blob %s: the content has the digest %s",
			       b->digest, digest);
	return 0;
}

static int on_layer_done(void *user, int result)
{
	struct blob *b = user;
	const struct cimage_sink *sink = b->f->sink;
	int r;

	if (result)
		return result;
	r = blob_check(b);
	if (!r && b->crypt)
		r = crypt_final(b->crypt, b->f->err);
	if (!r && sink->layer_done)
		r = sink->layer_done(sink->user, b->n, b->f->err);
	b->fd = close_fd(b->fd);
	return r;
}

static int get_wanted(struct fetch *f, int *fds, struct blob *blobs,
		      struct cimage_blob_request *requests)
{
	size_t count = f->image->parsed->layer_count, i, n = 0, k;
	int r = 0;

	for (i = 0; i < count && !r; i++) {
		const struct cimage_layer *layer = &f->image->layers[i];

		if (fds[i] < 0)
			continue;
		r = blob_init(&blobs[n], f, &f->image->parsed->layers[i]);
		blobs[n].n = i;
		blobs[n].fd = take_fd(fds[i]);
		/* foreign layers: their URLs are not followed, only the registry is asked */
		requests[n] = (struct cimage_blob_request){
			.digest = layer->digest,
			.size = layer->size,
			.user = &blobs[n],
			.resume_fd = blobs[n].fd,
			.data = on_data,
			.done = on_layer_done,
		};
		n++;
	}
	if (!r && n)
		r = reading_transfer(&f->reading, requests, n, f->err);
	for (k = 0; k < n; k++)
		blob_done(&blobs[k]);
	return r;
}

static int get_layers(struct fetch *f)
{
	size_t count = f->image->parsed->layer_count, i;
	_cleanup_free_ struct cimage_blob_request *requests = calloc(count + 1, sizeof(*requests));
	_cleanup_free_ struct blob *blobs = calloc(count + 1, sizeof(*blobs));
	_cleanup_free_ int *fds = calloc(count + 1, sizeof(*fds));
	int r;

	if (!requests || !blobs || !fds)
		return err_oom(f->err);
	for (i = 0; i < count; i++)
		fds[i] = -1;
	r = check_cancel(f);
	if (!r)
		r = f->sink->image(f->sink->user, f->image, fds, f->err);
	if (r)
		return r;
	r = get_wanted(f, fds, blobs, requests);
	for (i = 0; i < count; i++)
		close_fd(fds[i]);
	return r;
}

/* ---- the whole ---- */

static int get_config(struct fetch *f)
{
	const struct descriptor *d = &f->image->parsed->config;

	return reading_blob(&f->reading, d->digest, d->size, &f->image->config, f->err);
}

static int run(struct fetch *f, struct cimage_context *c, const struct cimage_ref *ref)
{
	_cleanup_(cimage_place_freep) struct cimage_place *place = NULL;
	int r;

	r = place_from_ref(c, ref, &place, f->err);
	if (r)
		return r;
	if (!(r = reading_open(&f->reading, c, place, ref, true, f->err)) && !(r = get_manifests(f)) &&
	    !(r = reading_signatures(&f->reading, &f->image->manifest, &f->image->signatures,
				     f->err)) &&
	    !(r = get_config(f)) && !(r = image_complete(f->image, f->err)))
		r = get_layers(f);
	reading_close(&f->reading);
	return r;
}

PUBLIC int cimage_fetch(struct cimage_context *c, const struct cimage_ref *ref,
			const struct cimage_sink *sink, struct cimage_error *err)
{
	_cleanup_(image_freep) struct cimage_image *image = NULL;
	_cleanup_(cimage_ref_freep) struct cimage_ref *asked = NULL;
	struct fetch f = { .sink = sink, .err = err };
	struct sigpipe held;
	int r;

	if (!c || !ref || !sink || sink->size < sizeof(*sink) || !sink->image)
		return -EINVAL;
	image = f.image = calloc(1, sizeof(*image));
	if (!image || ref_for_fetch(ref, &asked))
		return err_oom(err);
	sigpipe_hold(&held);
	r = run(&f, c, asked);
	sigpipe_release(&held);
	return err_ctx(err, r, "fetch %s", cimage_ref_string(asked));
}

PUBLIC int cimage_context_prepare(struct cimage_context *c, const struct cimage_ref *ref,
				  struct cimage_error *err)
{
	_cleanup_(cimage_place_freep) struct cimage_place *place = NULL;
	_cleanup_(cimage_ref_freep) struct cimage_ref *asked = NULL;
	const struct cimage_transport *transport;
	const struct digest_module *digests;
	const struct crypt_module *crypt;
	_cleanup_strv_ char **paths = NULL;
	struct cimage_endpoint **endpoints;
	unsigned int needs;
	const char *bundle;
	int r;

	if (!c || !ref)
		return -EINVAL;
	if (ref_for_fetch(ref, &asked))
		return err_oom(err);
	r = cimage_context_endpoints(c, asked, &endpoints, err);
	if (r)
		return r;
	cimage_endpoints_free(endpoints);
	if ((r = place_from_ref(c, asked, &place, err)) ||
	    (r = trust_prepare(c, asked, &needs, err)) ||
	    (r = cimage_context_ca_bundle(c, &bundle, err)) ||
	    (r = module_digest(c, &digests, err)) ||
	    (r = cimage_context_read_paths(c, asked, &paths, err)) ||
	    (r = crypt_can_decrypt(c) ? module_crypt(c, &crypt, err) : 0))
		return r;
	transport = place_ops(place);
	return transport->prepare ? transport->prepare(c, err) : 0;
}
