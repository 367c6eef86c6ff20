/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records: the JSON files that say which layers, images, containers and mounts there are.
 *
 * The parsed files are the only copy in memory. Members that this library does not know are kept, so
 * what another program wrote survives our changes. A change is made in the tree and saved as a whole
 * file, by rename, after the last-writer record; if that fails the tree is thrown away and read again
 * at the next lock. The tree's arena grows with every change, so it is also read again after as
 * many of them as there are records, and some more.
 *
 * Records without a valid id are invisible, but stay in the file.
 */
#include <string.h>
#include <sys/stat.h>
#include "private.h"

#define CHANGES_MIN 32	/* before a small file is read again */

int records_init(struct records *r, const char *dir, const char *lock_name, const char *name,
		 const char *volatile_name, bool durable)
{
	_cleanup_free_ char *lock = strf("%s/%s", dir, lock_name);
	const char *names[RECORDS_FILES] = { name, volatile_name };

	*r = (struct records){ .durable = durable, .stale = true, .seen = { .len = -1 } };
	for (int i = 0; i < RECORDS_FILES; i++) {
		if (!names[i])
			continue;
		r->file[i].dir = strdup(dir);
		r->file[i].name = strdup(names[i]);
		if (!r->file[i].dir || !r->file[i].name)
			return -ENOMEM;
	}
	return lock ? lockfile_init(&r->lock, lock) : -ENOMEM;
}

static void forget(struct records *r)
{
	for (int i = 0; i < RECORDS_FILES; i++) {
		r->file[i].doc = json_doc_free(r->file[i].doc);
		r->file[i].dirty = false;
	}
	free(r->index);
	r->index = NULL;
	r->count = 0;
	r->changes = 0;
	r->stale = true;
}

void records_done(struct records *r)
{
	forget(r);
	for (int i = 0; i < RECORDS_FILES; i++) {
		free(r->file[i].dir);
		free(r->file[i].name);
	}
	lockfile_done(&r->lock);
}

static int64_t file_mtime(const struct record_file *f)
{
	_cleanup_free_ char *path = strf("%s/%s", f->dir, f->name);
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return 0;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

/* An absent or empty file is an empty list. */
static int load_file(const struct record_file *f, struct json_doc **ret, struct cstore_error *err)
{
	_cleanup_free_ char *path = strf("%s/%s", f->dir, f->name), *text = NULL;
	_cleanup_json_ struct json_doc *doc = NULL;
	struct cb_error why = { 0 };
	size_t len = 0;
	int r;

	if (!path)
		return err_oom(err);
	r = read_file(path, RECORDS_FILE_MAX, &text, &len);
	if (r && r != -ENOENT)
		return err_sysr(err, r, "read %s", path);
	r = json_parse(len ? text : "[]", len ? len : 2, JSON_NO_NODES_MAX, &doc, &why);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r)
		return err_set(err, CSTORE_E_DAMAGED, "%s: %s", path, why.message);
	if (json_root(doc)->type ==
	    JSON_NULL) /* Go prints an empty list that was never made as null */
		json_set_root(doc, json_new_array(doc));
	if (!json_root(doc) || json_root(doc)->type != JSON_ARRAY)
		return err_set(err, CSTORE_E_DAMAGED, "%s is not a list", path);
	*ret = take(doc);
	return 0;
}

static int load(struct records *r, struct cstore_error *err)
{
	struct json_doc *docs[RECORDS_FILES] = { NULL };
	int64_t mtimes[RECORDS_FILES] = { 0 };
	int e = 0;

	for (int i = 0; i < RECORDS_FILES && !e; i++) {
		if (!r->file[i].name)
			continue;
		mtimes[i] = file_mtime(&r->file[i]);
		e = load_file(&r->file[i], &docs[i], err);
	}
	if (e) {
		for (int i = 0; i < RECORDS_FILES; i++)
			json_doc_free(docs[i]);
		return e;
	}
	forget(r);
	for (int i = 0; i < RECORDS_FILES; i++) {
		r->file[i].doc = docs[i];
		r->file[i].mtime = mtimes[i];
	}
	r->stale = false;
	return 0;
}

/* Edited by hand, without the lock? */
static bool touched(const struct records *r)
{
	for (int i = 0; i < RECORDS_FILES; i++)
		if (r->file[i].name && file_mtime(&r->file[i]) != r->file[i].mtime)
			return true;
	return false;
}

/* What changes left in the arenas is as much as what is in use: reading again costs each a record. */
static bool grown(const struct records *r)
{
	size_t n = CHANGES_MIN;

	for (int i = 0; i < RECORDS_FILES; i++)
		n += r->file[i].doc ? json_root(r->file[i].doc)->count : 0;
	return r->changes > n;
}

int records_lock(struct records *r, enum lock_mode mode, struct cstore_error *err)
{
	struct last_write now = { .len = -1 };
	int e;

	e = lockfile_acquire(&r->lock, mode, err);
	if (e)
		return e;
	e = lockfile_read(&r->lock, &now, err);
	if (!e && (r->stale || grown(r) || !last_write_same(&r->seen, &now) ||
		   touched(r))) {
		e = load(r, err);
		if (!e)
			r->seen = now;
	}
	if (e)
		lockfile_release(&r->lock);
	return e;
}

void records_unlock(struct records *r)
{
	bool unsaved = false;

	for (int i = 0; i < RECORDS_FILES; i++)
		unsaved |= r->file[i].dirty;
	if (unsaved)
		records_discard(r);
	lockfile_release(&r->lock);
}

static int by_id(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	int c = strcmp(x->id, y->id);

	return c ? c : x->file - y->file;
}

