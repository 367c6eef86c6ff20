/* SPDX-License-Identifier: Apache-2.0 */
/* A second opinion on an archive: libarchive's, of every member's place, name, size and type. */
#ifndef CSTORAGE_AGREE_H
#define CSTORAGE_AGREE_H

#include "tar.h"

struct agree;

/* Starts a thread that ends in agree_free(). */
int agree_new(struct agree **ret, struct cstore_error *err);
struct agree *agree_free(struct agree *a);
/* The archive as we read it: bytes that are no content, and how many are. */
void agree_raw(struct agree *a, const void *p, size_t n);
void agree_content(struct agree *a, uint64_t n);
/* A member whose first header, also of its extensions, is at offset. */
void agree_member(struct agree *a, const struct tar_member *m, uint64_t offset);
/* Does it already know better? Cheap; for giving up early. */
bool agree_failed(struct agree *a);
/* After the last member, once. CSTORE_E_INVALID: libarchive saw other members. */
int agree_finish(struct agree *a, struct cstore_error *err);

#endif
