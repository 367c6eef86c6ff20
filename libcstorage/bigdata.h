/* SPDX-License-Identifier: Apache-2.0 */
/* Big data: files that belong to a record of an image or container, named after their keys. */
#ifndef CSTORAGE_BIGDATA_H
#define CSTORAGE_BIGDATA_H

#include "private.h"

#define BIGDATA_MAX (64u << 20) /* one piece */

/* CSTORE_E_INVALID, CSTORE_E_LIMIT, -EINVAL. */
int bigdata_check(const struct cstore_blob *b, struct cstore_error *err);
/*
 * Writes the file, in dir/id, which is made if missing, and notes it in the record, whose members have the
 * order of fields. The records are not saved.
 */
int bigdata_put(const char *dir, const char *id, struct json_doc *doc, struct json *rec,
		const char *const *fields, const struct cstore_blob *b, bool durable,
		struct cstore_error *err);
/* CSTORE_E_NOT_FOUND, CSTORE_E_LIMIT. */
int bigdata_get(const char *dir, const char *id, const char *key, size_t limit, char **ret,
		size_t *ret_len, struct cstore_error *err);

#endif
