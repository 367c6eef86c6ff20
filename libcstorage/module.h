/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between libcstorage.so and cstorage-apply.so, the module that has the decompressors and libcrypto.
 * A process that only lists and mounts never loads it. Both come from one build: the table has no
 * compatibility rules beyond its number.
 */
#ifndef CSTORAGE_MODULE_H
#define CSTORAGE_MODULE_H

#include <stddef.h>
#include <stdint.h>
#include "cstorage.h"

#define MODULE_NAME "cstorage-apply.so"
#define MODULE_SYMBOL "cstorage_apply_module"
#define MODULE_ABI 3
#define MODULE_DIGEST_MAX 136

/* As numbered in layers.json. */
enum compression {
	COMPRESSION_NONE,
	COMPRESSION_BZIP2,
	COMPRESSION_GZIP,
	COMPRESSION_XZ,
	COMPRESSION_ZSTD
};

struct apply_job {
	int blob_fd;	  /* read to its end */
	int diff_fd;	  /* an empty directory */
	int tar_split_fd; /* an empty file */
	int hash_blob;	  /* compute blob_digest */
	void (*progress)(void *user, uint64_t bytes_read);
	void *user;
	const int *cancel;
};

struct apply_result {
	char blob_digest[MODULE_DIGEST_MAX]; /* "" unless asked for */
	char diff_id[MODULE_DIGEST_MAX];
	uint64_t blob_size, diff_size;
	enum compression compression;
	uint32_t *uids, *gids; /* sorted; [owned] */
	size_t uid_count, gid_count;
};

/* A layer's directory against its tar-split. */
struct verify_job {
	int diff_fd, tar_split_fd;
	int mend; /* make again what the headers can make, remove what is too much */
	/* One difference; kind is CSTORE_PROBLEM_CONTENT or _ATTRIBUTES. NULL: only the digest is wanted. */
	void (*report)(void *user, int kind, int mended, const char *name, const char *what);
	void *user;
	const int *cancel;
};

struct verify_result {
	char diff_id[MODULE_DIGEST_MAX]; /* "" when content is missing */
	uint64_t size;
};

/* The archive of a layer again, on out_fd; its digest and size are in a verify_result. */
struct rebuild_job {
	const int *dirs; /* of the layer, then of those below it */
	size_t dir_count;
	int tar_split_fd, out_fd;
	void (*progress)(void *user, uint64_t bytes_written);
	void *user;
	const int *cancel;
};

struct apply_module {
	unsigned abi;
	int (*apply)(const struct apply_job *job, struct apply_result *result,
		     struct cstore_error *err);
	int (*verify)(const struct verify_job *job, struct verify_result *result, struct cstore_error *err);
	void (*sha256)(const void *p, size_t n, char out[MODULE_DIGEST_MAX]);
	int (*rebuild)(const struct rebuild_job *job, struct verify_result *result,
		       struct cstore_error *err);
};

/* Loads it if it is not loaded; it stays for the life of the process. */
int module_get(const struct apply_module **ret, struct cstore_error *err);
int module_sha256(const void *p, size_t n, char out[MODULE_DIGEST_MAX], struct cstore_error *err);

#endif
