/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers of one image on their way.
 *
 * The thread of the copy runs the source, which writes each blob into a pipe; workers read the pipes,
 * verify, decrypt, decompress, compress, encrypt and digest, and hand the result to the destination. The
 * pipes are what is in flight: nothing else grows with a blob. The source starts blobs in their order, and
 * workers take them in the same, so that neither waits for one the other has not begun.
 *
 * When something fails, everything ends: closed pipes tell it in both directions. The first reason that
 * is not itself such a closed pipe is the one reported.
 */
#include <fcntl.h>
#include "blob_cache.h"
#include "codec_module.h"
#include "copy.h"
#include "crypt.h"
#include "digest_module.h"
#include "module.h"
#include "stream.h"

#define BATCH 128 /* layers that have pipes at once: descriptors */
#define PIPE_SIZE (256 << 10)

struct transfer;

struct job {
	struct transfer *t;
	struct copy_layer *layer;
	int reading, writing;	/* ends of its pipe; -1: closed */
	size_t taken;		/* of the bytes that will be offered again after a pause */
	uint64_t received;
	bool complete;		/* the source said so */
	bool cut;		/* it ended before it was complete */
};

struct transfer {
	struct copy *copy;
	struct job *jobs;
	size_t count;
	pthread_mutex_t lock;
	size_t next;		/* under the lock, as all below */
	int result;
	bool failed;
	struct cimage_error err;
};

bool layer_changes(const struct copy_layer *l)
{
	return l->decrypt || l->encrypt || l->decompress || l->compress;
}

/*
 * A worker's failure; r 0: another caused it. Nobody will read the pipes that no worker has taken: closed, they
 * tell the source.
 */
static void fail(struct transfer *t, int r, const struct cimage_error *err)
{
	pthread_mutex_lock(&t->lock);
	for (; t->next < t->count; t->next++)
		t->jobs[t->next].reading = close_fd(t->jobs[t->next].reading);
	if (!t->result) {
		t->result = r;
		t->err = *err;
	}
	t->failed = true;
	pthread_mutex_unlock(&t->lock);
}

static bool is_over(struct transfer *t)
{
	bool over;

	pthread_mutex_lock(&t->lock);
	over = t->failed;
	pthread_mutex_unlock(&t->lock);
	return over;
}

/* ---- workers ---- */

/* The pipe's end. It is the blob's end only if the source said so; else the source tells why. */
struct pipe_stream {
	struct cimage_stream base;
	struct job *job;
};

static int pipe_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		     struct cimage_error *err)
{
	struct job *j = ((struct pipe_stream *)s)->job;
	ssize_t k;

	do
		k = read(j->reading, p, n);
	while (k < 0 && errno == EINTR);
	if (k < 0)
		return err_sys(err, "read blob %s", j->layer->digest);
	*ret_n = (size_t)k;
	if (k || j->complete)
		return 0;
	j->cut = true;
	return err_set(err, CIMAGE_E_UNAVAILABLE, "blob %s ended too early", j->layer->digest);
}

static void pipe_close(struct cimage_stream *s)
{
	free(s);
}

static int pipe_new(struct job *j, struct cimage_stream **ret, struct cimage_error *err)
{
	struct pipe_stream *p = malloc(sizeof(*p));

	if (!p)
		return err_oom(err);
	*p = (struct pipe_stream){ { pipe_read, pipe_close }, j };
	*ret = &p->base;
	return 0;
}

/* What happens to the bytes. */
static int build(struct job *j, struct cimage_put *put, struct cimage_stream **ret,
		 struct cimage_error *err)
{
	struct copy_layer *l = j->layer;
	struct copy *c = j->t->copy;
	const struct meter in = { l->digest, l->size, NULL, &l->new_size };
	const struct meter out = { .size = -1, .ret_digest = l->new_digest, .ret_size = &put->size };
	const struct codec_module *codec = NULL;
	struct cimage_stream *s;
	int r;

