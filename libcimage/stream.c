/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams on top of streams, see stream.h. A stream reads the one below only when it is read itself,
 * so what a blob takes of memory are the buffers of its streams. What a stream finds out about the
 * whole (digest, size, authentication) it finds out before it returns the end: who sees the end may
 * rely on all of it.
 */
#include <fcntl.h>
#include <pthread.h>
#include "codec_module.h"
#include "crypt.h"
#include "digest_module.h"
#include "module.h"
#include "stream.h"

/* ---- a descriptor ---- */

struct fd_stream {
	struct cimage_stream base;
	int fd;
};

static int fd_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		   struct cimage_error *err)
{
	struct fd_stream *f = (struct fd_stream *)s;
	ssize_t k;

	do
		k = read(f->fd, p, n);
	while (k < 0 && errno == EINTR);
	if (k < 0)
		return err_sys(err, "read");
	*ret_n = (size_t)k;
	return 0;
}

static void fd_close(struct cimage_stream *s)
{
	close_fd(((struct fd_stream *)s)->fd);
	free(s);
}

int stream_fd(int fd, struct cimage_stream **ret, struct cimage_error *err)
{
	struct fd_stream *f = malloc(sizeof(*f));

	if (!f) {
		close_fd(fd);
		return err_oom(err);
	}
	*f = (struct fd_stream){ { fd_read, fd_close }, fd };
	*ret = &f->base;
	return 0;
}

/* ---- digest and size ---- */

struct meter_stream {
	struct cimage_stream base;
	struct cimage_stream *below;
	const struct digest_module *digests;
	struct digest_stream *digest;
	struct meter m;
	uint64_t count;
	bool ended;
};

static int meter_end(struct meter_stream *t, struct cimage_error *err)
{
	char digest[DIGEST_STR_MAX];

	if (t->ended)
		return 0;
	if (t->m.size >= 0 && t->count != (uint64_t)t->m.size)
		return err_set(err, CIMAGE_E_DIGEST, "blob %s: %llu bytes instead of %lld",
			       t->m.expected ? t->m.expected : "", (unsigned long long)t->count,
			       (long long)t->m.size);
	t->digests->final(t->digest, digest);
	t->ended = true;
	if (t->m.expected && !streq(digest, t->m.expected))
		return err_set(err, CIMAGE_E_DIGEST, "blob %s: the content has the digest %s",
			       t->m.expected, digest);
	if (t->m.ret_digest)
		strcpy(t->m.ret_digest, digest);
	if (t->m.ret_size)
		*t->m.ret_size = (int64_t)t->count;
	return 0;
}

static int meter_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		      struct cimage_error *err)
{
	struct meter_stream *t = (struct meter_stream *)s;
	int r = t->below->read(t->below, p, n, ret_n, err);

	if (r)
		return r;
	if (!*ret_n)
		return meter_end(t, err);
	if (t->m.size >= 0 && *ret_n > (uint64_t)t->m.size - t->count)
		return err_set(err, CIMAGE_E_DIGEST, "blob %s: longer than its %lld bytes",
			       t->m.expected ? t->m.expected : "", (long long)t->m.size);
	t->digests->update(t->digest, p, *ret_n);
	t->count += *ret_n;
	return 0;
}

static void meter_close(struct cimage_stream *s)
{
	struct meter_stream *t = (struct meter_stream *)s;

	stream_close(t->below);
	if (t->digest)
		t->digests->stream_free(t->digest);
	free(t);
}

int stream_meter(struct cimage_stream *below, const struct digest_module *digests,
		 const struct meter *m, struct cimage_stream **ret, struct cimage_error *err)
{
	struct meter_stream *t = calloc(1, sizeof(*t));

	if (!t) {
		stream_close(below);
		return err_oom(err);
	}
	*t = (struct meter_stream){ { meter_read, meter_close }, below, digests, NULL, *m, 0, false };
	if (digests->stream_new(m->expected ? m->expected : "sha256", &t->digest)) {
		meter_close(&t->base);
		return err_oom(err);
	}
	*ret = &t->base;
	return 0;
}

/* ---- ciphers ---- */

struct crypt_stream {
	struct cimage_stream base;
	struct cimage_stream *below;
	struct crypt *x;
	bool ended;
};

