/* SPDX-License-Identifier: Apache-2.0 */
/* gzip by zlib, where there is no ISA-L. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>
#include <cbase/io.h>
#include "codec.h"

#define OUT_SIZE (64u << 10)

int gunzip_new(void **ret)
{
	z_stream *z = calloc(1, sizeof(*z));

	if (!z || inflateInit2(z, 15 + 16) != Z_OK) {
		free(z);
		return -ENOMEM;
	}
	*ret = z;
	return 0;
}

void gunzip_free(void *state)
{
	inflateEnd(state);
	free(state);
}

int gunzip_step(void *state, struct codec_io *io)
{
	z_stream *z = state;
	size_t in = io->in_len > UINT_MAX ? UINT_MAX : io->in_len;
	size_t out = io->out_len > UINT_MAX ? UINT_MAX : io->out_len;
	int r;

	z->next_in = (Bytef *)(uintptr_t)io->in;
	z->avail_in = (uInt)in;
	z->next_out = io->out;
	z->avail_out = (uInt)out;
	r = inflate(z, Z_NO_FLUSH);
	if (z->avail_in < in || z->avail_out < out)
		io->boundary = r == Z_STREAM_END;
	io->in = z->next_in;
	io->in_len -= in - z->avail_in;
	io->out = z->next_out;
	io->out_len -= out - z->avail_out;
	if (r == Z_STREAM_END)
		return inflateReset(z) == Z_OK ? 0 : -ENOMEM;
	if (r == Z_MEM_ERROR)
		return -ENOMEM;
	return r == Z_OK || r == Z_BUF_ERROR ? 0 : CSTORE_E_INVALID;
}

struct gzip_out {
	z_stream z;
	int fd;
	uint8_t buf[OUT_SIZE];
};

int gzip_out_new(int fd, struct gzip_out **ret)
{
	struct gzip_out *g = calloc(1, sizeof(*g));

	if (!g ||
	    deflateInit2(&g->z, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(g);
		return -ENOMEM;
	}
	g->fd = fd;
	*ret = g;
	return 0;
}

struct gzip_out *gzip_out_free(struct gzip_out *g)
{
	if (g)
		deflateEnd(&g->z);
	free(g);
	return NULL;
}

static int run(struct gzip_out *g, int flush)
{
	int r;

	do {
		g->z.next_out = g->buf;
		g->z.avail_out = OUT_SIZE;
		if (deflate(&g->z, flush) == Z_STREAM_ERROR)
			return -EIO;
		r = write_all(g->fd, g->buf, OUT_SIZE - g->z.avail_out);
		if (r)
			return r;
	} while (g->z.avail_out == 0);
	return 0;
}

int gzip_out_write(struct gzip_out *g, const void *p, size_t n)
{
	if (n > UINT_MAX)
		return -E2BIG;
	g->z.next_in = (Bytef *)(uintptr_t)p;
	g->z.avail_in = (uInt)n;
	return run(g, Z_NO_FLUSH);
}

int gzip_out_finish(struct gzip_out *g)
{
	g->z.next_in = NULL;
	g->z.avail_in = 0;
	return run(g, Z_FINISH);
}
