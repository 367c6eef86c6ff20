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
 * A store with a thousand containers is to be as quick as an empty one. So adding and removing a record, what
 * containers do all day, changes the index and the text of the file in place; any other change makes them new.
 *
 * Records without a valid id are invisible, but stay in the file.
 *
 * Files of other stores come after the own ones: those of an image store, which are written too, and
 * those of additional stores, which are only read. Each has its own lock and last-writer record.
 */
#include <string.h>
#include <sys/stat.h>
#include "private.h"

#define PREFIX_MIN 3	/* shorter ids are not looked up */
#define TEXT_KEPT_FROM 64 /* records: a smaller file is made anew each time, which costs no memory in between */
#define CHANGES_MIN 32	/* before a small file is read again */

static int add_file(struct records *r, const char *dir, const char *name)
{
	struct record_file *bigger =
		realloc(r->file, ((size_t)r->files + 1) * sizeof(*bigger));
	struct record_file *f;

	if (!bigger)
		return -ENOMEM;
	r->file = bigger;
	f = &r->file[r->files++];
	*f = (struct record_file){ .lock = { .fd = -1 }, .seen = { .len = -1 } };
	if (!name)
		return 0;
	f->dir = strdup(dir);
	f->name = strdup(name);
	return f->dir && f->name ? 0 : -ENOMEM;
}

int records_init(struct records *r, const char *dir, const char *lock_name, const char *name,
		 const char *volatile_name, bool durable)
{
	_cleanup_free_ char *lock = strf("%s/%s", dir, lock_name);

	*r = (struct records){ .durable = durable, .stale = true, .seen = { .len = -1 } };
	if (add_file(r, dir, name) || add_file(r, dir, volatile_name))
		return -ENOMEM;
	return lock ? lockfile_init(&r->lock, lock) : -ENOMEM;
}

int records_add_file(struct records *r, const char *dir, const char *lock_name, const char *name,
		     int place, bool read_only)
{
	_cleanup_free_ char *lock = strf("%s/%s", dir, lock_name);

	if (!lock || add_file(r, dir, name))
		return -ENOMEM;
	r->file[r->files - 1].place = place;
	r->file[r->files - 1].read_only = read_only;
	return lockfile_init(&r->file[r->files - 1].lock, lock);
}

int records_move_file(struct records *r, int file, const char *dir)
{
	char *copy = strdup(dir);

	if (!copy)
		return -ENOMEM;
	free(r->file[file].dir);
	r->file[file].dir = copy;
	return 0;
}

static void forget_text(struct record_file *f)
{
	str_done(&f->text);
	f->text = (struct str)STR_INIT;
	free(f->lengths);
	f->lengths = NULL;
	f->length_room = 0;
	f->text_valid = false;
}

static void forget(struct records *r)
{
	for (int i = 0; i < r->files; i++) {
		r->file[i].doc = json_doc_free(r->file[i].doc);
		r->file[i].dirty = false;
		forget_text(&r->file[i]);
	}
	free(r->index);
	r->index = NULL;
	r->count = 0;
	r->clean = false;
	r->changes = 0;
	r->stale = true;
}

