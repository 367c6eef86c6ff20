/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching one image: policy, manifest, platform, config, then the layers the sink wants.
 *
 * The transport only moves bytes; here is decided what they are worth. A manifest from a reference
 * by digest or from an index must have that digest (and size), and so must the config and each
 * layer, which is digested while it streams. Nothing is handed on before it was checked, but for the
 * bytes of a layer: the sink learns from layer_done() that they are good.
 */
#include <signal.h>
#include "context.h"
#include "digest_module.h"
#include "image.h"
#include "module.h"
#include "trust.h"
#include "ref.h"

struct fetch {
	struct cimage_context *ctx;
	const struct cimage_sink *sink;
	const struct cimage_transport *transport;
	const struct digest_module *digests;
	struct cimage_source *source;
	struct cimage_image *image;
	struct cimage_error *err;
};

/* A blob on its way. */
struct blob {
	struct fetch *f;
	size_t n; /* layer number; the config uses none */
	int fd;	  /* -1: into bytes */
	char *bytes;
	const char *digest;
	uint64_t size, received;
	size_t taken; /* of the bytes that will be offered again after a pause */
	struct digest_stream *stream;
};

static int check_cancel(struct fetch *f)
{
	return cimage_context_cancelled(f->ctx) ? err_set(f->err, CIMAGE_E_CANCELLED, "cancelled")
						: 0;
}

/* ---- manifests ---- */

static int verify(struct fetch *f, const struct document *d, const char *what)
{
	if (f->digests->matches(d->digest, d->bytes, d->len))
		return 0;
	return err_set(f->err, CIMAGE_E_DIGEST, "%s: the content does not match the digest %s",
		       what, d->digest);
}

/* expected: the descriptor it was chosen by, or NULL for what the reference names. */
static int get_manifest(struct fetch *f, const struct cimage_ref *ref,
			const struct descriptor *expected, struct document *ret,
			struct manifest **ret_parsed)
{
	const char *digest = expected ? expected->digest : cimage_ref_digest(ref);
	_cleanup_free_ char *type = NULL;
	int r;

	r = check_cancel(f);
	if (!r)
		r = f->transport->manifest(f->source, expected ? digest : NULL, &ret->bytes,
					   &ret->len, &type, f->err);
	if (r)
		return r;
	if (!digest) {
		f->digests->sha256(ret->bytes, ret->len, ret->digest);
	} else {
		strcpy(ret->digest, digest);
		r = verify(f, ret, "manifest");
		if (r)
			return r;
	}
	if (expected && (uint64_t)expected->size != ret->len)
		return err_set(f->err, CIMAGE_E_DIGEST, "manifest %s: %zu bytes instead of %lld",
			       digest, ret->len, (long long)expected->size);
	return manifest_parse(ret->bytes, ret->len, type, ret_parsed, f->err);
}

static int get_chosen(struct fetch *f, const struct cimage_ref *ref, const struct manifest *list)
{
	struct cimage_image *image = f->image;
	struct platform platform;
	struct descriptor chosen;
	int r;

	platform_init(&platform, f->ctx->os, f->ctx->arch, f->ctx->variant);
	r = manifest_choose(list, &platform, &chosen, f->err);
	if (r)
		return r;
	r = get_manifest(f, ref, &chosen, &image->manifest, &image->parsed);
	if (r)
		return r;
	if (manifest_is_list(image->parsed))
		return err_set(f->err, CIMAGE_E_UNSUPPORTED,
			       "manifest: an index inside an index is not supported");
	if (*chosen.media_type && manifest_type_of(chosen.media_type) != image->parsed->type)
		return err_set(f->err, CIMAGE_E_INVALID,
			       "manifest %s: the index calls it \"%s\", and it is %s",
			       chosen.digest, SHOW(chosen.media_type),
			       manifest_type_name(image->parsed->type));
	return 0;
}

static int get_manifests(struct fetch *f, const struct cimage_ref *ref)
{
	_cleanup_(manifest_freep) struct manifest *list = NULL;
	struct cimage_image *image = f->image;
	int r;

	r = get_manifest(f, ref, NULL, &image->manifest, &image->parsed);
	if (r || !manifest_is_list(image->parsed))
		return r;
	image->list = image->manifest;
	image->manifest = (struct document){ 0 };
	list = take(image->parsed);
	return get_chosen(f, ref, list);
}

/* ---- blobs ---- */

static int blob_init(struct blob *b, struct fetch *f, const char *digest, int64_t size)
{
	*b = (struct blob){ .f = f, .fd = -1, .digest = digest, .size = (uint64_t)size };
	return f->digests->stream_new(digest, &b->stream) ? err_oom(f->err) : 0;
}

