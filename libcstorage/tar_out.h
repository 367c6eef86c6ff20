/* SPDX-License-Identifier: Apache-2.0 */
/* Writing tar archives: ustar headers, with PAX records for what does not fit in them. */
#ifndef CSTORAGE_TAR_OUT_H
#define CSTORAGE_TAR_OUT_H

#include <sys/stat.h>
#include "private.h"

struct tar_xattr_out {
	const char *name; /* "user.x" */
	const void *value;
	size_t len;
};

struct tar_entry {
	const char *name; /* a directory's without a slash at the end */
	const char *link; /* target of a symbolic or hard link, else NULL */
	char type;	  /* '0', '1' (hard link), '2', '3', '4', '5', '6' */
	mode_t mode;
	uint32_t uid, gid;
	uint64_t size;
	struct timespec mtime;
	dev_t device;
	const struct tar_xattr_out *xattrs;
	size_t xattr_count;
};

/* Appends header blocks to out. What comes then: size bytes and zeros up to a multiple of 512. 0 or -ENOMEM. */
int tar_out_header(struct str *out, const struct tar_entry *e);
#define TAR_OUT_END 1024 /* zeros behind the last member */

#endif
