/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pull pipeline: the tar reader asks for bytes, the decompressor runs when it has none left, the
 * blob is read when that has none left. Every byte is hashed once in each form as it passes.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <cbase/err.h>
#include "stream.h"

#define IN_SIZE (256u << 10)
#define OUT_SIZE (256u << 10)

int stream_init(struct stream *s, const struct apply_job *job, struct cstore_error *err)
{
	*s = (struct stream){ .job = job };
	s->in = malloc(IN_SIZE);
	s->out = malloc(OUT_SIZE);
	if (!s->in || !s->out || digest_stream_new("sha256", &s->out_hash) ||
	    (job->hash_blob && digest_stream_new("sha256", &s->in_hash))) {
		stream_done(s);
		return err_oom(err);
	}
	return 0;
}

void stream_done(struct stream *s)
{
	if (s->codec && s->state)
		s->codec->free(s->state);
	s->state = NULL;
	free(s->in);
	free(s->out);
	s->in = s->out = NULL;
	s->in_hash = digest_stream_free(s->in_hash);
	s->out_hash = digest_stream_free(s->out_hash);
}

void stream_from(struct stream *s,
		 int (*source)(void *user, void *p, size_t n, size_t *ret_got, struct cstore_error *err),
		 void *user)
{
	s->source = source;
	s->source_user = user;
	s->started = true; /* whatever it looks like, it is not compressed */
}

static int read_source(struct stream *s, size_t *ret_got, struct cstore_error *err)
{
	int r = s->source(s->source_user, s->in, IN_SIZE, ret_got, err);

	s->io.in_eof = !r && !*ret_got;
	return r;
}

/* Appends what one read() gives to the n bytes in s->in. */
static int read_more(struct stream *s, size_t n, size_t *ret_got, struct cstore_error *err)
{
	ssize_t k;

	if (s->source)
		return read_source(s, ret_got, err);
	do {
		if (s->job->cancel && *(const volatile int *)s->job->cancel)
			return err_set(err, CSTORE_E_CANCELLED, "cancelled");
		k = read(s->job->blob_fd, s->in + n, IN_SIZE - n);
	} while (k < 0 && errno == EINTR);
	if (k < 0)
		return err_sys(err, "read layer blob");
	if (s->in_hash)
		digest_stream_update(s->in_hash, s->in + n, (size_t)k);
	s->in_total += (uint64_t)k;
	s->io.in_eof = k == 0;
	if (k && s->job->progress)
		s->job->progress(s->job->user, s->in_total);
	*ret_got = (size_t)k;
	return 0;
}

static int refill(struct stream *s, struct cstore_error *err)
{
	s->io.in = s->in;
	return read_more(s, 0, &s->io.in_len, err);
}

/* Reads enough to see the magic number. */
static int start(struct stream *s, struct cstore_error *err)
{
	size_t n = 0, got;
	int r;

	do {
		r = read_more(s, n, &got, err);
		if (r)
			return r;
		n += got;
	} while (got && n < CODEC_MAGIC_MAX);
	s->io.in = s->in;
	s->io.in_len = n;
	s->codec = codec_find(s->in, n);
	s->started = true;
	if (!s->codec)
		return 0;
	r = s->codec->new (&s->state);
	return r ? err_sysr(err, r, "start the %s decompressor", s->codec->name) : 0;
}

static int check_limits(struct stream *s, struct cstore_error *err)
{
	if (s->out_total > STREAM_BYTES_MAX)
		return err_set(err, CSTORE_E_LIMIT, "layer unpacks to more than %llu bytes",
			       (unsigned long long)STREAM_BYTES_MAX);
	if (s->out_total > STREAM_RATIO_FREE && s->out_total / STREAM_RATIO_MAX > s->in_total)
		return err_set(err, CSTORE_E_LIMIT, "layer unpacks to more than %d times its size",
			       STREAM_RATIO_MAX);
	return 0;
}

static int copy_step(struct codec_io *io)
{
	size_t n = io->in_len < io->out_len ? io->in_len : io->out_len;

	memcpy(io->out, io->in, n);
	io->in += n;
	io->in_len -= n;
	io->out += n;
	io->out_len -= n;
	io->boundary = true;
	return 0;
}

static int step(struct stream *s, struct cstore_error *err)
{
	int r = s->codec ? s->codec->step(s->state, &s->io) : copy_step(&s->io);

	if (r == CSTORE_E_INVALID)
		return err_set(err, r, "layer blob is not valid %s data", s->codec->name);
	if (r == CSTORE_E_LIMIT)
		return err_set(err, r, "layer blob needs too much memory for %s", s->codec->name);
	return r ? err_sysr(err, r, "decompress layer blob") : 0;
}

/* Fills the output buffer with something, or finds the end. */
static int fill(struct stream *s, struct cstore_error *err)
{
	size_t before;
	bool stuck;
	int r = s->started ? 0 : start(s, err);

	if (r)
		return r;
	s->io.out = s->out;
	s->io.out_len = OUT_SIZE;
	do {
		r = s->io.in_len || s->io.in_eof ? 0 : refill(s, err);
		if (r)
			return r;
		before = s->io.in_len;
		r = step(s, err);
		if (r)
			return r;
		stuck = s->io.in_len == before && (s->io.in_len || s->io.in_eof);
	} while (s->io.out_len == OUT_SIZE && !stuck);
	s->at = s->out;
	s->len = OUT_SIZE - s->io.out_len;
	s->out_total += s->len;
	digest_stream_update(s->out_hash, s->out, s->len);
	if (s->len)
		return check_limits(s, err);
	if (!s->io.boundary || s->io.in_len)
		return err_set(err, CSTORE_E_INVALID,
			       "layer blob ends in the middle of its %s data",
			       s->codec ? s->codec->name : "tar");
	s->eof = true;
	return 0;
}

int stream_peek(struct stream *s, const uint8_t **ret, size_t *ret_len, struct cstore_error *err)
{
	int r = s->len || s->eof ? 0 : fill(s, err);

	if (r)
		return r;
	*ret = s->at;
	*ret_len = s->len;
	return 0;
}

void stream_consume(struct stream *s, size_t n)
{
	s->at += n;
	s->len -= n;
}

int stream_read(struct stream *s, void *p, size_t n, size_t *ret_len, struct cstore_error *err)
{
	size_t done = 0, have;
	const uint8_t *at;
	int r;

	while (done < n) {
		r = stream_peek(s, &at, &have, err);
		if (r)
			return r;
		if (!have)
			break;
		have = have < n - done ? have : n - done;
		memcpy((uint8_t *)p + done, at, have);
		stream_consume(s, have);
		done += have;
	}
	*ret_len = done;
	return 0;
}

void stream_result(struct stream *s, struct apply_result *ret)
{
	digest_stream_final(s->out_hash, ret->diff_id);
	if (s->in_hash)
		digest_stream_final(s->in_hash, ret->blob_digest);
	ret->blob_size = s->in_total;
	ret->diff_size = s->out_total;
	ret->compression = s->codec ? s->codec->kind : COMPRESSION_NONE;
}
