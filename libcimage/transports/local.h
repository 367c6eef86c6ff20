/* SPDX-License-Identifier: Apache-2.0 */
/* What transports to files have in common: paths, streams as sources, blobs as files. */
#ifndef CIMAGE_LOCAL_H
#define CIMAGE_LOCAL_H

#include "../common.h"

/*
 * *ret_path: absolute, without symlinks; the last component need not exist. The scopes of policy.json for an image there: PATH and
 * its parents without "/". What it is called there does not count, since "PATH:" may mean the same image.
 */
int local_path(const char *path, char **ret_path, struct cimage_error *err);
int local_scopes(const char *path, char ***ret, struct cimage_error *err);

/*
 * blobs() of a source that opens a stream for each blob: several are open at once, and a receiver that
 * pauses holds up its own only.
 */
typedef int local_open_fn(void *user, const char *digest, struct cimage_stream **ret, struct cimage_error *err);
int local_blobs(const struct cimage_context *c, struct cimage_blob_request *r, size_t n, local_open_fn *open,
		void *user, struct cimage_error *err);
/* A file as a stream; CIMAGE_E_NOT_FOUND. Only regular files. */
int local_stream(int dirfd, const char *name, struct cimage_stream **ret, struct cimage_error *err);

/*
 * Writes the stream to a file that gets its name when all of it is there: name, or, when that is NULL, what the
 * blob's digest says: prefix and its hex digits.
 */
int local_put(int dirfd, const char *prefix, const struct cimage_put *b, struct cimage_stream *s, struct cimage_error *err);

/*
 * A directory that appears at path when it is complete: made beside it, put in its place by commit. What was
 * there is removed then.
 */
struct local_dir {
	char *path, *building;	/* building: NULL when committed */
	int fd;
};
#define LOCAL_DIR_INIT { NULL, NULL, -1 }
int local_dir_new(const char *path, struct local_dir *ret, struct cimage_error *err);
int local_dir_commit(struct local_dir *d, struct cimage_error *err);
void local_dir_done(struct local_dir *d);

/* A directory of its own below $TMPDIR or /var/tmp, which nobody else can look into. */
struct local_scratch {
	char *path;
	int fd;
};
int local_scratch_new(struct local_scratch *ret, struct cimage_error *err);
void local_scratch_done(struct local_scratch *s);	/* removes it; path NULL: nothing to do */
/* Writes all of the stream to a new file. */
int local_write(int dirfd, const char *name, struct cimage_stream *s, struct cimage_error *err);

#endif
