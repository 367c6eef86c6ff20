/* SPDX-License-Identifier: Apache-2.0 */
/* The records of one kind of object: one or two JSON files behind one lock file. */
#ifndef CSTORAGE_RECORDS_H
#define CSTORAGE_RECORDS_H

#include <cbase/json.h>
#include "lockfile.h"

enum { RECORDS_STABLE, RECORDS_VOLATILE, RECORDS_FILES };

struct record_file {
	char *dir, *name;     /* name NULL: this kind has no such file */
	struct json_doc *doc; /* root is an array */
	int64_t mtime;	      /* ns, 0: no file */
	bool dirty;
};

struct record {
	const char *id;
	struct json *json;
	int file;
};

struct records {
	struct lockfile lock;
	struct record_file file[RECORDS_FILES];
	struct last_write seen; /* what the memory below was read after */
	bool durable;		/* the stable file is synced to disk */
	bool stale;		/* memory and disk may differ: reload at the next lock */
	struct record *index;	/* sorted by id, valid ids only; NULL: to be built */
	size_t count;
	unsigned changes; /* since the last reload */
};

/* volatile_name may be NULL. 0 or -ENOMEM. */
int records_init(struct records *r, const char *dir, const char *lock_name, const char *name,
		 const char *volatile_name, bool durable);
void records_done(struct records *r);

/* Takes the lock and reads the files if somebody changed them. */
int records_lock(struct records *r, enum lock_mode mode, struct cstore_error *err);
void records_unlock(struct records *r);
static inline void records_unlockp(struct records **r)
{
	if (*r)
		records_unlock(*r);
}
/* Unlocks at the end of the scope. */
#define _cleanup_unlock_ __attribute__((cleanup(records_unlockp)))

/* With the lock held. 0 or -ENOMEM; *ret NULL when there is none. */
int records_find(struct records *r, const char *id, struct record **ret);
/* All of them: valid until the next change. */
int records_all(struct records *r, struct record **ret, size_t *ret_count);

/* With the lock held for writing; records_save() must follow, and its failure undoes all changes. */
struct json_doc *records_doc(struct records *r, int file);
void records_add(struct records *r, int file, struct json *record);
void records_remove(struct records *r, const struct record *record);
void records_changed(struct records *r, int file);
int records_save(struct records *r, struct cstore_error *err);
/* Forgets unsaved changes. */
void records_discard(struct records *r);

/*
 * Sets a member where Go would print it: order is the NULL-terminated list of member names of the
 * struct. Members that are not in it stay where they are.
 */
void record_set(struct json_doc *doc, struct json *record, const char *const *order,
		const char *key, struct json *value);
/* Sets a member of a Go map, whose keys are printed sorted. */
void record_map_set(struct json_doc *doc, struct json *map, const char *key, struct json *value);
/* Does the member "names" contain this one? */
bool record_has_name(const struct json *record, const char *name);
/* Removes it; the member goes with the last name. Returns whether it was there. */
bool record_remove_name(struct json *record, const char *name);

#endif
