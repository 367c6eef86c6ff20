/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of records: what cannot be parsed, or has no id, is invisible to every program, and stops
 * some. A file that is mended is set aside under another name first, whole, and written again with what can
 * be understood of it. Then the references between the records.
 */
#include <string.h>
#include <sys/stat.h>
#include "problem.h"
#include "layer.h"
#include "module.h"

/* The end of the JSON object that starts at p; NULL: it is cut off. */
static const char *object_end(const char *p)
{
	bool quoted = false;
	int depth = 0;

	for (; *p; p++) {
		if (*p == '\\' && quoted && p[1])
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && *p == '{')
			depth++;
		else if (!quoted && *p == '}' && !--depth)
			return p + 1;
	}
	return NULL;
}

static bool has_id(const struct json *list, const char *id)
{
	json_foreach(item, list)
		if (streq(json_get_string(item, "id"), id))
			return true;
	return false;
}

/* Takes one record into the list of those to keep; false: it is none, or there is one of this id. */
static bool keep(struct json_doc *doc, const struct json *item)
{
	const char *id = json_get_string(item, "id");

	if (!id_valid(id) || has_id(json_root(doc), id))
		return false;
	json_append(doc, json_root(doc), json_copy(doc, item));
	return true;
}

/* What can be read of a text that is no list: every object in it that is whole. */
static void salvage(struct json_doc *doc, const char *text)
{
	const char *end;

	for (const char *p = strchr(text, '{'); p; p = strchr(p, '{')) {
		_cleanup_json_ struct json_doc *one = NULL;

		end = object_end(p);
		if (end && json_parse(p, (size_t)(end - p), 0, &one, NULL) == 0 &&
		    keep(doc, json_root(one)))
			p = end;
		else
			p++;
	}
}

/* Everything that is understood of the file; *ret_bad counts what is not, -1: it is no list. */
static int read_records(const char *text, size_t len, struct json_doc **ret, int *ret_bad)
{
	_cleanup_json_ struct json_doc *in = NULL, *out = json_doc_new();
	int r;

	if (!out)
		return -ENOMEM;
	json_set_root(out, json_new_array(out));
	r = json_parse(len ? text : "[]", len ? len : 2, JSON_NO_NODES_MAX, &in, NULL);
	if (r == -ENOMEM)
		return r;
	*ret_bad = 0;
	if (r || (json_root(in)->type != JSON_ARRAY && json_root(in)->type != JSON_NULL)) {
		*ret_bad = -1;
		salvage(out, text);
	} else {
		json_foreach(item, json_root(in))
			*ret_bad += !keep(out, item);
	}
	if (json_failed(out))
		return -ENOMEM;
	*ret = take(out);
	return 0;
}

static int set_aside(const char *path, struct cstore_error *err)
{
	_cleanup_free_ char *aside = strf("%s.damaged-%lld", path, (long long)now_ns());

	if (!aside)
		return err_oom(err);
	return link(path, aside) < 0 ? err_sys(err, "set %s aside", path) : 0;
}

static int rewrite(struct records *r, struct record_file *f, const char *path, struct json_doc *doc,
		   struct cstore_error *err)
{
	_cleanup_str_ struct str text = STR_INIT;
	struct last_write written;
	int e = set_aside(path, err);

	if (e)
		return e;
	if (json_format(doc, json_root(doc), 0, &text) || str_failed(&text))
		return err_oom(err);
	r->stale = true;
	e = lockfile_record_write(&r->lock, &written, err);
	if (!e && f->lock.path)
		e = lockfile_record_write(&f->lock, &written, err);
	if (e)
		return e;
	e = write_file(path, 0600, text.data, text.len, IO_DURABLE);
	return e ? err_sysr(err, e, "write %s", path) : 0;
}

static int check_file(struct check *c, struct records *r, struct record_file *f,
		      struct cstore_error *err)
{
	_cleanup_free_ char *path = strf("%s/%s", f->dir, f->name), *text = NULL;
	_cleanup_json_ struct json_doc *kept = NULL;
	size_t len = 0;
	int bad, e;

	if (!path)
		return err_oom(err);
	e = read_file(path, RECORDS_FILE_MAX, &text, &len);
	if (e == -ENOENT)
		return 0;
	if (e)
		return err_sysr(err, e, "read %s", path);
	if (read_records(text, len, &kept, &bad))
		return err_oom(err);
	if (!bad)
		return 0;
	e = c->mend ? rewrite(r, f, path, kept, err) : 0;
	if (e)
		return e;
	c->unreadable |= bad < 0 && !c->mend;
	if (bad < 0)
		check_report(c, CSTORE_PROBLEM_RECORDS, c->mend, path,
			     "it is no list of records; %zu records in it can be read",
			     json_root(kept)->count);
	else
		check_report(c, CSTORE_PROBLEM_RECORDS, c->mend, path,
			     "%d records in it have no valid id, or one that is taken", bad);
	return 0;
}

