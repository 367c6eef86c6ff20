/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the members of a tar archive, and where each byte of it belongs. */
#ifndef CSTORAGE_TAR_H
#define CSTORAGE_TAR_H

#include <time.h>
#include "stream.h"
#include "tarsplit.h"

#define TAR_BLOCK 512
#define TAR_NAME_MAX 4095 /* bytes of a member's name or link target: what a path may have */
#define TAR_EXTENSION_MAX (1u << 20) /* one PAX header or GNU long name, as Go's reader has it */
#define TAR_EXTENSIONS_MAX 64	     /* of them before one member */
#define TAR_XATTRS_MAX 256	     /* of one member */
#define TAR_XATTR_MAX 65536	     /* bytes of a value: the kernel's limit */
#define TAR_TRAILER_MAX (64u << 20)  /* bytes after the end of the archive */

enum tar_type {
	TAR_FILE = '0',
	TAR_HARDLINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHAR = '3',
	TAR_BLOCKDEV = '4',
	TAR_DIR = '5',
	TAR_FIFO = '6',
};

struct tar_xattr {
	const char *name; /* NUL-terminated */
	const char *value;
	size_t len;
};

struct tar_member {
	char name[TAR_NAME_MAX + 1], link[TAR_NAME_MAX + 1]; /* as in the archive */
	enum tar_type type;
	uint64_t size; /* of the content; 0 unless a file */
	unsigned mode; /* 07777 */
	uint32_t uid, gid, major, minor;
	struct timespec mtime, atime; /* 0 unless in the archive */
	struct tar_xattr xattrs[TAR_XATTRS_MAX];
	size_t xattr_count;
};

struct agree;

struct tar {
	struct stream *stream;
	struct agree *agree;	/* is told the same; may be NULL */
	uint64_t offset;	/* of what comes next */
	struct tarsplit *split; /* gets all bytes but content; may be NULL */
	struct tar_member member;
	char *pax;	  /* the text of the member's PAX header: xattrs point into it */
	uint64_t padding; /* behind the content of the last member */
};

void tar_init(struct tar *t, struct stream *stream, struct tarsplit *split);
void tar_done(struct tar *t);
/*
 * The next member, in t->member; *ret_end: there is none. The caller reads all content of a file from
 * the stream before the next call. CSTORE_E_INVALID: no tar, or a kind of member layers cannot have.
 */
int tar_next(struct tar *t, bool *ret_end, struct cstore_error *err);
/* Passes what follows the archive, up to the end of the stream, to the tar-split. */
int tar_finish(struct tar *t, struct cstore_error *err);

#endif
