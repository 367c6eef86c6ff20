/* SPDX-License-Identifier: Apache-2.0 */
/* Check and repair: one walk over the store that reports, and mends where it is told to. */
#ifndef CSTORAGE_PROBLEM_H
#define CSTORAGE_PROBLEM_H

#include "module.h"
#include "private.h"

#define TAR_SPLIT ".tar-split.gz"

struct check {
	struct cstore *store;
	const struct cstore_check_options *options;
	struct cstore_report *report;
	bool mend;
	bool unreadable; /* a file of records */
	char **broken; /* layers that cannot be mended */
	char **spoilt; /* images whose data cannot be mended */
	int failed;    /* memory ran out while reporting */
};

/* Adds a problem; mended is what became of it. object and text are copied. */
void check_report(struct check *c, int kind, bool mended, const char *object, const char *fmt, ...)
	PRINTF_LIKE(5, 6);
/* What is wrong with the layer cannot be put right. */
void check_broken(struct check *c, const char *layer);
/* Nothing of what was said since then counts. */
void check_take_back(struct check *c, size_t count, const char *layer);
int check_cancelled(const struct check *c, struct cstore_error *err);

/* All: 0 whatever they found, else the error that keeps the check from going on. */

/* check_records.c: files of records, and references between records. Comes first: what it mends, the others read. */
int check_records(struct check *c, struct cstore_error *err);
/* check_layers.c: the directories of layers. */
int check_directories(struct check *c, struct cstore_error *err);
/* check_content.c: files of layers, data of images. */
int check_content(struct check *c, struct cstore_error *err);
int check_data(struct check *c, struct cstore_error *err);

/* Diff id and size of a layer as it is on disk; diff_id "" when content is missing. */
int check_layer_digest(struct cstore *s, const char *id, char diff_id[MODULE_DIGEST_MAX], uint64_t *ret_size);

/* gc.c: ids that have a name "<id><suffix>" or "<id>" in dir but no record; each once. */
int find_unrecorded(struct records *r, const char *dir, const char *suffix, char ***ret,
		    struct cstore_error *err);

#endif