	if (l->decompress || l->compress) {
		r = module_codec(c->from.ctx, &codec, err);
		if (r)
			return r;
	}
	if ((r = pipe_new(j, &s, err)) ||
	    (r = stream_meter(s, c->from.digests, &in, &s, err)))
		return r;
	if (l->decrypt) {
		struct crypt *x = NULL;

		r = crypt_decrypt_new(c->from.ctx, json_get(l->d->node, "annotations"), &x, err);
		l->encryption = x; /* freed with the layer, also when it is only for reading */
		if (r) {
			stream_close(s);
			return r;
		}
		r = stream_crypt(s, x, &s, err);
		if (r)
			return r;
	}
	if (l->decompress && (r = codec->decompress(s, &s, err)))
		return r;
	if (l->wants_diff_id && (r = stream_diff_id(c->from.ctx, s, l->diff_id, &s, err)))
		return r;
	if (l->compress && (r = codec->compress(l->compress, c->options->level, s, &s, err)))
		return r;
	if (l->encrypt) {
		crypt_free(take(l->encryption));
		r = crypt_encrypt_new(c->to_context, &l->encryption, err);
		if (r)
			stream_close(s);
		else
			r = stream_crypt(s, l->encryption, &s, err);
		if (r)
			return r;
	}
	if (layer_changes(l) && (r = stream_meter(s, c->from.digests, &out, &s, err)))
		return r;
	*ret = s;
	return 0;
}

/* Makes put->digest known when the end was read: what the destination relies on. */
struct tell {
	struct cimage_stream base;
	struct cimage_stream *below;
	struct cimage_put *put;
	const char *digest;
};

static int tell_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		     struct cimage_error *err)
{
	struct tell *t = (struct tell *)s;
	int r = t->below->read(t->below, p, n, ret_n, err);

	if (!r && !*ret_n)
		t->put->digest = t->digest;
	return r;
}

static void tell_close(struct cimage_stream *s)
{
}

static int work(struct job *j, struct cimage_error *err)
{
	struct copy_layer *l = j->layer;
	struct copy *c = j->t->copy;
	char type[128];
	struct cimage_put put = {
		.kind = CIMAGE_BLOB_LAYER,
		.index = l->index,
		.digest = layer_changes(l) ? NULL : l->digest,
		.size = layer_changes(l) ? -1 : l->size,
		.media_type = layer_kind_type(MANIFEST_OCI, &l->new_kind, type),
		.diff_id = l->known_diff_id,
	};
	struct tell told = { { tell_read, tell_close }, NULL, &put,
			     layer_changes(l) ? l->new_digest : l->digest };
	_cleanup_(stream_closep) struct cimage_stream *s = NULL;
	int r;

	r = build(j, &put, &s, err);
	if (r)
		return r;
	told.below = s;
	r = c->ops->put_blob(c->dest, &put, &told.base, err);
	if (r)
		return r;
	if (layer_changes(l))
		l->new_size = put.size;
	else
		strcpy(l->new_digest, l->digest);
	copy_progress(c, CIMAGE_PROGRESS_DONE, CIMAGE_BLOB_LAYER, l->digest, j->received, l->size);
	return 0;
}

static void *worker(void *user)
{
	struct transfer *t = user;
	struct job *j;
	int r;

	for (;;) {
		struct cimage_error err = { 0 };

		pthread_mutex_lock(&t->lock);
		j = t->next < t->count && !t->failed ? &t->jobs[t->next++] : NULL;
		pthread_mutex_unlock(&t->lock);
		if (!j)
			return NULL;
		r = work(j, &err);
		if (r) /* what was cut was so because the source failed, which says why itself */
			fail(t, j->cut ? 0 : r, &err);
		j->reading = close_fd(j->reading);
	}
}

/* ---- the source's side ---- */

