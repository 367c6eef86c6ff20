/* SPDX-License-Identifier: Apache-2.0 */
/* gzip by ISA-L: two to three times as fast as zlib in both directions. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <isa-l/igzip_lib.h>
#include <cbase/io.h>
#include "codec.h"

#define OUT_SIZE (64u << 10)

struct gunzip {
	struct inflate_state z;
	bool between; /* members: the next byte of input starts another */
};

int gunzip_new(void **ret)
{
	struct gunzip *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	isal_inflate_init(&g->z);
	g->z.crc_flag = ISAL_GZIP;
	*ret = g;
	return 0;
}

void gunzip_free(void *state)
{
	free(state);
}

static void start_member(struct gunzip *g)
{
	isal_inflate_reset(&g->z);
	g->z.crc_flag = ISAL_GZIP;
	g->between = false;
}

int gunzip_step(void *state, struct codec_io *io)
{
	struct gunzip *g = state;
	size_t in = io->in_len > UINT_MAX ? UINT_MAX : io->in_len;
	size_t out = io->out_len > UINT_MAX ? UINT_MAX : io->out_len;
	int r;

	if (g->between) {
		if (!in)
			return 0;
		start_member(g);
	}
	g->z.next_in = (uint8_t *)(uintptr_t)io->in;
	g->z.avail_in = (uint32_t)in;
	g->z.next_out = io->out;
	g->z.avail_out = (uint32_t)out;
	r = isal_inflate(&g->z);
	io->in = g->z.next_in;
	io->in_len -= in - g->z.avail_in;
	io->out = g->z.next_out;
	io->out_len -= out - g->z.avail_out;
	if (r < 0 || r == ISAL_NEED_DICT)
		return CSTORE_E_INVALID;
	io->boundary = g->between = g->z.block_state == ISAL_BLOCK_FINISH;
	return 0;
}

struct gzip_out {
	struct isal_zstream z;
	int fd;
	uint8_t level[ISAL_DEF_LVL1_DEFAULT];
	uint8_t buf[OUT_SIZE];
};

int gzip_out_new(int fd, struct gzip_out **ret)
{
	struct gzip_out *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	isal_deflate_init(&g->z);
	g->z.gzip_flag = IGZIP_GZIP;
	g->z.level = 1;
	g->z.level_buf = g->level;
	g->z.level_buf_size = sizeof(g->level);
	g->fd = fd;
	*ret = g;
	return 0;
}

struct gzip_out *gzip_out_free(struct gzip_out *g)
{
	free(g);
	return NULL;
}

static int run(struct gzip_out *g)
{
	int r;

	do {
		g->z.next_out = g->buf;
		g->z.avail_out = OUT_SIZE;
		if (isal_deflate(&g->z) != COMP_OK)
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
	g->z.next_in = (uint8_t *)(uintptr_t)p;
	g->z.avail_in = (uint32_t)n;
	return run(g);
}

int gzip_out_finish(struct gzip_out *g)
{
	g->z.next_in = NULL;
	g->z.avail_in = 0;
	g->z.end_of_stream = 1;
	return run(g);
}
