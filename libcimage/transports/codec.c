/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec.so: streams that compress or decompress, see codec_module.h.
 *
 * Every format is a step function: it takes from the input, fills the output and says whether the input
 * so far is whole. Several members or frames one after the other are one stream, as gzip and zstd
 * have it; data that ends within one is damaged.
 */
#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>
#include "../codec_module.h"

#define BUFFER (64u << 10)
/* Real layers stay below 100, once they are large; a bomb of zeros is 1000 and more. */
#define RATIO_MAX 500
#define RATIO_FREE (UINT64_C(1) << 30)
#define MEMORY_MAX (64u << 20) /* of xz: what level 6 and above 8 MiB dictionaries need */

struct step {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len;
	bool eof;   /* nothing comes after in */
	bool whole; /* set: it may end here */
};

struct codec {
	const char *name;
	const char *magic;
	size_t magic_len;
	int (*new)(int level, void **ret); /* 0 or -ENOMEM */
	/* 0; -ENOMEM; CIMAGE_E_INVALID; CIMAGE_E_LIMIT */
	int (*step)(void *state, struct step *s);
	void (*free)(void *state);
};

/* ---- gzip ---- */

static int zlib_advance(z_stream *z, struct step *s, int (*f)(z_stream *, int), int flush)
{
	int r;

	z->next_in = (Bytef *)(uintptr_t)s->in;
	z->avail_in = (uInt)s->in_len;
	z->next_out = s->out;
	z->avail_out = (uInt)s->out_len;
	r = f(z, flush);
	s->in += s->in_len - z->avail_in;
	s->in_len = z->avail_in;
	s->out += s->out_len - z->avail_out;
	s->out_len = z->avail_out;
	return r;
}

static int gunzip_new(int level, void **ret)
{
	z_stream *z = calloc(1, sizeof(*z));

	if (!z || inflateInit2(z, 15 + 16) != Z_OK) {
		free(z);
		return -ENOMEM;
	}
	*ret = z;
	return 0;
}

static int gunzip_step(void *state, struct step *s)
{
	z_stream *z = state;
	int r;

	if (s->whole && s->in_len)
		inflateReset(z); /* the next member */
	s->whole = false;
	r = zlib_advance(z, s, inflate, Z_NO_FLUSH);
	s->whole = r == Z_STREAM_END;
	if (r == Z_MEM_ERROR)
		return -ENOMEM;
	return r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR ? 0 : CIMAGE_E_INVALID;
}

static void gunzip_free(void *state)
{
	inflateEnd(state);
	free(state);
}

static int gzip_new(int level, void **ret)
{
	z_stream *z = calloc(1, sizeof(*z));

	if (!z || deflateInit2(z, level ? level : Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
			       Z_DEFAULT_STRATEGY) != Z_OK) {
		free(z);
		return -ENOMEM;
	}
	*ret = z;
	return 0;
}

static int gzip_step(void *state, struct step *s)
{
	s->whole = zlib_advance(state, s, deflate, s->eof ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_END;
	return 0;
}

static void gzip_free(void *state)
{
	deflateEnd(state);
	free(state);
}

/* ---- zstd ---- */

static int unzstd_new(int level, void **ret)
{
	ZSTD_DCtx *d = ZSTD_createDCtx();

	if (!d)
		return -ENOMEM;
	ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, CODEC_WINDOW_LOG_MAX);
	*ret = d;
	return 0;
}

static int unzstd_step(void *state, struct step *s)
{
	ZSTD_inBuffer in = { s->in, s->in_len, 0 };
	ZSTD_outBuffer out = { s->out, s->out_len, 0 };
	size_t r = ZSTD_decompressStream(state, &out, &in);

	s->in += in.pos;
	s->in_len -= in.pos;
	s->out += out.pos;
	s->out_len -= out.pos;
	s->whole = r == 0;
	if (!ZSTD_isError(r))
		return 0;
	return ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge ? CIMAGE_E_LIMIT
										: CIMAGE_E_INVALID;
}

static void unzstd_free(void *state)
{
	ZSTD_freeDCtx(state);
}

static int zstd_new(int level, void **ret)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();

	if (!c)
		return -ENOMEM;
	ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level ? level : ZSTD_CLEVEL_DEFAULT);
	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	if (level > 15) /* others, and this library, could not read it */
		ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, CODEC_WINDOW_LOG_MAX);
	*ret = c;
	return 0;
}

static int zstd_step(void *state, struct step *s)
{
	ZSTD_inBuffer in = { s->in, s->in_len, 0 };
	ZSTD_outBuffer out = { s->out, s->out_len, 0 };
	size_t r = ZSTD_compressStream2(state, &out, &in, s->eof ? ZSTD_e_end : ZSTD_e_continue);

	s->in += in.pos;
	s->in_len -= in.pos;
	s->out += out.pos;
	s->out_len -= out.pos;
	s->whole = s->eof && r == 0;
	return ZSTD_isError(r) ? -ENOMEM : 0;
}