/* Of two records with one id the first file's counts. */
static int build_index(struct records *r)
{
	size_t room = 1, n = 0, kept = 0;

	for (int i = 0; i < RECORDS_FILES; i++)
		if (r->file[i].doc)
			room += json_root(r->file[i].doc)->count;
	r->index = calloc(room, sizeof(*r->index));
	if (!r->index)
		return -ENOMEM;
	for (int i = 0; i < RECORDS_FILES; i++) {
		json_foreach(item, r->file[i].doc ? json_root(r->file[i].doc) : NULL) {
			const char *id = json_get_string(item, "id");

			if (id_valid(id))
				r->index[n++] = (struct record){ id, item, i };
		}
	}
	qsort(r->index, n, sizeof(*r->index), by_id);
	for (size_t i = 0; i < n; i++)
		if (!kept || !streq(r->index[kept - 1].id, r->index[i].id))
			r->index[kept++] = r->index[i];
	r->count = kept;
	return 0;
}

int records_all(struct records *r, struct record **ret, size_t *ret_count)
{
	if (!r->index && build_index(r))
		return -ENOMEM;
	*ret = r->index;
	*ret_count = r->count;
	return 0;
}

static int find_id(const void *key, const void *item)
{
	return strcmp(key, ((const struct record *)item)->id);
}

int records_find(struct records *r, const char *id, struct record **ret)
{
	struct record *all;
	size_t n;

	if (records_all(r, &all, &n))
		return -ENOMEM;
	*ret = bsearch(id, all, n, sizeof(*all), find_id);
	return 0;
}

struct json_doc *records_doc(struct records *r, int file)
{
	return r->file[file].doc;
}

void records_changed(struct records *r, int file)
{
	r->file[file].dirty = true;
	r->changes++;
	free(r->index);
	r->index = NULL;
	r->count = 0;
}

void records_add(struct records *r, int file, struct json *record)
{
	json_append(r->file[file].doc, json_root(r->file[file].doc), record);
	records_changed(r, file);
}

void records_remove(struct records *r, const struct record *record)
{
	int file = record->file;

	json_remove_item(json_root(r->file[file].doc), record->json);
	records_changed(r, file);
}

static int save_file(struct records *r, int i, struct cstore_error *err)
{
	struct record_file *f = &r->file[i];
	_cleanup_free_ char *path = strf("%s/%s", f->dir, f->name);
	_cleanup_str_ struct str text = STR_INIT;
	bool durable = r->durable && i == RECORDS_STABLE;
	int e;

	if (!path || json_failed(f->doc) || json_format(f->doc, json_root(f->doc), 0, &text) ||
	    str_failed(&text))
		return err_oom(err);
	e = write_file(path, 0600, text.data, text.len, durable ? IO_DURABLE : 0);
	if (e)
		return err_sysr(err, e, "write %s", path);
	f->mtime = file_mtime(f);
	f->dirty = false;
	return 0;
}

int records_save(struct records *r, struct cstore_error *err)
{
	int e = lockfile_record_write(&r->lock, &r->seen, err);

	for (int i = 0; i < RECORDS_FILES && !e; i++)
		if (r->file[i].dirty)
			e = save_file(r, i, err);
	if (e)
		records_discard(r);
	return e;
}

void records_discard(struct records *r)
{
	struct cstore_error ignored;

	/* the lock is still held and callers may look at the records again */
	if (load(r, &ignored)) {
		forget(r);
		for (int i = 0; i < RECORDS_FILES; i++) {
			if (!r->file[i].name)
				continue;
			r->file[i].doc = json_doc_new();
			if (r->file[i].doc)
				json_set_root(r->file[i].doc, json_new_array(r->file[i].doc));
		}
	}
	r->seen.len = -1;
}

static size_t position(const char *const *order, const char *key)
{
	for (size_t i = 0; order[i]; i++)
		if (streq(order[i], key))
			return i;
	return SIZE_MAX;
}

static void insert_before(struct json *obj, struct json *at, struct json *value)
{
	struct json **slot = &obj->first;

	while (*slot != at)
		slot = &(*slot)->next;
	value->next = at;
	*slot = value;
	if (!at)
		obj->last = value;
	obj->count++;
}

void record_set(struct json_doc *doc, struct json *record, const char *const *order,
		const char *key, struct json *value)
{
	size_t mine = position(order, key);
	struct json *at;

	if (json_get(record, key) || !record || !value) {
		json_set(doc, record, key, value);
		return;
	}
	value->key = json_strdup(doc, key);
	for (at = record->first; at; at = at->next) {
		size_t theirs = position(order, at->key);

		if (theirs != SIZE_MAX && theirs > mine)
			break;
	}
	if (value->key)
		insert_before(record, at, value);
}

void record_map_set(struct json_doc *doc, struct json *map, const char *key, struct json *value)
{
	struct json *at;

	if (json_get(map, key) || !map || !value) {
		json_set(doc, map, key, value);
		return;
	}
	value->key = json_strdup(doc, key);
	for (at = map->first; at && strcmp(at->key, key) < 0; at = at->next)
		;
	if (value->key)
		insert_before(map, at, value);
}

bool record_has_name(const struct json *record, const char *name)
{
	json_foreach(item, json_get(record, "names"))
		if (json_string(item) && streq(json_string(item), name))
			return true;
	return false;
}

bool record_remove_name(struct json *record, const char *name)
{
	struct json *names = json_get(record, "names");
	bool found = false;

	for (struct json *item = names ? names->first : NULL, *next; item; item = next) {
		next = item->next;
		if (json_string(item) && streq(json_string(item), name)) {
			json_remove_item(names, item);
			found = true;
		}
	}
	if (found && !names->count)
		json_remove(record, "names");
	return found;
}