/* What another store has is its owner's to check. */
static int check_files(struct check *c, struct records *r, struct cstore_error *err)
{
	const enum lock_mode mode = c->mend ? LOCK_EXCLUSIVE : LOCK_SHARED;
	int e = lockfile_acquire(&r->lock, mode, err);

	if (e)
		return e;
	for (int i = 0; i < r->files && !e; i++) {
		struct record_file *f = &r->file[i];

		if (!f->name || f->read_only)
			continue;
		e = f->lock.path ? lockfile_acquire(&f->lock, mode, err) : 0;
		if (e)
			break;
		e = check_file(c, r, f, err);
		if (f->lock.path)
			lockfile_release(&f->lock);
	}
	lockfile_release(&r->lock);
	return e;
}

/* ---- layers that lost their record ---- */

/* The layer that the first link of a lower file leads to; [owned], NULL: base layer. */
static int parent_of(struct cstore *s, const char *id, char **ret)
{
	const char *home = layer_place(s, id)->home;
	_cleanup_free_ char *path = strf("%s/%s/lower", home, id), *text = NULL, *link = NULL;
	char target[ID_LEN + 16];
	ssize_t n;
	int r;

	if (!path)
		return -ENOMEM;
	r = read_file(path, LOWER_FILE_MAX, &text, NULL);
	if (r)
		return r == -ENOENT ? 0 : r;
	text[strcspn(text, ":")] = '\0';
	link = str_starts(text, "l/") && !strchr(text + 2, '/') ? strf("%s/%s", home, text) : NULL;
	n = link ? readlink(link, target, sizeof(target) - 1) : -1;
	if (n != 3 + ID_LEN + 5 || memcmp(target, "../", 3) != 0)
		return -EINVAL;
	target[3 + ID_LEN] = '\0';
	*ret = strdup(target + 3);
	return *ret ? 0 : -ENOMEM;
}

/*
 * Records a directory again if it proves to be the layer its name says: the id of a layer of an image is
 * made of its parent's and the digest of its content.
 */
static int record_again(struct check *c, const char *id, int file, struct cstore_error *err)
{
	_cleanup_free_ char *parent = NULL;
	char diff_id[MODULE_DIGEST_MAX], proof[ID_LEN + 1], created[TIME_MAX_LEN];
	struct cstore *s = c->store;
	struct json_doc *doc;
	struct json *rec;
	uint64_t size;
	int r;

	if (parent_of(s, id, &parent) || (parent && !id_valid(parent)) ||
	    check_layer_digest(s, id, diff_id, &size) || !*diff_id ||
	    cstore_layer_chain_id(parent, diff_id, proof) || !streq(proof, id))
		return 0;
	r = layers_lock(s, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	doc = records_doc(&s->layers, file);
	if (layer_get(s, id, &rec, NULL) == CSTORE_E_NOT_FOUND) {
		rec = json_new_object(doc);
		time_format(now_ns(), created);
		json_set_string(doc, rec, "id", id);
		if (parent)
			json_set_string(doc, rec, "parent", parent);
		json_set_string(doc, rec, "created", created);
		json_set_string(doc, rec, "diff-digest", diff_id);
		json_set_int(doc, rec, "diff-size", (int64_t)size);
		records_add(&s->layers, file, rec);
		r = records_save(&s->layers, err);
	}
	records_unlock(&s->layers);
	if (!r)
		check_report(c, CSTORE_PROBLEM_RECORDS, true, s->layers.file[file].dir,
			     "layer %s was on disk and not recorded", id);
	return r;
}

static int record_lost_of(struct check *c, const char *home, int file, struct cstore_error *err)
{
	_cleanup_strv_ char **ids = NULL;
	int r = layers_lock(c->store, LOCK_SHARED, err);

	if (r)
		return r;
	r = find_unrecorded(&c->store->layers, home, NULL, &ids, err);
	records_unlock(&c->store->layers);
	for (size_t i = 0; i < strv_len(ids) && !r; i++) {
		r = check_cancelled(c, err);
		if (!r)
			r = record_again(c, ids[i], file, err);
	}
	return r;
}

static int record_lost_layers(struct check *c, struct cstore_error *err)
{
	struct cstore *s = c->store;
	int r = record_lost_of(c, s->home, RECORDS_STABLE, err);

	/* the image store's file comes next */
	return r || !s->image_place ? r : record_lost_of(c, s->places[s->image_place].home, RECORDS_FILES, err);
}

/* ---- references ---- */

struct reference {
	struct records *from, *to;
	const char *kind, *member, *what;
};

static int check_reference(struct check *c, const struct reference *ref, bool report, size_t *missing,
			   struct cstore_error *err)
{
	struct record *all, *target;
	size_t n;

	if (records_all(ref->from, &all, &n))
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		const char *id = json_get_string(all[i].json, ref->member);
		char object[ID_LEN + 16];

		if (!id || !*id)
			continue;
		if (records_find(ref->to, id, &target))
			return err_oom(err);
		if (target)
			continue;
		++*missing;
		if (!report)
			continue;
		snprintf(object, sizeof(object), "%s %s", ref->kind, all[i].id);
		check_report(c, CSTORE_PROBLEM_REFERENCE, false, object, "its %s %.*s does not exist",
			     ref->what, ID_LEN, id);
		if (ref->to == &c->store->layers)
			check_broken(c, ref->from == ref->to ? all[i].id : id);
	}
	return 0;
}