static void blob_done(struct blob *b)
{
	close_fd(b->fd);
	free(b->bytes);
	if (b->stream)
		b->f->digests->stream_free(b->stream);
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
 * After a pause the transport offers the whole piece again, perhaps cut differently; what was already
 * taken of it is passed over.
 */
static int on_data(void *user, const void *data, size_t n)
{
	struct blob *b = user;
	size_t again = b->taken < n ? b->taken : n, fresh = n - again;
	const char *p = (const char *)data + again;
	int r = 0;

	if (fresh > b->size - b->received)
		return err_set(b->f->err, CIMAGE_E_DIGEST, "blob %s: longer than its %llu bytes",
			       b->digest, (unsigned long long)b->size);
	if (b->fd >= 0)
		r = write_out(b, p, fresh, &fresh);
	else
		memcpy(b->bytes + b->received, p, fresh);
	if (r && r != CIMAGE_PAUSE)
		return r;
	b->f->digests->update(b->stream, p, fresh);
	b->received += fresh;
	b->taken = r ? b->taken + fresh : b->taken - again;
	if (fresh && b->fd >= 0 && b->f->sink->progress)
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
	b->f->digests->final(b->stream, digest);
	if (!streq(digest, b->digest))
		return err_set(b->f->err, CIMAGE_E_DIGEST, "blob %s: the content has the digest %s",
			       b->digest, digest);
	return 0;
}

static int on_config_done(void *user, int result)
{
	return result ? result : blob_check(user);
}

static int on_layer_done(void *user, int result)
{
	struct blob *b = user;
	const struct cimage_sink *sink = b->f->sink;
	int r;

	if (result)
		return result;
	r = blob_check(b);
	if (!r && sink->layer_done)
		r = sink->layer_done(sink->user, b->n, b->f->err);
	b->fd = close_fd(b->fd);
	return r;
}

/*
 * A callback that ends the transfer has said why in f->err; else the transport says it. Therefore the
 * transport writes into an error of its own.
 */
static int transfer(struct fetch *f, struct cimage_blob_request *requests, size_t n)
{
	struct cimage_error why = { 0 };
	int r;

	if (f->err)
		f->err->message[0] = '\0';
	r = f->transport->blobs(f->source, requests, n, &why);
	if (r && f->err && !f->err->message[0])
		*f->err = why;
	return r;
}

static int get_config(struct fetch *f)
{
	const struct descriptor *d = &f->image->parsed->config;
	struct document *config = &f->image->config;
	struct blob b;
	int r;

	r = check_cancel(f);
	if (r)
		return r;
	r = blob_init(&b, f, d->digest, d->size);
	if (!r) {
		struct cimage_blob_request request = {
			.digest = d->digest,
			.size = d->size,
			.user = &b,
			.resume_fd = -1,
			.data = on_data,
			.done = on_config_done,
		};

		b.bytes = calloc(1, (size_t)d->size + 1);
		r = b.bytes ? transfer(f, &request, 1) : err_oom(f->err);
	}
	if (!r) {
		config->bytes = take(b.bytes);
		config->len = (size_t)d->size;
		strcpy(config->digest, d->digest);
	}
	blob_done(&b);
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
		r = blob_init(&blobs[n], f, layer->digest, layer->size);
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
		r = transfer(f, requests, n);
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

static int get_signatures(void *user, struct cimage_signatures *ret, struct cimage_error *err)
{
	struct fetch *f = user;

	if (f->transport->abi < 2 || !f->transport->signatures)
		return 0;
	return f->transport->signatures(f->source, f->image->manifest.digest, ret, err);
}

/* Before there is a manifest: what is refused whatever it will be is not asked for. */
static int check_policy(struct fetch *f, const struct cimage_ref *ref)
{
	const struct document *m = &f->image->manifest;
	const struct trust_image i = {
		.ref = ref,
		.manifest = m->bytes,
		.manifest_len = m->len,
		.manifest_digest = m->digest,
		.signatures = get_signatures,
		.user = f,
	};

	return trust_check(f->ctx, &i, f->err);
}

static int run(struct fetch *f, const struct cimage_ref *ref)
{
	int r;

	if ((r = check_policy(f, ref)) || (r = module_digest(f->ctx, &f->digests, f->err)) ||
	    (r = module_transport(f->ctx, "docker", &f->transport, f->err)) ||
	    (r = f->transport->open(f->ctx, ref, &f->source, f->err)))
		return r;
	if (!(r = get_manifests(f, ref)) && !(r = check_policy(f, ref)) && !(r = get_config(f)) &&
	    !(r = image_complete(f->image, f->err)))
		r = get_layers(f);
	f->transport->close(f->source);
	return r;
}

/*
 * A reader that closes its end of a pipe must give EPIPE here, not a signal to the program: SIGPIPE
 * is blocked in this thread, and one that came meanwhile is taken back.
 */
static void hold_sigpipe(sigset_t *old, bool *was_pending)
{
	sigset_t set;

	sigpending(&set);
	*was_pending = sigismember(&set, SIGPIPE);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, old);
}

static void release_sigpipe(const sigset_t *old, bool was_pending)
{
	const struct timespec none = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	if (!was_pending)
		while (sigtimedwait(&set, NULL, &none) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

PUBLIC int cimage_fetch(struct cimage_context *c, const struct cimage_ref *ref,
			const struct cimage_sink *sink, struct cimage_error *err)
{
	_cleanup_(image_freep) struct cimage_image *image = NULL;
	_cleanup_(cimage_ref_freep) struct cimage_ref *asked = NULL;
	struct fetch f = { .ctx = c, .sink = sink, .err = err };
	bool was_pending;
	sigset_t old;
	int r;

	if (!c || !ref || !sink || sink->size < sizeof(*sink) || !sink->image)
		return -EINVAL;
	image = f.image = calloc(1, sizeof(*image));
	if (!image || ref_for_fetch(ref, &asked))
		return err_oom(err);
	hold_sigpipe(&old, &was_pending);
	r = run(&f, asked);
	release_sigpipe(&old, was_pending);
	return err_ctx(err, r, "fetch %s", cimage_ref_string(asked));
}

PUBLIC int cimage_context_prepare(struct cimage_context *c, const struct cimage_ref *ref,
				  struct cimage_error *err)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *asked = NULL;
	const struct cimage_transport *transport;
	const struct digest_module *digests;
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
	if ((r = trust_prepare(c, asked, &needs, err)) ||
	    (r = cimage_context_ca_bundle(c, &bundle, err)) ||
	    (r = module_digest(c, &digests, err)) ||
	    (r = module_transport(c, "docker", &transport, err)) ||
	    (r = cimage_context_read_paths(c, asked, &paths, err)))
		return r;
	return transport->prepare ? transport->prepare(c, err) : 0;
}
