/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames between the two processes of a pull, on a stream socket: type and length, then that many
 * bytes. unpack believes nothing that fetch says: lengths are limited, contents are checked.
 *
 *	fetch -> unpack		WIRE_IMAGE	what was found: see wire_image; once
 *				WIRE_LAYER	u32: that layer is in its pipe, all of it and right
 *				WIRE_DONE	all of it; nothing follows
 *				WIRE_ERROR	i32 code (E_*, or 0), i32 errno, text; the last
 *	unpack -> fetch		WIRE_PIPE	u32, and a descriptor: where that layer goes
 *				WIRE_GO		all pipes were sent
 */
#ifndef WORKER_WIRE_H
#define WORKER_WIRE_H

#include <stdint.h>
#include <cbase/err.h>
#include <cbase/str.h>

#define WIRE_DOCUMENT_MAX (4u << 20)			/* a manifest, an index or a config */
#define WIRE_FRAME_MAX (4 * WIRE_DOCUMENT_MAX + 4096)
#define WIRE_SIGNATURES_MAX 128
#define WIRE_LAYERS_MAX 500				/* what overlay mounts */

enum wire_type { WIRE_IMAGE = 1, WIRE_LAYER, WIRE_DONE, WIRE_ERROR, WIRE_PIPE, WIRE_GO };

struct wire_bytes {
	const char *p;
	size_t len;
};

struct wire_image {
	uint32_t candidate;		/* which of the names the job may mean */
	/* list: empty when there is none */
	struct wire_bytes manifest, manifest_digest, list, list_digest, config;
	/* signatures one behind the other, and the size of each as a u32 */
	struct wire_bytes signatures, signature_sizes;
};

struct wire_frame {
	enum wire_type type;
	const char *p;			/* [borrowed] until the next call */
	size_t len;
};

/* ---- the writing side; blocking. Negative errno when the other is gone. ---- */
int wire_send(int fd, enum wire_type type, const void *p, size_t n);
int wire_send_u32(int fd, enum wire_type type, uint32_t v);
int wire_send_image(int fd, const struct wire_image *i);
int wire_send_error(int fd, int r, const struct cb_error *err);
int wire_send_pipe(int fd, uint32_t layer, int pipe);

/* ---- the reading side ---- */
struct wire_reader {
	int fd;
	struct str buf;
	size_t used;			/* of buf, by frames already returned */
	bool eof;
};
void wire_reader_done(struct wire_reader *r);
/* Takes what is there, without waiting. 0, negative errno. eof is set at the end. */
int wire_fill(struct wire_reader *r);
/* The next whole frame: 1; 0 none yet; -EPROTO what came is no frame. */
int wire_next(struct wire_reader *r, struct wire_frame *ret);

/* 0 or -EPROTO. */
int wire_parse_u32(const struct wire_frame *f, uint32_t *ret);
int wire_parse_image(const struct wire_frame *f, struct wire_image *ret);
int wire_parse_error(const struct wire_frame *f, int *ret_r, struct cb_error *err);

/* Blocking: the next WIRE_PIPE (0, *ret_pipe is owned), WIRE_GO (1), or -EPROTO, -EPIPE. */
int wire_receive_pipe(int fd, uint32_t *ret_layer, int *ret_pipe);

#endif
