/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images, write side. Data files come first and are on disk before the record is; the record, with
 * its names, is one file replaced by rename. So an image is there whole or not at all, and a name
 * moves from one image to another in one step.
 *
 * Deleting marks the layers that nothing else needs as incomplete, so that who comes after a crash
 * goes on with it; then it drops the image's record, then those of the layers, then the files.
 */
#include <string.h>
#include <sys/stat.h>
#include "bigdata.h"
#include "container.h"
#include "image.h"
#include "layer.h"
#include "module.h"

#define DATA_COUNT_MAX 4096
#define NAMES_HISTORY_MAX 1024

/* clang-format off */
static const char *const image_fields[] = {
	"id", "digest", "names", "names-history", "layer", "mapped-layers", "metadata", "big-data-names",
	"big-data-sizes", "big-data-digests", "created", "flags", NULL
};
/* clang-format on */

/* ---- records that can be changed ---- */

struct own_image {
	struct json *rec;
	struct json_doc *doc; /* the record is in it */
	int file;
	const char *images_dir; /* its data are below */
};

static struct own_image own_in(struct cstore *s, int file, struct json *rec)
{
	return (struct own_image){
		.rec = rec,
		.doc = records_doc(&s->images, file),
		.file = file,
		.images_dir = s->places[s->images.file[file].place].images_dir,
	};
}

/* An image of an additional store gets a record and data here; its layers stay where they are. */
static int pull_up(struct cstore *s, const struct record *theirs, struct own_image *ret,
		   struct cstore_error *err)
{
	const char *from = s->places[record_place(&s->images, theirs)].images_dir;
	const struct json *digests = json_get(theirs->json, "big-data-digests");
	struct json_doc *doc = records_doc(&s->images, RECORDS_STABLE);
	struct json *rec = json_copy(doc, theirs->json);
	int r = 0;

	if (!rec)
		return err_oom(err);
	*ret = own_in(s, RECORDS_STABLE, rec);
	json_foreach(key, json_get(theirs->json, "big-data-names")) {
		struct cstore_blob b = { .key = json_string(key) ?: "" };
		_cleanup_free_ char *bytes = NULL;

		r = bigdata_get(from, theirs->id, b.key, BIGDATA_MAX, &bytes, &b.len, err);
		if (r)
			return r;
		b.bytes = bytes;
		b.digest = json_get_string(digests, b.key);
		r = bigdata_put(ret->images_dir, theirs->id, doc, rec, image_fields, &b, true, err);
		if (r)
			return r;
	}
	records_add(&s->images, RECORDS_STABLE, rec);
	return 0;
}

static int find_own(struct cstore *s, const char *id, struct own_image *ret,
		    struct cstore_error *err)
{
	struct record *rec;
	int r = image_find(s, id, &rec, err);

	if (r)
		return r;
	if (record_read_only(&s->images, rec))
		return pull_up(s, rec, ret, err);
	*ret = own_in(s, rec->file, rec->json);
	return 0;
}

/* ---- names ---- */

static void remove_string(struct json *array, const char *text)
{
	for (struct json *item = array ? array->first : NULL, *next; item; item = next) {
		next = item->next;
		if (json_string(item) && streq(json_string(item), text))
			json_remove_item(array, item);
	}
}

/* Newest first, each once. */
static void remember_name(struct json_doc *doc, struct json *rec, const char *name)
{
	struct json *history = record_array(doc, rec, image_fields, "names-history"),
		    *v = json_new_string(doc, name);

	if (!history || !v)
		return;
	remove_string(history, name);
	while (history->count >= NAMES_HISTORY_MAX)
		json_remove_item(history, history->last);
	v->next = history->first;
	history->first = v;
	if (!history->last)
		history->last = v;
	history->count++;
}

/* Takes the name away from every other record, also from one without a valid id. */
static void give_name(struct cstore *s, const struct own_image *i, const char *name)
{
	for (int file = 0; file < s->images.files; file++) {
		struct json_doc *doc = records_doc(&s->images, file);

		if (!doc || s->images.file[file].read_only)
			continue;
		json_foreach(other, json_root(doc))
			if (other != i->rec && record_remove_name(other, name))
				records_changed(&s->images, file);
	}
	if (!record_has_name(i->rec, name))
		json_append_string(i->doc, record_array(i->doc, i->rec, image_fields, "names"), name);
	remember_name(i->doc, i->rec, name);
	records_changed(&s->images, i->file);
}