static void zstd_free(void *state)
{
	ZSTD_freeCCtx(state);
}

/* ---- bzip2, xz: only read ---- */

static int bunzip_new(int level, void **ret)
{
	bz_stream *b = calloc(1, sizeof(*b));

	if (!b || BZ2_bzDecompressInit(b, 0, 0) != BZ_OK) {
		free(b);
		return -ENOMEM;
	}
	*ret = b;
	return 0;
}

static int bunzip_step(void *state, struct step *s)
{
	bz_stream *b = state;
	int r;

	if (s->whole && s->in_len) {
		BZ2_bzDecompressEnd(b);
		memset(b, 0, sizeof(*b));
		if (BZ2_bzDecompressInit(b, 0, 0) != BZ_OK)
			return -ENOMEM;
	}
	b->next_in = (char *)(uintptr_t)s->in;
	b->avail_in = (unsigned int)s->in_len;
	b->next_out = (char *)s->out;
	b->avail_out = (unsigned int)s->out_len;
	r = BZ2_bzDecompress(b);
	s->in += s->in_len - b->avail_in;
	s->in_len = b->avail_in;
	s->out += s->out_len - b->avail_out;
	s->out_len = b->avail_out;
	s->whole = r == BZ_STREAM_END;
	return r == BZ_OK || r == BZ_STREAM_END ? 0 : r == BZ_MEM_ERROR ? -ENOMEM : CIMAGE_E_INVALID;
}

static void bunzip_free(void *state)
{
	BZ2_bzDecompressEnd(state);
	free(state);
}

static int unxz_new(int level, void **ret)
{
	lzma_stream *l = calloc(1, sizeof(*l));

	if (!l || lzma_stream_decoder(l, MEMORY_MAX, LZMA_CONCATENATED) != LZMA_OK) {
		free(l);
		return -ENOMEM;
	}
	*ret = l;
	return 0;
}

static int unxz_step(void *state, struct step *s)
{
	lzma_stream *l = state;
	lzma_ret r;

	l->next_in = s->in;
	l->avail_in = s->in_len;
	l->next_out = s->out;
	l->avail_out = s->out_len;
	r = lzma_code(l, s->eof ? LZMA_FINISH : LZMA_RUN);
	s->in = l->next_in;
	s->in_len = l->avail_in;
	s->out = l->next_out;
	s->out_len = l->avail_out;
	s->whole = r == LZMA_STREAM_END;
	switch (r) {
	case LZMA_OK:
	case LZMA_STREAM_END:
	case LZMA_BUF_ERROR:
		return 0;
	case LZMA_MEM_ERROR:
		return -ENOMEM;
	case LZMA_MEMLIMIT_ERROR:
		return CIMAGE_E_LIMIT;
	default:
		return CIMAGE_E_INVALID;
	}
}

static void unxz_free(void *state)
{
	lzma_end(state);
	free(state);
}

static const struct codec decoders[] = {
	{ "gzip", "\x1f\x8b\x08", 3, gunzip_new, gunzip_step, gunzip_free },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, unzstd_new, unzstd_step, unzstd_free },
	{ "bzip2", "BZh", 3, bunzip_new, bunzip_step, bunzip_free },
	{ "xz", "\xfd"
		"7zXZ\0",
	  6, unxz_new, unxz_step, unxz_free },
};

static const struct codec encoders[] = {
	{ "gzip", "", 0, gzip_new, gzip_step, gzip_free },
	{ "zstd", "", 0, zstd_new, zstd_step, zstd_free },
};

/* ---- the stream ---- */

struct codec_stream {
	struct cimage_stream base;
	struct cimage_stream *below;
	const struct codec *codec; /* NULL: what comes is passed on */
	void *state;
	struct step s;
	uint64_t in_total, out_total;
	bool decodes, ended;
	uint8_t buffer[BUFFER];
};

static void codec_close(struct cimage_stream *s)
{
	struct codec_stream *c = (struct codec_stream *)s;

	if (c->state)
		c->codec->free(c->state);
	if (c->below)
		c->below->close(c->below);
	free(c);
}

static int fill(struct codec_stream *c, struct cimage_error *err)
{
	size_t n;
	int r;

	if (c->s.in_len || c->s.eof)
		return 0;
	r = c->below->read(c->below, c->buffer, BUFFER, &n, err);
	if (r)
		return r;
	c->s.in = c->buffer;
	c->s.in_len = n;
	c->s.eof = !n;
	c->in_total += n;
	return 0;
}

static int check_ratio(const struct codec_stream *c, struct cimage_error *err)
{
	if (!c->decodes || c->out_total <= RATIO_FREE || c->out_total / RATIO_MAX <= c->in_total)
		return 0;
	return err_set(err, CIMAGE_E_LIMIT, "%s data that becomes more than %d times as large",
		       c->codec->name, RATIO_MAX);
}