/* After a pause the whole piece is offered again; what was taken of it is passed over. */
static int on_data(void *user, const void *data, size_t n)
{
	struct job *j = user;
	size_t again = j->taken < n ? j->taken : n, left = n - again;
	const char *p = (const char *)data + again;
	ssize_t k;
	int r = 0;

	if (!j->received && !j->taken)
		copy_progress(j->t->copy, CIMAGE_PROGRESS_START, CIMAGE_BLOB_LAYER, j->layer->digest,
			      0, j->layer->size);
	while (left && !r) {
		k = write(j->writing, p, left);
		if (k < 0 && errno != EINTR)
			r = errno == EAGAIN ? CIMAGE_PAUSE : -errno;
		if (k <= 0)
			continue;
		p += k;
		left -= (size_t)k;
		j->received += (size_t)k;
	}
	if (is_over(j->t))
		return -EPIPE;
	j->taken = r ? n - left : j->taken - again;
	copy_progress(j->t->copy, CIMAGE_PROGRESS_BYTES, CIMAGE_BLOB_LAYER, j->layer->digest,
		      j->received, j->layer->size);
	return r;
}

static int on_done(void *user, int result)
{
	struct job *j = user;

	if (!result)
		j->complete = true; /* seen by the worker behind the pipe's end */
	j->writing = close_fd(j->writing);
	return result;
}

static int prepare(struct transfer *t, struct cimage_blob_request *requests, struct cimage_error *err)
{
	size_t i;
	int ends[2];

	for (i = 0; i < t->count; i++) {
		struct job *j = &t->jobs[i];

		if (pipe2(ends, O_CLOEXEC))
			return err_sys(err, "make a pipe");
		j->reading = ends[0];
		j->writing = ends[1];
		fcntl(ends[1], F_SETFL, O_NONBLOCK);
		(void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE); /* smaller does as well */
		requests[i] = (struct cimage_blob_request){
			.digest = j->layer->digest,
			.size = j->layer->size,
			.user = j,
			.resume_fd = ends[1],
			.data = on_data,
			.done = on_done,
		};
	}
	return 0;
}