static int change_name(struct cstore *s, const char *id, const char *name, bool add,
		       struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	struct own_image i;
	int r;

	if (!s || !id_valid(id) || !name)
		return err_sysr(err, -EINVAL, "name an image");
	if (!name_valid(name))
		return err_set(err, CSTORE_E_INVALID, "image %s: invalid name", id);
	r = records_lock(&s->images, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	held = &s->images;
	r = find_own(s, id, &i, err);
	if (r)
		return r;
	if (add)
		give_name(s, &i, name);
	else if (!record_remove_name(i.rec, name))
		return err_set(err, CSTORE_E_NOT_FOUND, "image %s has no name %s", id, name);
	records_changed(&s->images, i.file);
	return records_save(&s->images, err);
}

PUBLIC int cstore_image_add_name(struct cstore *s, const char *id, const char *name,
				 struct cstore_error *err)
{
	return change_name(s, id, name, true, err);
}

PUBLIC int cstore_image_remove_name(struct cstore *s, const char *id, const char *name,
				    struct cstore_error *err)
{
	return change_name(s, id, name, false, err);
}

/* ---- putting ---- */

static int check_spec(const struct cstore_image_spec *i, struct cstore_error *err)
{
	int r;

	if (!i || i->size != sizeof(*i) || !id_valid(i->id) ||
	    (i->top_layer && !id_valid(i->top_layer)) || (!i->data && i->data_count))
		return err_sysr(err, -EINVAL, "put image");
	if (i->data_count > DATA_COUNT_MAX)
		return err_set(err, CSTORE_E_LIMIT, "image %s: more than %d pieces of data", i->id,
			       DATA_COUNT_MAX);
	for (size_t k = 0; i->names && i->names[k]; k++)
		if (!name_valid(i->names[k]))
			return err_set(err, CSTORE_E_INVALID, "image %s: invalid name", i->id);
	for (size_t k = 0; k < i->data_count; k++) {
		r = bigdata_check(&i->data[k], err);
		if (r)
			return r;
	}
	return 0;
}

static struct own_image new_own(struct cstore *s, const struct cstore_image_spec *spec)
{
	struct json_doc *doc = records_doc(&s->images, RECORDS_STABLE);
	struct json *rec = json_new_object(doc);
	char created[TIME_MAX_LEN];

	time_format(spec->created, created);
	json_set_string(doc, rec, "id", spec->id);
	if (spec->top_layer)
		json_set_string(doc, rec, "layer", spec->top_layer);
	json_set_string(doc, rec, "created", created);
	return own_in(s, RECORDS_STABLE, rec);
}

/* The record of that id: the existing one if it has the same top layer, or a new one that is not in the list yet. */
static int find_or_make(struct cstore *s, const struct cstore_image_spec *spec,
			struct own_image *ret, bool *ret_new, struct cstore_error *err)
{
	struct record *known = NULL;
	const char *top;

	if (records_find(&s->images, spec->id, &known))
		return err_oom(err);
	*ret_new = !known;
	if (!known) {
		*ret = new_own(s, spec);
		return 0;
	}
	top = json_get_string(known->json, "layer");
	if (!streq(top ? top : "", spec->top_layer ? spec->top_layer : ""))
		return err_set(err, CSTORE_E_EXISTS, "image %s exists with another top layer",
			       spec->id);
	return find_own(s, spec->id, ret, err);
}

static int put_locked(struct cstore *s, const struct cstore_image_spec *spec,
		      struct cstore_error *err)
{
	struct own_image i = { .file = RECORDS_STABLE };
	struct json *layer;
	bool is_new = false;
	int r;

	r = spec->top_layer ? layer_get(s, spec->top_layer, &layer, err) : 0;
	if (!r)
		r = find_or_make(s, spec, &i, &is_new, err);
	for (size_t k = 0; k < spec->data_count && !r; k++)
		r = bigdata_put(i.images_dir, spec->id, i.doc, i.rec, image_fields, &spec->data[k],
				true, err);
	if (r) {
		records_changed(&s->images, i.file); /* so that unlocking discards it */
		return r;
	}
	if (spec->digest)
		record_set(i.doc, i.rec, image_fields, "digest",
			   json_new_string(i.doc, spec->digest));
	if (spec->metadata || is_new)
		record_set(i.doc, i.rec, image_fields, "metadata",
			   json_new_string(i.doc, spec->metadata ? spec->metadata : "{}"));
	if (is_new)
		records_add(&s->images, i.file, i.rec);
	for (size_t k = 0; spec->names && spec->names[k]; k++)
		give_name(s, &i, spec->names[k]);
	records_changed(&s->images, i.file);
	return records_save(&s->images, err);
}

PUBLIC int cstore_image_put(struct cstore *s, const struct cstore_image_spec *spec,
			    struct cstore_error *err)
{
	int r;

	if (!s)
		return err_sysr(err, -EINVAL, "put image");
	r = check_spec(spec, err);
	if (r)
		return r;
	r = layers_lock(s, LOCK_SHARED, err);
	if (r)
		return r;
	r = records_lock(&s->images, LOCK_EXCLUSIVE, err);
	if (!r) {
		r = put_locked(s, spec, err);
		records_unlock(&s->images);
	}
	records_unlock(&s->layers);
	return r ? err_ctx(err, r, "put image %s", spec->id) : 0;
}

/* ---- deleting ---- */

static bool layer_needed(struct cstore *s, const char *layer, const char *image, char *const *going)
{
	return container_uses_layer(s, layer) || image_uses_layer(s, layer, image) ||
	       layer_has_children(s, layer, going);
}

static int collect_mapped(struct cstore *s, const char *image, const struct json *rec,
			  char ***going)
{
	json_foreach(item, json_get(rec, "mapped-layers")) {
		const char *id = json_string(item);

		if (id_valid(id) && !layer_needed(s, id, image, *going) && strv_push(going, id))
			return -ENOMEM;
	}
	return 0;
}

/* From the top downwards until one that something else needs. */
static int collect_layers(struct cstore *s, const char *image, const struct json *rec,
			  char ***going)
{
	const char *at = json_get_string(rec, "layer");
	struct record *layer = NULL;

	if (collect_mapped(s, image, rec, going))
		return -ENOMEM;
	for (int depth = 0; id_valid(at) && depth <= LOWERS_MAX; depth++) {
		if (records_find(&s->layers, at, &layer))
			return -ENOMEM;
		if (!layer || record_read_only(&s->layers, layer) ||
		    layer_needed(s, at, image, *going))
			return 0;
		if (strv_push(going, at))
			return -ENOMEM;
		at = json_get_string(layer->json, "parent");
	}
	return 0;
}

static int delete_locked(struct cstore *s, const char *id, struct trash *trash,
			 struct cstore_error *err)
{
	_cleanup_strv_ char **going = NULL;
	struct record *rec = NULL;
	int r;

	if (records_find(&s->images, id, &rec))
		return err_oom(err);
	if (!rec)
		return err_set(err, CSTORE_E_NOT_FOUND, "image %s does not exist", id);
	if (record_read_only(&s->images, rec))
		return err_set(err, CSTORE_E_READ_ONLY, "image %s is in additional store %s", id,
			       s->places[record_place(&s->images, rec)].root);
	if (container_uses_image(s, id))
		return err_set(err, CSTORE_E_IN_USE, "image %s is used by a container", id);
	if (collect_layers(s, id, rec->json, &going))
		return err_oom(err);
	r = layers_begin_removal(s, going, err);
	if (r)
		return r;
	records_remove(&s->images, rec);
	r = records_save(&s->images, err);
	return r ? r : layers_remove(s, going, trash, err);
}

static int delete_with_locks(struct cstore *s, const char *id, struct cstore_error *err)
{
	_cleanup_trash_ struct trash trash = { .records = NULL }; /* emptied after the locks are released */
	_cleanup_three_ struct three_locks held = { NULL };
	int r;

	r = three_lock(s, LOCK_EXCLUSIVE, LOCK_SHARED, &held, err);
	if (r)
		return r;
	r = delete_locked(s, id, &trash, err);
	/* with the lock: an image of this id may be put again at once */
	for (int i = 0; i <= s->image_place && !r; i++) {
		_cleanup_free_ char *path = strf("%s/%s", s->places[i].images_dir, id);

		r = path ? rm_rf_at(-100, path) : -ENOMEM;
		if (r)
			r = err_sysr(err, r, "remove the data of image %s", id);
	}
	return r;
}

PUBLIC int cstore_image_delete(struct cstore *s, const char *id, struct cstore_error *err)
{
	int r;

	if (!s || !id_valid(id))
		return err_sysr(err, -EINVAL, "delete image");
	r = delete_with_locks(s, id, err);
	return r ? err_ctx(err, r, "delete image %s", id) : 0;
}