void records_done(struct records *r)
{
	forget(r);
	for (int i = 0; i < r->files; i++) {
		free(r->file[i].dir);
		free(r->file[i].name);
		lockfile_done(&r->file[i].lock);
	}
	free(r->file);
	r->file = NULL;
	r->files = 0;
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

/* A store that is not there, or that nobody can lock, has nothing. */
static bool absent(const struct record_file *f)
{
	return !f->name || (f->lock.path && f->lock.fd < 0);
}

static int load(struct records *r, struct cstore_error *err)
{
	_cleanup_free_ struct record_file *fresh = calloc((size_t)r->files, sizeof(*fresh));
	int e = fresh ? 0 : err_oom(err);

	for (int i = 0; i < r->files && !e; i++) {
		if (absent(&r->file[i]))
			continue;
		fresh[i].mtime = file_mtime(&r->file[i]);
		e = load_file(&r->file[i], &fresh[i].doc, err);
	}
	if (e) {
		for (int i = 0; fresh && i < r->files; i++)
			json_doc_free(fresh[i].doc);
		return e;
	}
	forget(r);
	for (int i = 0; i < r->files; i++) {
		r->file[i].doc = fresh[i].doc;
		r->file[i].mtime = fresh[i].mtime;
	}
	r->stale = false;
	return 0;
}

/* Edited by hand, without the lock? */
static bool touched(const struct records *r)
{
	for (int i = 0; i < r->files; i++)
		if (!absent(&r->file[i]) && file_mtime(&r->file[i]) != r->file[i].mtime)
			return true;
	return false;
}

/* What changes left in the arenas is as much as what is in use: reading again costs each a record. */
static bool grown(const struct records *r)
{
	size_t n = CHANGES_MIN;

	for (int i = 0; i < r->files; i++)
		n += r->file[i].doc ? json_root(r->file[i].doc)->count : 0;
	return r->changes > n;
}

static void release_locks(struct records *r)
{
	for (int i = r->files - 1; i >= RECORDS_FILES; i--)
		if (r->file[i].lock.fd >= 0)
			lockfile_release(&r->file[i].lock);
	lockfile_release(&r->lock);
}

static int acquire_locks(struct records *r, enum lock_mode mode, struct cstore_error *err)
{
	int e = lockfile_acquire(&r->lock, mode, err);

	if (e)
		return e;
	for (int i = RECORDS_FILES; i < r->files; i++) {
		struct record_file *f = &r->file[i];

		e = f->read_only ? lockfile_acquire_foreign(&f->lock, err)
				 : lockfile_acquire(&f->lock, mode, err);
		if (e) {
			release_locks(r);
			return e;
		}
	}
	return 0;
}

/* Somebody wrote since we read. Fills in now[], one for the records and one for each file. */
static int changed(struct records *r, struct last_write *now, bool *ret, struct cstore_error *err)
{
	int e = lockfile_read(&r->lock, &now[0], err);

	*ret = !e && !last_write_same(&r->seen, &now[0]);
	for (int i = RECORDS_FILES; i < r->files && !e; i++) {
		now[1 + i].len = 0;
		if (r->file[i].lock.fd >= 0)
			e = lockfile_read(&r->file[i].lock, &now[1 + i], err);
		*ret |= !last_write_same(&r->file[i].seen, &now[1 + i]);
	}
	return e;
}

static int refresh(struct records *r, struct cstore_error *err)
{
	_cleanup_free_ struct last_write *now = calloc((size_t)r->files + 1, sizeof(*now));
	bool is_changed = false;
	int e = now ? changed(r, now, &is_changed, err) : err_oom(err);

	if (e || !(r->stale || grown(r) || is_changed || touched(r)))
		return e;
	e = load(r, err);
	if (e)
		return e;
	r->seen = now[0];
	for (int i = RECORDS_FILES; i < r->files; i++)
		r->file[i].seen = now[1 + i];
	return 0;
}

int records_lock(struct records *r, enum lock_mode mode, struct cstore_error *err)
{
	int e = acquire_locks(r, mode, err);

	if (e)
		return e;
	e = refresh(r, err);
	if (e)
		release_locks(r);
	return e;
}

void records_unlock(struct records *r)
{
	bool unsaved = false;

	for (int i = 0; i < r->files; i++)
		unsaved |= r->file[i].dirty;
	if (unsaved)
		records_discard(r);
	release_locks(r);
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

	for (int i = 0; i < r->files; i++)
		if (r->file[i].doc)
			room += json_root(r->file[i].doc)->count;
	r->index = calloc(room, sizeof(*r->index));
	if (!r->index)
		return -ENOMEM;
	for (int i = 0; i < r->files; i++) {
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
	r->shadowed = kept != n;
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

/* Of the file that comes first. */
static struct record *find_name(struct record *all, size_t n, const char *name)
{
	struct record *found = NULL;

	for (size_t i = 0; i < n; i++)
		if ((!found || all[i].file < found->file) && record_has_name(all[i].json, name))
			found = &all[i];
	return found;
}

/* 0 with *ret NULL: none; CSTORE_E_AMBIGUOUS. The index is sorted, so they are neighbours. */
static int find_prefix(struct record *all, size_t n, const char *key, struct record **ret)
{
	if (strlen(key) < PREFIX_MIN)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (!str_starts(all[i].id, key))
			continue;
		if (i + 1 < n && str_starts(all[i + 1].id, key))
			return CSTORE_E_AMBIGUOUS;
		*ret = &all[i];
		return 0;
	}
	return 0;
}

int records_lookup(struct records *r, const char *what, const char *key, struct record **ret,
		   struct cstore_error *err)
{
	struct record *all, *found;
	size_t n;

	if (records_find(r, key, &found) || records_all(r, &all, &n))
		return err_oom(err);
	if (!found)
		found = find_name(all, n, key);
	if (!found && find_prefix(all, n, key, &found))
		return err_set(err, CSTORE_E_AMBIGUOUS, "more than one %s id begins with %s", what,
			       key);
	if (!found)
		return err_set(err, CSTORE_E_NOT_FOUND, "%s %s does not exist", what, key);
	*ret = found;
	return 0;
}

struct json_doc *records_doc(struct records *r, int file)
{
	return r->file[file].doc;
}

static void forget_index(struct records *r)
{
	free(r->index);
	r->index = NULL;
	r->count = 0;
}

void records_changed(struct records *r, int file)
{
	r->file[file].dirty = true;
	r->changes++;
	r->clean = false;
	forget_index(r);
	forget_text(&r->file[file]);
}

/* ---- text ---- */

/* One more length at the end; the record is in the array already. */
static int push_length(struct record_file *f, size_t n, size_t length)
{
	size_t room = f->length_room ? 2 * f->length_room : 64;
	uint32_t *bigger = f->lengths;

	if (n >= f->length_room) {
		bigger = realloc(f->lengths, room * sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		f->lengths = bigger;
		f->length_room = room;
	}
	bigger[n] = (uint32_t)length;
	return 0;
}

/* The text ends in "]" before and after; n records are in it before. */
static int append_text(struct record_file *f, size_t n, const struct json *record)
{
	size_t before;

	f->text.len--;
	if (n)
		str_append_char(&f->text, ',');
	before = f->text.len;
	if (json_format(f->doc, record, 0, &f->text))
		return -ENOMEM;
	if (push_length(f, n, f->text.len - before))
		return -ENOMEM;
	str_append_char(&f->text, ']');
	return str_failed(&f->text) ? -ENOMEM : 0;
}

static void cut_text(struct record_file *f, size_t position, size_t n)
{
	size_t at = 1, length = f->lengths[position];

	for (size_t i = 0; i < position; i++)
		at += f->lengths[i] + 1; /* its comma */
	if (position + 1 < n)
		length++;
	else if (position)
		at--, length++;
	memmove(f->text.data + at, f->text.data + at + length, f->text.len - at - length + 1);
	f->text.len -= length;
	memmove(f->lengths + position, f->lengths + position + 1,
		(n - position - 1) * sizeof(*f->lengths));
}

static int make_text(struct record_file *f)
{
	size_t n = 0;

	forget_text(f);
	str_append(&f->text, "[]");
	if (str_failed(&f->text))
		return -ENOMEM;
	json_foreach(record, json_root(f->doc))
		if (append_text(f, n++, record))
			return -ENOMEM;
	f->text_valid = true;
	return 0;
}

/* ---- adding and removing ---- */

/* Where the id is in the index, or has to be. */
static size_t index_place(const struct records *r, const char *id)
{
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (strcmp(r->index[mid].id, id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void index_add(struct records *r, int file, struct json *record)
{
	const char *id = json_get_string(record, "id");
	struct record *bigger;
	size_t at;

	if (!r->index || !id_valid(id))
		return;
	at = index_place(r, id);
	bigger = realloc(r->index, (r->count + 2) * sizeof(*bigger));
	if (!bigger || (at < r->count && streq(bigger[at].id, id))) {
		r->index = bigger ? bigger : r->index;
		forget_index(r);
		return;
	}
	r->index = bigger;
	memmove(bigger + at + 1, bigger + at, (r->count - at) * sizeof(*bigger));
	bigger[at] = (struct record){ id, record, file };
	r->count++;
}

void records_add(struct records *r, int file, struct json *record)
{
	struct record_file *f = &r->file[file];
	size_t n = json_root(f->doc)->count;

	json_append(f->doc, json_root(f->doc), record);
	if (f->text_valid && append_text(f, n, record))
		forget_text(f);
	index_add(r, file, record);
	f->dirty = true;
	r->changes++;
}

static size_t position_of(const struct json *array, const struct json *item)
{
	size_t n = 0;

	for (const struct json *at = array->first; at != item; at = at->next)
		n++;
	return n;
}

void records_remove(struct records *r, const struct record *record)
{
	struct record_file *f = &r->file[record->file];
	struct json *root = json_root(f->doc), *item = record->json;
	size_t at = (size_t)(record - r->index);

	if (f->text_valid)
		cut_text(f, position_of(root, item), root->count);
	json_remove_item(root, item);
	if (r->shadowed) { /* one that has the same id may come to light */
		forget_index(r);
	} else {
		memmove(r->index + at, r->index + at + 1, (r->count - at - 1) * sizeof(*r->index));
		r->count--;
	}
	f->dirty = true;
	r->changes++;
}

static int save_file(struct records *r, int i, struct cstore_error *err)
{
	struct record_file *f = &r->file[i];
	_cleanup_free_ char *path = strf("%s/%s", f->dir, f->name);
	bool durable = r->durable && i != RECORDS_VOLATILE;
	int e;

	if (!path || json_failed(f->doc) || (!f->text_valid && make_text(f)))
		return err_oom(err);
	e = write_file(path, 0600, f->text.data, f->text.len, durable ? IO_DURABLE : 0);
	if (e)
		return err_sysr(err, e, "write %s", path);
	f->mtime = file_mtime(f);
	f->dirty = false;
	if (json_root(f->doc)->count < TEXT_KEPT_FROM)
		forget_text(f);
	return 0;
}

int records_save(struct records *r, struct cstore_error *err)
{
	int e = lockfile_record_write(&r->lock, &r->seen, err);

	for (int i = RECORDS_FILES; i < r->files && !e; i++)
		if (r->file[i].dirty)
			e = lockfile_record_write(&r->file[i].lock, &r->file[i].seen, err);
	for (int i = 0; i < r->files && !e; i++)
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
		for (int i = 0; i < r->files; i++) {
			if (absent(&r->file[i]))
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

struct json *record_array(struct json_doc *doc, struct json *record, const char *const *order,
			  const char *key)
{
	struct json *v = json_get(record, key);

	if (v && v->type == JSON_ARRAY)
		return v;
	v = json_new_array(doc);
	record_set(doc, record, order, key, v);
	return v;
}

struct json *record_map(struct json_doc *doc, struct json *record, const char *const *order,
			const char *key)
{
	struct json *v = json_get(record, key);

	if (v && v->type == JSON_OBJECT)
		return v;
	v = json_new_object(doc);
	record_set(doc, record, order, key, v);
	return v;
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
