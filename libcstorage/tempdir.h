/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary directories of the store: what is being built or is on its way out. */
#ifndef CSTORAGE_TEMPDIR_H
#define CSTORAGE_TEMPDIR_H

#include <stdbool.h>
#include <cbase/cleanup.h>
#include "cstorage.h"

struct tempdir {
	char *parent; /* directory of all of them */
	char *path;   /* parent/temp-dir-<r> */
	char *lock_name;
	int lock_fd;
	unsigned used; /* names handed out */
	bool leave;    /* tempdir_free() leaves it to the next sweep */
};

/* Makes parent as well when it is missing. The lock is held until tempdir_free(). */
int tempdir_new(const char *parent, struct tempdir **ret, struct cstore_error *err);
/* Removes the directory and its lock. Accepts NULL, returns NULL. */
struct tempdir *tempdir_free(struct tempdir *t);
CB_DEFINE_CLEANUP(struct tempdir *, tempdir_free)
/* An unused absolute path in it ending in "-<what>"; [owned], NULL when out of memory. Thread-safe. */
char *tempdir_name(struct tempdir *t, const char *what);
/* Renames the file or directory into it. A missing one is fine. */
int tempdir_move_in(struct tempdir *t, const char *path, struct cstore_error *err);
/* Removes those whose owner is gone. */
int tempdir_recover(const char *parent, struct cstore_error *err);

#endif
