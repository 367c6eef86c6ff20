/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives, through libarchive: found out what is in them, read by name, written in order. */
#ifndef CIMAGE_IMAGE_ARCHIVE_H
#define CIMAGE_IMAGE_ARCHIVE_H

#include "local.h"

#define ARCHIVE_MEMBERS_MAX 65536
#define ARCHIVE_NAME_MAX 4096

struct archive_member {
	char *name, *target;	/* target: of a link, or NULL */
	int64_t size;
};
struct archive_index {
	int fd;			/* of an uncompressed archive */
	struct archive_member *members;
	size_t count;
};

int archive_open(const char *path, int *ret, struct cimage_error *err);
/* An empty file that nobody else sees, where temporary files are. */
int archive_temporary(int *ret, struct cimage_error *err);
/* The archive may be compressed: it is then unpacked into a file that nobody else sees. */
int archive_index_open(const char *path, struct archive_index *ret, struct cimage_error *err);
int archive_index_fd(int fd, struct archive_index *ret, struct cimage_error *err);	/* taken */
void archive_index_done(struct archive_index *a);
/* Links are followed. NULL: there is none. */
const struct archive_member *archive_find(const struct archive_index *a, const char *name);
int archive_stream(const struct archive_index *a, const char *name, struct cimage_stream **ret, struct cimage_error *err);
int archive_read_member(const struct archive_index *a, const char *name, size_t limit, char **ret, size_t *ret_len,
			struct cimage_error *err);

/* Writing: one regular file after the other. */
struct archive_writer;
int archive_writer_new(int fd, struct archive_writer **ret, struct cimage_error *err);
int archive_add_bytes(struct archive_writer *w, const char *name, const char *bytes, size_t n, struct cimage_error *err);
int archive_add_file(struct archive_writer *w, const char *name, int dirfd, const char *file, struct cimage_error *err);
int archive_writer_finish(struct archive_writer *w, struct cimage_error *err);
struct archive_writer *archive_writer_free(struct archive_writer *w);

#endif
