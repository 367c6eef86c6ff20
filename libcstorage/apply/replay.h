/* SPDX-License-Identifier: Apache-2.0 */
/* The archive again, from a tar-split file and the layer's directory. */
#ifndef CSTORAGE_REPLAY_H
#define CSTORAGE_REPLAY_H

#include <sys/types.h>
#include <cbase/str.h>
#include "stream.h"

#define REPLAY_LINE_MAX (8u << 20) /* bytes of one entry; its payload is a third shorter */

struct replay {
	/* Opens the content of a file for reading: a descriptor, or -errno. name is as in the archive. */
	int (*open)(void *user, const char *name, uint64_t size);
	/* A file that is missing, too short or altered; zeros stand for what is not there. */
	void (*damaged)(void *user, const char *name, const char *what);
	void *user;
	struct apply_job job;
	struct stream in; /* the tar-split, unpacked */
	struct str line;
	char *raw; /* [owned] decoded payload */
	size_t raw_len, raw_at;
	char *name; /* [owned] of the file being read */
	int fd;
	uint64_t size, left, crc, want_crc;
	bool bad; /* content of the file was reported */
	bool eof;
};

/* split_fd is borrowed and read from where it is. */
int replay_init(struct replay *r, int split_fd, struct cstore_error *err);
void replay_done(struct replay *r);
/* Up to n bytes of the archive; 0 at its end. CSTORE_E_DAMAGED: the tar-split cannot be understood. */
int replay_read(struct replay *r, void *p, size_t n, size_t *ret_got, struct cstore_error *err);

#endif
