/* SPDX-License-Identifier: Apache-2.0 */
/* The records of one kind of object: JSON files behind a lock file, and those of other stores. */
#ifndef CSTORAGE_RECORDS_H
#define CSTORAGE_RECORDS_H

#include <cbase/json.h>
#include <cbase/str.h>
#include "lockfile.h"

enum { RECORDS_STABLE, RECORDS_VOLATILE, RECORDS_FILES };	/* further files are other stores' */

struct record_file {
	char *dir, *name;     /* name NULL: this kind has no such file */
	struct json_doc *doc; /* root is an array */
	int64_t mtime;	      /* ns, 0: no file */
	struct lockfile lock; /* path NULL: behind that of the records */
	struct last_write seen;
	int place;	/* index into the store's places */
	bool read_only; /* never written, and absent when it cannot be locked */
	bool dirty;
	/* What is to be written, kept up to date while records are only added and removed. */
	struct str text;
	uint32_t *lengths; /* of each record's text */
	size_t length_room;
	bool text_valid;
};

struct record {
	const char *id;
	struct json *json;
	int file;
};

struct records {
	struct lockfile lock;
	struct record_file *file;
	int files;
	struct last_write seen; /* what the memory below was read after */
	bool durable;		/* files that are not volatile are synced to disk */
	bool stale;		/* memory and disk may differ: reload at the next lock */
	struct record *index;	/* sorted by id, valid ids only; NULL: to be built */
	size_t count;
	bool shadowed;	  /* records that are not in the index, because one with their id is */
	bool clean;	  /* none of them is incomplete: found by who asked, until they change otherwise than by adding and removing */
	unsigned changes; /* since the last reload */
};

/* volatile_name may be NULL. 0 or -ENOMEM. */
int records_init(struct records *r, const char *dir, const char *lock_name, const char *name,
		 const char *volatile_name, bool durable);
void records_done(struct records *r);
/*
 * One more file, of another store, behind the lock file beside it, which is taken after the others:
 * in the same mode, or for reading when it is read-only. 0 or -ENOMEM.
 */
int records_add_file(struct records *r, const char *dir, const char *lock_name, const char *name,
		     int place, bool read_only);
/* One of the own files is in another directory than the lock. 0 or -ENOMEM. */
int records_move_file(struct records *r, int file, const char *dir);

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
/*
 * By exact id, then name (own records before those of other stores), then unique beginning of an id of three
 * digits or more. what: the kind of object, for messages. CSTORE_E_NOT_FOUND, CSTORE_E_AMBIGUOUS, -ENOMEM.
 */
int records_lookup(struct records *r, const char *what, const char *key, struct record **ret,
		   struct cstore_error *err);
/* All of them: valid until the next change. */
int records_all(struct records *r, struct record **ret, size_t *ret_count);

/* With the lock held for writing; records_save() must follow, and its failure undoes all changes. */
struct json_doc *records_doc(struct records *r, int file);
static inline bool record_read_only(const struct records *r, const struct record *rec)
{
	return r->file[rec->file].read_only;
}
static inline int record_place(const struct records *r, const struct record *rec)
{
	return r->file[rec->file].place;
}
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
/* The member of that name, made if it is missing or something else. */
struct json *record_array(struct json_doc *doc, struct json *record, const char *const *order, const char *key);
struct json *record_map(struct json_doc *doc, struct json *record, const char *const *order, const char *key);
/* Does the member "names" contain this one? */
bool record_has_name(const struct json *record, const char *name);
/* Removes it; the member goes with the last name. Returns whether it was there. */
bool record_remove_name(struct json *record, const char *name);

#endif