/* Counts references to what does not exist, and reports them if asked to. */
static int check_references(struct check *c, bool report, size_t *missing, struct cstore_error *err)
{
	struct cstore *s = c->store;
	const struct reference refs[] = {
		{ &s->layers, &s->layers, "layer", "parent", "parent" },
		{ &s->images, &s->layers, "image", "layer", "layer" },
		{ &s->containers, &s->layers, "container", "layer", "layer" },
		{ &s->containers, &s->images, "container", "image", "image" },
	};
	_cleanup_unlock_ struct records *layers = NULL, *images = NULL, *containers = NULL;
	int r = layers_lock(s, LOCK_SHARED, err);

	if (r)
		return r;
	layers = &s->layers;
	r = records_lock(&s->images, LOCK_SHARED, err);
	if (r)
		return r;
	images = &s->images;
	r = records_lock(&s->containers, LOCK_SHARED, err);
	if (r)
		return r;
	containers = &s->containers;
	for (size_t i = 0; i < ARRAY_SIZE(refs) && !r; i++)
		r = check_reference(c, &refs[i], report, missing, err);
	return r;
}

/* ---- names ---- */

static bool take_name(struct check *c, struct records *r, const struct record *from, const char *name,
		      const char *kind, const struct record *by)
{
	char object[ID_LEN + 16];

	snprintf(object, sizeof(object), "%s %s", kind, from->id);
	check_report(c, CSTORE_PROBLEM_REFERENCE, c->mend, object, "its name %s is also that of %s", name,
		     by->id);
	if (!c->mend)
		return false;
	record_remove_name(from->json, name);
	records_changed(r, from->file);
	return true;
}

static bool is_later(const struct record *a, const struct record *b)
{
	if (a->file != b->file)
		return a->file > b->file;
	for (const struct json *j = b->json; j; j = j->next)
		if (j == a->json)
			return true;
	return false;
}

/* Of two records with one name the one that comes later in the file has it. True: look again. */
static bool settle_names(struct check *c, struct records *r, const char *kind)
{
	struct record *all;
	size_t n;

	if (records_all(r, &all, &n))
		return false;
	for (size_t i = 0; i < n; i++)
		json_foreach(name, json_get(all[i].json, "names"))
			for (size_t k = 0; k < n && json_string(name); k++) {
				if (k != i && record_has_name(all[k].json, json_string(name)) &&
				    is_later(&all[k], &all[i]) &&
				    take_name(c, r, &all[i], json_string(name), kind, &all[k]))
					return true;
			}
	return false;
}

static int check_names(struct check *c, struct records *r, const char *kind, struct cstore_error *err)
{
	enum lock_mode mode = c->mend ? LOCK_EXCLUSIVE : LOCK_SHARED;
	bool changed = false;
	int e = r == &c->store->layers ? layers_lock(c->store, mode, err) : records_lock(r, mode, err);

	if (e)
		return e;
	while (settle_names(c, r, kind))
		changed = true;
	e = changed ? records_save(r, err) : 0;
	records_unlock(r);
	return e;
}

int check_records(struct check *c, struct cstore_error *err)
{
	const struct {
		struct records *records;
		const char *name;
	} kinds[] = { { &c->store->layers, "layer" },
		      { &c->store->images, "image" },
		      { &c->store->containers, "container" } };
	size_t missing = 0;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && !r; i++)
		r = check_files(c, kinds[i].records, err);
	if (r || c->unreadable)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(kinds) && !r; i++)
		r = check_names(c, kinds[i].records, kinds[i].name, err);
	if (!r)
		r = check_references(c, false, &missing, err);
	if (!r && missing && c->mend)
		r = record_lost_layers(c, err);
	return r ? r : check_references(c, true, &missing, err);
}