static int crypt_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		      struct cimage_error *err)
{
	struct crypt_stream *c = (struct crypt_stream *)s;
	int r = c->below->read(c->below, p, n, ret_n, err);

	if (r)
		return r;
	if (*ret_n) {
		crypt_update(c->x, p, p, *ret_n);
		return 0;
	}
	if (c->ended)
		return 0;
	c->ended = true;
	return crypt_final(c->x, err);
}

static void crypt_close(struct cimage_stream *s)
{
	stream_close(((struct crypt_stream *)s)->below);
	free(s);
}

int stream_crypt(struct cimage_stream *below, struct crypt *x, struct cimage_stream **ret,
		 struct cimage_error *err)
{
	struct crypt_stream *c = malloc(sizeof(*c));

	if (!c) {
		stream_close(below);
		return err_oom(err);
	}
	*c = (struct crypt_stream){ { crypt_read, crypt_close }, below, x, false };
	*ret = &c->base;
	return 0;
}

/* ---- the digest of what is inside ---- */

struct diff_stream {
	struct cimage_stream base;
	struct cimage_stream *below;
	int fd; /* to the thread; -1: closed */
	pthread_t thread;
	bool running;
	char *ret_digest;
	const struct digest_module *digests;
	const struct codec_module *codec;
	/* of the thread, until it is joined: */
	struct cimage_stream *inside;
	int result;
	struct cimage_error err;
};

static void *digest_inside(void *user)
{
	struct diff_stream *d = user;
	const struct meter m = { .size = -1, .ret_digest = d->ret_digest };
	char buf[32768];
	size_t n = 1;

	/* here: it reads, to see how the data is compressed */
	d->result = d->codec->decompress(d->inside, &d->inside, &d->err);
	if (!d->result)
		d->result = stream_meter(d->inside, d->digests, &m, &d->inside, &d->err);
	if (d->result)
		return NULL; /* both closed it */
	while (!d->result && n)
		d->result = d->inside->read(d->inside, buf, sizeof(buf), &n, &d->err);
	stream_close(d->inside); /* breaks the pipe */
	return NULL;
}

static int diff_end(struct diff_stream *d, struct cimage_error *err)
{
	d->fd = close_fd(d->fd);
	if (!d->running)
		return 0;
	pthread_join(d->thread, NULL);
	d->running = false;
	if (d->result && err)
		*err = d->err;
	return d->result;
}

static int diff_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		     struct cimage_error *err)
{
	struct diff_stream *d = (struct diff_stream *)s;
	int r = d->below->read(d->below, p, n, ret_n, err);
	const char *from = p;
	size_t left = r ? 0 : *ret_n;
	ssize_t k;

	if (r)
		return r;
	if (!*ret_n)
		return diff_end(d, err);
	for (; left; left -= (size_t)k, from += k) {
		k = write(d->fd, from, left);
		if (k < 0 && errno == EINTR)
			k = 0;
		if (k < 0) {
			r = diff_end(d, err);
			return r ? r : err_set(err, CIMAGE_E_INVALID, "data behind the layer");
		}
	}
	return 0;
}

static void diff_close(struct cimage_stream *s)
{
	struct diff_stream *d = (struct diff_stream *)s;

	diff_end(d, NULL);
	stream_close(d->below);
	free(d);
}

int stream_diff_id(struct cimage_context *c, struct cimage_stream *below, char *ret_digest,
		   struct cimage_stream **ret, struct cimage_error *err)
{
	struct diff_stream *d = calloc(1, sizeof(*d));
	int ends[2], r;

	if (!d) {
		stream_close(below);
		return err_oom(err);
	}
	*d = (struct diff_stream){ { diff_read, diff_close }, .below = below, .fd = -1,
				   .ret_digest = ret_digest };
	if ((r = module_digest(c, &d->digests, err)) || (r = module_codec(c, &d->codec, err)))
		goto fail;
	if (pipe2(ends, O_CLOEXEC)) {
		r = err_sys(err, "make a pipe");
		goto fail;
	}
	d->fd = ends[1];
	r = stream_fd(ends[0], &d->inside, err);
	if (r)
		goto fail;
	r = pthread_create(&d->thread, NULL, digest_inside, d);
	if (r) {
		stream_close(d->inside);
		r = err_sysr(err, -r, "start a thread");
		goto fail;
	}
	d->running = true;
	*ret = &d->base;
	return 0;
fail:
	diff_close(&d->base);
	return r;
}
