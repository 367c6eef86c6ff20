/* SPDX-License-Identifier: Apache-2.0 */
/* A scratch store, archives made byte by byte, and extraction of them. */
#ifndef CSTORAGE_UNIT_H
#define CSTORAGE_UNIT_H

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "apply/tree.h"
#include "container.h"
#include "image.h"
#include "layer.h"
#include "tempdir.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ID_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define ID_D "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

extern char scratch[64];	/* an empty directory, gone after the test */
extern struct cstore_error err;
extern struct cstore *store;	/* in scratch, without mounts; NULL until store_setup() */

void scratch_setup(void);
void scratch_teardown(void);	/* fails if the test leaked descriptors */
void store_setup(void);
void store_teardown(void);
struct cstore *store_open(bool mounts);

#define ok(call) do { int r_ = (call); ck_assert_msg(r_ == 0, "%s: %d %s", #call, r_, err.message); } while (0)
#define fails(call, with) do { int r_ = (call); \
	ck_assert_msg(r_ == (with), "%s: %d, not %d: %s", #call, r_, (with), err.message); } while (0)
#define says(text) ck_assert_msg(strstr(err.message, text) != NULL, "message is: %s", err.message)

/* Paths below scratch; the result is overwritten by the eighth next call. */
const char *at(const char *fmt, ...) PRINTF_LIKE(1, 2);
void put(const char *path, const char *text);
char *get(const char *path);			/* [owned]; fails the test if there is no such file */
bool exists(const char *path);			/* not following a link */
size_t count_entries(const char *dir);

/* Needs root: ends the program as skipped. */
void need_root(const char *why);

/* ---- archives ---- */

/* A member as it would be written by GNU tar; len bytes of content are put behind it, padded. */
struct entry {
	char type;		/* 0: '0' */
	const char *name, *link;
	unsigned mode;		/* 0: 0644 */
	unsigned uid, gid;
	long long mtime;
	const char *content;	/* NULL: none */
	size_t len;		/* 0: strlen(content) */
	unsigned major, minor;
	const char *size_field;	/* 12 bytes used as they are instead of the size */
};
void tar_put(struct str *tar, const struct entry *e);
/* A PAX header of "key=value" records, with lengths added; ends with NULL. */
void tar_pax(struct str *tar, ...);
void pax_record(struct str *records, const char *rec, size_t len);	/* appends one, with its length */
void tar_raw_pax(struct str *tar, const char *records, size_t len);
void tar_end(struct str *tar);
/* Recomputes the checksum of the header at offset. */
void tar_checksum(struct str *tar, size_t offset);
struct str tar_of(const struct entry *entries, size_t n);
#define TAR(...) tar_of((const struct entry[]){ __VA_ARGS__ }, \
	sizeof((const struct entry[]){ __VA_ARGS__ }) / sizeof(struct entry))

/* Extracts into scratch/tree; scratch/split is the tar-split. Consumes the bytes. */
int extract(struct str tar, struct apply_result *result);
/* The same, must succeed, and the archive must come out again of tree and tar-split. */
void extracts(struct str tar);
/* Must be refused with this code, leaving nothing outside scratch/tree. */
void refuses(struct str tar, int code, const char *message);
int memory_fd(const void *p, size_t n);		/* a file of these bytes, at its start */
void gunzip(const char *path, struct str *out);

int run_suite(const char *name, TCase **cases, size_t n);
#endif
