/* SPDX-License-Identifier: Apache-2.0 */
/* OCI image layouts (image-spec, image-layout.md): of the transports oci, oci-archive and ostree. */
#ifndef CIMAGE_OCI_LAYOUT_H
#define CIMAGE_OCI_LAYOUT_H

#include "local.h"

/* "PATH[:NAME]" or "PATH:@INDEX"; the path ends at the first colon. */
int oci_parse(struct cimage_context *c, const char *text, struct cimage_place_parts *ret, struct cimage_error *err);

/* A layout that is read; fd is taken. */
struct layout {
	struct cimage_context *ctx;
	int fd;
	char *name;	/* the image in it: what index.json calls it, "@N", or NULL when there is only one */
};
int layout_open(struct cimage_context *c, int fd, const char *name, struct layout *ret, struct cimage_error *err);
void layout_done(struct layout *l);
/* As struct cimage_transport has them. */
int layout_manifest(struct layout *l, const char *digest, char **ret, size_t *ret_len, char **ret_type,
		    struct cimage_error *err);
int layout_blobs(struct layout *l, struct cimage_blob_request *r, size_t n, struct cimage_error *err);
/* All names in index.json; [owned]. */
int layout_names(int fd, char ***ret, struct cimage_error *err);
/* Removes an image, and the blobs that no other needs. */
int layout_remove(int fd, const char *name, struct cimage_error *err);

/*
 * A layout that is written, in dirfd (borrowed): blobs go into it at once, where nobody sees them; the image is there
 * when layout_commit() has written index.json.
 */
struct layout_writer {
	int fd;
	const char *name;	/* [borrowed] or NULL */
	char digest[136], *type;
	size_t size;
	char **added;		/* blobs that were not there before, as file names */
	bool committed;
	void *lock;
};
int layout_writer_init(int dirfd, const char *name, struct layout_writer *ret, struct cimage_error *err);
/* Without a commit, what was added is removed. */
void layout_writer_done(struct layout_writer *w);
int layout_has(struct layout_writer *w, const struct cimage_put *b, int *ret, struct cimage_error *err);
int layout_put(struct layout_writer *w, const struct cimage_put *b, struct cimage_stream *s, struct cimage_error *err);
int layout_put_manifest(struct layout_writer *w, const char *bytes, size_t n, const char *media_type,
			const char *instance, struct cimage_error *err);
int layout_commit(struct layout_writer *w, struct cimage_error *err);
/* Of destinations with a layout. */
extern const char *const layout_types[];

#endif