static int fail(const struct codec_stream *c, int r, struct cimage_error *err)
{
	if (r == -ENOMEM)
		return err_oom(err);
	if (r == CIMAGE_E_LIMIT)
		return err_set(err, r, "%s data that needs more memory than the %u MiB of a window",
			       c->codec->name, 1u << (CODEC_WINDOW_LOG_MAX - 20));
	return err_set(err, CIMAGE_E_INVALID, "damaged %s data", c->codec->name);
}

static int codec_read(struct cimage_stream *stream, void *p, size_t n, size_t *ret_n,
		      struct cimage_error *err)
{
	struct codec_stream *c = (struct codec_stream *)stream;
	size_t left;
	int r;

	*ret_n = 0;
	c->s.out = p;
	c->s.out_len = n;
	while (!c->ended && c->s.out_len == n) {
		r = fill(c, err);
		if (r)
			return r;
		if (c->decodes && c->s.eof && !c->s.in_len && c->s.whole)
			break;
		left = c->s.in_len;
		r = c->codec->step(c->state, &c->s);
		if (r)
			return fail(c, r, err);
		if (!c->decodes)
			c->ended = c->s.whole;
		else if (c->s.eof && left == c->s.in_len && c->s.out_len == n && !c->s.whole)
			return err_set(err, CIMAGE_E_INVALID, "%s data ends too early",
				       c->codec->name);
	}
	if (c->s.out_len == n)
		c->ended = true;
	*ret_n = n - c->s.out_len;
	c->out_total += *ret_n;
	return check_ratio(c, err);
}

/* What was read to see what it is, then the rest. */
static int plain_read(struct cimage_stream *stream, void *p, size_t n, size_t *ret_n,
		      struct cimage_error *err)
{
	struct codec_stream *c = (struct codec_stream *)stream;
	size_t k = c->s.in_len < n ? c->s.in_len : n;

	if (!k)
		return c->below->read(c->below, p, n, ret_n, err);
	memcpy(p, c->s.in, k);
	c->s.in += k;
	c->s.in_len -= k;
	*ret_n = k;
	return 0;
}

static int look(struct codec_stream *c, struct cimage_error *err)
{
	size_t n = 1, i;
	int r;

	c->s.in = c->buffer;
	while (n && c->s.in_len < 6) {
		r = c->below->read(c->below, c->buffer + c->s.in_len, BUFFER - c->s.in_len, &n,
				   err);
		if (r)
			return r;
		c->s.in_len += n;
	}
	c->in_total = c->s.in_len;
	for (i = 0; i < ARRAY_SIZE(decoders); i++)
		if (c->s.in_len >= decoders[i].magic_len &&
		    !memcmp(c->buffer, decoders[i].magic, decoders[i].magic_len))
			c->codec = &decoders[i];
	return 0;
}

static int codec_new(struct cimage_stream *below, struct codec_stream **ret)
{
	struct codec_stream *c = malloc(sizeof(*c));

	if (!c) {
		below->close(below);
		return -ENOMEM;
	}
	memset(c, 0, offsetof(struct codec_stream, buffer));
	c->base = (struct cimage_stream){ codec_read, codec_close };
	c->below = below;
	*ret = c;
	return 0;
}

static int decompress(struct cimage_stream *below, struct cimage_stream **ret,
		      struct cimage_error *err)
{
	struct codec_stream *c;
	int r;

	if (codec_new(below, &c))
		return err_oom(err);
	c->decodes = true;
	r = look(c, err);
	if (!r && !c->codec)
		c->base.read = plain_read;
	else if (!r && c->codec->new(0, &c->state))
		r = err_oom(err);
	if (r)
		codec_close(&c->base);
	else
		*ret = &c->base;
	return r;
}

static int compress_with(const char *algorithm, int level, struct cimage_stream *below,
			 struct cimage_stream **ret, struct cimage_error *err)
{
	struct codec_stream *c;
	size_t i;

	if (codec_new(below, &c))
		return err_oom(err);
	for (i = 0; i < ARRAY_SIZE(encoders); i++)
		if (streq(encoders[i].name, algorithm))
			c->codec = &encoders[i];
	if (!c->codec || c->codec->new(level, &c->state)) {
		bool unknown = !c->codec;

		codec_close(&c->base);
		return unknown ? err_set(err, CIMAGE_E_INVALID,
					 "compression \"%s\" is neither gzip nor zstd",
					 SHOW(algorithm))
			       : err_oom(err);
	}
	*ret = &c->base;
	return 0;
}

__attribute__((visibility("default"))) extern const struct codec_module cimage_codec_module;

const struct codec_module cimage_codec_module = {
	.abi = CODEC_MODULE_ABI,
	.decompress = decompress,
	.compress = compress_with,
};
