/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images as docker saves and loads them, of the transports docker-archive and docker-daemon. What is not explained is as in struct
 * cimage_transport and struct cimage_destination_ops, for whose functions these are made.
 */
#ifndef CIMAGE_DOCKER_SAVE_H
#define CIMAGE_DOCKER_SAVE_H

#include "image_archive.h"

/* fd, of the archive, is taken. ref or name ("@N"): which of its images; both NULL: the only one. */
int saved_open(struct cimage_context *c, int fd, const struct cimage_ref *ref, const char *name,
	       struct cimage_source **ret, struct cimage_error *err);
void saved_close(struct cimage_source *s);
int saved_manifest(struct cimage_source *s, const char *digest, char **ret, size_t *ret_len, char **ret_type,
		   struct cimage_error *err);
int saved_blobs(struct cimage_source *s, struct cimage_blob_request *r, size_t n, struct cimage_error *err);
/* All names of its images; fd is taken. */
int saved_names(int fd, char ***ret, struct cimage_error *err);

/* Collects what an archive shall have; context and place are borrowed. */
int saved_dest_new(struct cimage_context *c, const struct cimage_place *place, struct cimage_destination **ret,
		   struct cimage_error *err);
void saved_dest_close(struct cimage_destination *d);
struct cimage_context *saved_context(const struct cimage_destination *d);
const struct cimage_place *saved_place(const struct cimage_destination *d);
int saved_flags(const struct cimage_destination *d);
const char *const *saved_types(const struct cimage_destination *d);
int saved_has(struct cimage_destination *d, const struct cimage_put *b, int *ret, struct cimage_error *err);
int saved_put(struct cimage_destination *d, const struct cimage_put *b, struct cimage_stream *s, struct cimage_error *err);
int saved_put_manifest(struct cimage_destination *d, const char *bytes, size_t n, const char *media_type,
		       const char *instance, struct cimage_error *err);
/* Writes the archive. */
int saved_write(struct cimage_destination *d, int fd, struct cimage_error *err);

#endif
