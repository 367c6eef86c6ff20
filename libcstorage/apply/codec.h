/* SPDX-License-Identifier: Apache-2.0 */
/* Decompressors behind one interface, and gzip for tar-split files. */
#ifndef CSTORAGE_CODEC_H
#define CSTORAGE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../module.h"

/* Memory one decompressor may take: 128 MiB of window or dictionary, what "zstd --long" and "xz -9" stay within. */
#define CODEC_WINDOW_LOG_MAX 27
#define CODEC_MEMORY_MAX (160u << 20)

struct codec_io {
	const uint8_t *in;
	size_t in_len;
	bool in_eof; /* nothing comes after in */
	uint8_t *out;
	size_t out_len;
	bool boundary; /* set by step: all input so far is whole, it may end here */
};

struct codec {
	enum compression kind;
	const char *name;
	uint8_t magic[6];
	size_t magic_len;
	int (*new)(void **ret); /* 0 or -ENOMEM */
	/* Takes from in, fills out, advances both. 0, -ENOMEM, CSTORE_E_INVALID, CSTORE_E_LIMIT. */
	int (*step)(void *state, struct codec_io *io);
	void (*free)(void *state);
};

#define CODEC_MAGIC_MAX 6
/* The codec for data that begins so, or NULL: plain. */
const struct codec *codec_find(const uint8_t *p, size_t n);

/* One of gzip_isal.c and gzip_zlib.c: */
int gunzip_new(void **ret);
int gunzip_step(void *state, struct codec_io *io);
void gunzip_free(void *state);

/* A gzip file being written, fast rather than small. */
struct gzip_out;
int gzip_out_new(int fd, struct gzip_out **ret); /* 0 or -errno; fd is borrowed */
int gzip_out_write(struct gzip_out *g, const void *p, size_t n);
int gzip_out_finish(struct gzip_out *g);
struct gzip_out *gzip_out_free(struct gzip_out *g);

/* CRC-64/ISO as tar-split has it: start with 0, feed the result back in. crc_isal.c or crc_table.c. */
uint64_t crc64_update(uint64_t crc, const void *p, size_t n);

#endif