static int run(struct transfer *t, struct cimage_blob_request *requests, struct cimage_error *err)
{
	struct copy *c = t->copy;
	pthread_t threads[COPY_PARALLEL_MAX];
	size_t n = (size_t)c->options->parallel, started, i;
	int r = 0;

	for (started = 0; !r && started < n && started < t->count; started++) {
		r = pthread_create(&threads[started], NULL, worker, t);
		if (r) {
			r = started ? 0 : err_sysr(err, -r, "start a thread");
			break;
		}
	}
	if (!r)
		r = reading_transfer(&c->from, requests, t->count, err);
	if (r) {
		pthread_mutex_lock(&t->lock);
		t->failed = true;
		pthread_mutex_unlock(&t->lock);
	}
	for (i = 0; i < t->count; i++)
		t->jobs[i].writing = close_fd(t->jobs[i].writing);
	for (i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (t->result && r != CIMAGE_E_CANCELLED) {
		r = t->result;
		if (err)
			*err = t->err;
	}
	return r;
}

static int transfer(struct copy *c, struct copy_layer **wanted, size_t n, struct cimage_error *err)
{
	struct transfer t = { .copy = c, .lock = PTHREAD_MUTEX_INITIALIZER };
	_cleanup_free_ struct cimage_blob_request *requests = calloc(n, sizeof(*requests));
	_cleanup_free_ struct job *jobs = calloc(n, sizeof(*jobs));
	size_t i;
	int r;

	if (!requests || !jobs)
		return err_oom(err);
	t.jobs = jobs;
	t.count = n;
	for (i = 0; i < n; i++)
		jobs[i] = (struct job){ .t = &t, .layer = wanted[i], .reading = -1, .writing = -1 };
	r = prepare(&t, requests, err);
	if (!r)
		r = run(&t, requests, err);
	for (i = 0; i < n; i++) {
		close_fd(jobs[i].reading);
		close_fd(jobs[i].writing);
	}
	return r;
}

/* ---- what need not be put ---- */

struct look {
	struct copy *copy;
	struct copy_layer *layers;
	size_t count, next;
	bool *there;
	pthread_mutex_t lock;
	int result;
	struct cimage_error err;
};

/* Another repository of the registry that the destination is in: blobs can be had from there. */
static const char *same_registry(const struct copy *c)
{
	const struct cimage_ref *from = c->from.ref, *to = cimage_place_ref(c->to);

	if (!from || !to || !streq(cimage_place_transport(c->to), "docker") ||
	    !streq(cimage_place_transport(c->from.place), "docker") ||
	    !streq(cimage_ref_domain(from), cimage_ref_domain(to)))
		return NULL;
	return cimage_ref_path(from);
}

/* Where the destination's registry may have a blob: [owned] paths of repositories, or NULL. */
static char **known_at(const struct copy *c, const char *digest)
{
	const struct cimage_ref *to = cimage_place_ref(c->to);
	const char *from = same_registry(c);
	char **v;

	if (!to || !streq(cimage_place_transport(c->to), "docker"))
		return NULL;
	v = blob_cache_locations(c->cache, digest, cimage_ref_domain(to));
	if (from && !strv_has(v, from))
		(void)strv_push(&v, from);
	return v;
}

static int has_blob(struct copy *c, const struct copy_layer *l, const char *digest, int64_t size,
		    const char *diff_id, bool *ret, struct cimage_error *err)
{
	_cleanup_strv_ char **at = known_at(c, digest);
	char type[128];
	const struct cimage_put put = {
		.kind = CIMAGE_BLOB_LAYER,
		.index = l->index,
		.digest = digest,
		.size = size,
		.media_type = layer_kind_type(MANIFEST_OCI, &l->new_kind, type),
		.diff_id = diff_id,
		.known_at = (const char *const *)at,
	};
	int there = 0, r = c->ops->has_blob(c->dest, &put, &there, err);

	*ret = there;
	return r;
}

/* What a plain layer would become with compression may be there already, made by an earlier copy. */
static int look_for_variant(struct copy *c, struct copy_layer *l, bool *ret, struct cimage_error *err)
{
	struct blob_variant found[BLOB_CACHE_FOUND_MAX];
	size_t n = blob_cache_variants(c->cache, l->digest, found), i;
	int r = 0;

	for (i = 0; !r && !*ret && i < n; i++) {
		if (!streq(found[i].form, l->compress))
			continue;
		r = has_blob(c, l, found[i].digest, found[i].size, l->digest, ret, err);
		if (r || !*ret)
			continue;
		strcpy(l->new_digest, found[i].digest);
		l->new_size = found[i].size;
		l->reused = true;
	}
	return r;
}

static int look_at(struct look *k, size_t i, struct cimage_error *err)
{
	struct copy_layer *l = &k->layers[i];

	if (l->skip || l->same_as || l->wants_diff_id)
		return 0;
	if (!layer_changes(l))
		return has_blob(k->copy, l, l->digest, l->size, l->known_diff_id, &k->there[i], err);
	if (l->kind.form == FORM_PLAIN && l->compress && !l->decrypt && !l->encrypt)
		return look_for_variant(k->copy, l, &k->there[i], err);
	return 0;
}

static void *looker(void *user)
{
	struct look *k = user;
	size_t i;
	int r = 0;

	while (!r) {
		struct cimage_error err = { 0 };

		pthread_mutex_lock(&k->lock);
		i = k->result ? k->count : k->next;
		k->next += k->next < k->count;
		pthread_mutex_unlock(&k->lock);
		if (i >= k->count)
			break;
		r = look_at(k, i, &err);
		if (!r)
			continue;
		pthread_mutex_lock(&k->lock);
		if (!k->result) {
			k->result = r;
			k->err = err;
		}
		pthread_mutex_unlock(&k->lock);
	}
	return NULL;
}

/* A round trip each, at some destinations: so several at once. */
static int look_for_all(struct copy *c, struct copy_layer *layers, size_t n, bool *there,
			struct cimage_error *err)
{
	struct look k = { c, layers, n, 0, there, PTHREAD_MUTEX_INITIALIZER, 0, { 0 } };
	pthread_t threads[COPY_PARALLEL_MAX];
	size_t started = 0, i;

	while (started < (size_t)c->options->parallel && started + 1 < n &&
	       !pthread_create(&threads[started], NULL, looker, &k))
		started++;
	looker(&k);
	for (i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (k.result && err)
		*err = k.err;
	return k.result;
}

/* For later copies: where the layer is now, and was, and what it is in another form, if that was computed. */
static void remember(struct copy *c, const struct copy_layer *l)
{
	const struct cimage_ref *from = c->from.ref, *to = cimage_place_ref(c->to);
	struct blob_variant v = { .form = "" };
	const char *diff_id = NULL;

	if (l->skip || l->encrypt || l->kind.encrypted)
		return;
	if (to && streq(cimage_place_transport(c->to), "docker"))
		blob_cache_add_location(c->cache, l->new_digest, cimage_ref_name(to));
	if (from && streq(cimage_place_transport(c->from.place), "docker"))
		blob_cache_add_location(c->cache, l->digest, cimage_ref_name(from));
	if (l->kind.form == FORM_PLAIN && l->compress) {
		diff_id = l->digest;
		v = (struct blob_variant){ .size = l->new_size, .form = l->compress };
		strcpy(v.digest, l->new_digest);
	} else if ((l->kind.form == FORM_GZIP || l->kind.form == FORM_ZSTD) && !l->compress) {
		/* a store compares what it unpacks with the diff id that it was told */
		diff_id = l->decompress ? l->new_digest
			  : streq(cimage_place_transport(c->to), "containers-storage") ? l->known_diff_id
										       : NULL;
		v = (struct blob_variant){ .size = l->size,
					   .form = l->kind.form == FORM_GZIP ? "gzip" : "zstd" };
		strcpy(v.digest, l->digest);
	}
	if (diff_id)
		blob_cache_add_variant(c->cache, diff_id, &v);
}

static void copy_result(struct copy_layer *to, const struct copy_layer *from)
{
	strcpy(to->new_digest, from->new_digest);
	strcpy(to->diff_id, from->diff_id);
	to->new_size = from->new_size;
}

int copy_layers(struct copy *c, struct copy_layer *layers, size_t n, struct cimage_error *err)
{
	_cleanup_free_ struct copy_layer **wanted = calloc(n + 1, sizeof(*wanted));
	_cleanup_free_ bool *there = calloc(n + 1, sizeof(*there));
	size_t i, m = 0, k;
	int r;

	if (!wanted || !there)
		return err_oom(err);
	r = look_for_all(c, layers, n, there, err);
	for (i = 0; !r && i < n; i++) {
		if (!layers[i].reused) {
			strcpy(layers[i].new_digest, layers[i].digest);
			layers[i].new_size = layers[i].size;
		}
		if (there[i])
			copy_progress(c, CIMAGE_PROGRESS_REUSED, CIMAGE_BLOB_LAYER,
				      layers[i].digest, 0, layers[i].size);
		else if (!layers[i].skip && !layers[i].same_as)
			wanted[m++] = &layers[i];
	}
	for (i = 0; !r && i < m; i += k) {
		k = m - i < BATCH ? m - i : BATCH;
		r = transfer(c, wanted + i, k, err);
	}
	for (i = 0; !r && i < n; i++)
		if (layers[i].same_as)
			copy_result(&layers[i], layers[i].same_as);
		else
			remember(c, &layers[i]);
	return r;
}
