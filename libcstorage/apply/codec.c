/* SPDX-License-Identifier: Apache-2.0 */
/* bzip2, xz and zstd as codecs, and the choice between all of them. Each reads several streams in a row. */
#include <bzlib.h>
#include <errno.h>
#include <limits.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>
#include <cbase/cleanup.h>
#include "codec.h"

static unsigned clamp(size_t n)
{
	return n > UINT_MAX ? UINT_MAX : (unsigned)n;
}

/* ---- bzip2 ---- */

struct bunzip {
	bz_stream z;
	bool open;
};

static int bunzip_new(void **ret)
{
	*ret = calloc(1, sizeof(struct bunzip));
	return *ret ? 0 : -ENOMEM;
}

static void bunzip_free(void *state)
{
	struct bunzip *b = state;

	if (b->open)
		BZ2_bzDecompressEnd(&b->z);
	free(b);
}

static int bunzip_step(void *state, struct codec_io *io)
{
	struct bunzip *b = state;
	int r;

	if (!io->in_len)
		return 0; /* bzip2 keeps no output back */
	if (!b->open) {
		memset(&b->z, 0, sizeof(b->z));
		if (BZ2_bzDecompressInit(&b->z, 0, 0) != BZ_OK)
			return -ENOMEM;
		b->open = true;
	}
	b->z.next_in = (char *)(uintptr_t)io->in;
	b->z.avail_in = clamp(io->in_len);
	b->z.next_out = (char *)io->out;
	b->z.avail_out = clamp(io->out_len);
	r = BZ2_bzDecompress(&b->z);
	io->in_len -= (size_t)(b->z.next_in - (const char *)io->in);
	io->in = (const uint8_t *)b->z.next_in;
	io->out_len -= (size_t)((uint8_t *)b->z.next_out - io->out);
	io->out = (uint8_t *)b->z.next_out;
	if (r == BZ_MEM_ERROR)
		return -ENOMEM;
	if (r != BZ_OK && r != BZ_STREAM_END)
		return CSTORE_E_INVALID;
	io->boundary = r == BZ_STREAM_END;
	if (io->boundary) {
		BZ2_bzDecompressEnd(&b->z);
		b->open = false;
	}
	return 0;
}

/* ---- xz ---- */

static int unxz_new(void **ret)
{
	lzma_stream *z = calloc(1, sizeof(*z));

	if (!z)
		return -ENOMEM;
	*z = (lzma_stream)LZMA_STREAM_INIT;
	if (lzma_stream_decoder(z, CODEC_MEMORY_MAX, LZMA_CONCATENATED) != LZMA_OK) {
		free(z);
		return -ENOMEM;
	}
	*ret = z;
	return 0;
}

static void unxz_free(void *state)
{
	lzma_end(state);
	free(state);
}

static int unxz_step(void *state, struct codec_io *io)
{
	lzma_stream *z = state;
	lzma_ret r;

	z->next_in = io->in;
	z->avail_in = io->in_len;
	z->next_out = io->out;
	z->avail_out = io->out_len;
	r = lzma_code(z, io->in_eof ? LZMA_FINISH : LZMA_RUN);
	io->in = z->next_in;
	io->in_len = z->avail_in;
	io->out = z->next_out;
	io->out_len = z->avail_out;
	io->boundary = r == LZMA_STREAM_END;
	switch (r) {
	case LZMA_OK:
	case LZMA_STREAM_END:
	case LZMA_BUF_ERROR: /* needs more input; the caller sees that there is no progress */
		return 0;
	case LZMA_MEM_ERROR:
		return -ENOMEM;
	case LZMA_MEMLIMIT_ERROR:
		return CSTORE_E_LIMIT;
	default:
		return CSTORE_E_INVALID;
	}
}

/* ---- zstd ---- */

static int unzstd_new(void **ret)
{
	ZSTD_DCtx *d = ZSTD_createDCtx();

	if (!d)
		return -ENOMEM;
	ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, CODEC_WINDOW_LOG_MAX);
	*ret = d;
	return 0;
}

static void unzstd_free(void *state)
{
	ZSTD_freeDCtx(state);
}

static int unzstd_step(void *state, struct codec_io *io)
{
	ZSTD_inBuffer in = { io->in, io->in_len, 0 };
	ZSTD_outBuffer out = { io->out, io->out_len, 0 };
	size_t r = ZSTD_decompressStream(state, &out, &in);

	if (ZSTD_isError(r)) {
		switch (ZSTD_getErrorCode(r)) {
		case ZSTD_error_memory_allocation:
			return -ENOMEM;
		case ZSTD_error_frameParameter_windowTooLarge:
			return CSTORE_E_LIMIT;
		default:
			return CSTORE_E_INVALID;
		}
	}
	io->in += in.pos;
	io->in_len -= in.pos;
	io->out += out.pos;
	io->out_len -= out.pos;
	if (in.pos || out.pos)
		io->boundary = r == 0;
	return 0;
}

/* clang-format off */
static const struct codec codecs[] = {
	{ COMPRESSION_GZIP, "gzip", { 0x1f, 0x8b, 0x08 }, 3, gunzip_new, gunzip_step, gunzip_free },
	{ COMPRESSION_ZSTD, "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4, unzstd_new, unzstd_step, unzstd_free },
	{ COMPRESSION_XZ, "xz", { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, unxz_new, unxz_step, unxz_free },
	{ COMPRESSION_BZIP2, "bzip2", { 'B', 'Z', 'h' }, 3, bunzip_new, bunzip_step, bunzip_free },
};
/* clang-format on */

const struct codec *codec_find(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++)
		if (n >= codecs[i].magic_len &&
		    memcmp(p, codecs[i].magic, codecs[i].magic_len) == 0)
			return &codecs[i];
	return NULL;
}
