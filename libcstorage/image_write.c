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
#include "container.h"
#include "image.h"
#include "layer.h"
#include "module.h"

#define DATA_MAX (64u << 20) /* one piece of data */
#define DATA_COUNT_MAX 4096
#define NAMES_HISTORY_MAX 1024

/* clang-format off */
static const char *const image_fields[] = {
	"id", "digest", "names", "names-history", "layer", "mapped-layers", "metadata", "big-data-names",
	"big-data-sizes", "big-data-digests", "created", "flags", NULL
};
/* clang-format on */

static bool name_valid(const char *name)
{
	size_t n = strlen(name);

	return n && n <= NAME_MAX_BYTES && utf8_valid(name, n);
}

/* ---- names ---- */

static struct json *member_array(struct json_doc *doc, struct json *rec, const char *key)
{
	struct json *v = json_get(rec, key);

	if (v && v->type == JSON_ARRAY)
		return v;
	v = json_new_array(doc);
	record_set(doc, rec, image_fields, key, v);
	return v;
}

static struct json *member_map(struct json_doc *doc, struct json *rec, const char *key)
{
	struct json *v = json_get(rec, key);

	if (v && v->type == JSON_OBJECT)
		return v;
	v = json_new_object(doc);
	record_set(doc, rec, image_fields, key, v);
	return v;
}

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
	struct json *history = member_array(doc, rec, "names-history"),
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
static void give_name(struct cstore *s, struct json *rec, const char *name)
{
	struct json_doc *doc = records_doc(&s->images, RECORDS_STABLE);

	json_foreach(other, json_root(doc))
		if (other != rec)
			record_remove_name(other, name);
	if (!record_has_name(rec, name))
		json_append_string(doc, member_array(doc, rec, "names"), name);
	remember_name(doc, rec, name);
	records_changed(&s->images, RECORDS_STABLE);
}

static int change_name(struct cstore *s, const char *id, const char *name, bool add,
		       struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	struct json *rec;
	int r;

	if (!s || !id_valid(id) || !name)
		return err_sysr(err, -EINVAL, "name an image");
	if (!name_valid(name))
		return err_set(err, CSTORE_E_INVALID, "image %s: invalid name", id);
	r = records_lock(&s->images, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	held = &s->images;
	r = image_get(s, id, &rec, err);
	if (r)
		return r;
	if (add)
		give_name(s, rec, name);
	else if (!record_remove_name(rec, name))
		return err_set(err, CSTORE_E_NOT_FOUND, "image %s has no name %s", id, name);
	records_changed(&s->images, RECORDS_STABLE);
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

static int check_blob(const struct cstore_blob *b, struct cstore_error *err)
{
	_cleanup_free_ char *file = NULL;

	if (!b->key || (!b->bytes && b->len))
		return err_sysr(err, -EINVAL, "put image data");
	if (b->len > DATA_MAX)
		return err_set(err, CSTORE_E_LIMIT, "image data %s has more than %u bytes", b->key,
			       DATA_MAX);
	return image_data_name(b->key, &file, err);
}

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
		r = check_blob(&i->data[k], err);
		if (r)
			return r;
	}
	return 0;
}

static int put_blob(struct cstore *s, struct json *rec, const char *id, const struct cstore_blob *b,
		    struct cstore_error *err)
{
	struct json_doc *doc = records_doc(&s->images, RECORDS_STABLE);
	_cleanup_free_ char *file = NULL, *path = NULL;
	char digest[MODULE_DIGEST_MAX];
	struct json *keys;
	bool known = false;
	int r;

	r = image_data_name(b->key, &file, err);
	if (r)
		return r;
	if (!b->digest) {
		r = module_sha256(b->bytes, b->len, digest, err);
		if (r)
			return r;
	}
	path = strf("%s/%s/%s", s->images_dir, id, file);
	if (!path)
		return err_oom(err);
	r = write_file(path, 0600, b->bytes, b->len, IO_DURABLE);
	if (r)
		return err_sysr(err, r, "write %s", path);
	keys = member_array(doc, rec, "big-data-names");
	json_foreach(item, keys)
		known |= json_string(item) && streq(json_string(item), b->key);
	if (!known)
		json_append_string(doc, keys, b->key);
	record_map_set(doc, member_map(doc, rec, "big-data-sizes"), b->key,
		       json_new_int(doc, (int64_t)b->len));
	record_map_set(doc, member_map(doc, rec, "big-data-digests"), b->key,
		       json_new_string(doc, b->digest ? b->digest : digest));
	return 0;
}

/* The record of that id: the existing one if it has the same top layer, or a new one that is not in the list yet. */
static int find_or_make(struct cstore *s, const struct cstore_image_spec *i, struct json **ret,
			bool *ret_new, struct cstore_error *err)
{
	struct json_doc *doc = records_doc(&s->images, RECORDS_STABLE);
	struct record *known = NULL;
	char created[TIME_MAX_LEN];
	const char *top;
	struct json *rec;

	if (records_find(&s->images, i->id, &known))
		return err_oom(err);
	*ret_new = !known;
	if (known) {
		top = json_get_string(known->json, "layer");
		if (!streq(top ? top : "", i->top_layer ? i->top_layer : ""))
			return err_set(err, CSTORE_E_EXISTS,
				       "image %s exists with another top layer", i->id);
		*ret = known->json;
		return 0;
	}
	time_format(i->created, created);
	rec = json_new_object(doc);
	json_set_string(doc, rec, "id", i->id);
	if (i->top_layer)
		json_set_string(doc, rec, "layer", i->top_layer);
	json_set_string(doc, rec, "created", created);
	*ret = rec;
	return 0;
}

static int make_data_dir(struct cstore *s, const char *id, struct cstore_error *err)
{
	_cleanup_free_ char *path = strf("%s/%s", s->images_dir, id);
	int r = path ? mkdir_p(path, 0700) : -ENOMEM;

	return r ? err_sysr(err, r, "make directory %s/%s", s->images_dir, id) : 0;
}

static int put_locked(struct cstore *s, const struct cstore_image_spec *i, struct cstore_error *err)
{
	struct json_doc *doc = records_doc(&s->images, RECORDS_STABLE);
	struct json *rec = NULL, *layer;
	bool is_new = false;
	int r;

	r = i->top_layer ? layer_get(s, i->top_layer, &layer, err) : 0;
	if (!r)
		r = find_or_make(s, i, &rec, &is_new, err);
	if (!r && i->data_count)
		r = make_data_dir(s, i->id, err);
	for (size_t k = 0; k < i->data_count && !r; k++)
		r = put_blob(s, rec, i->id, &i->data[k], err);
	if (r) {
		records_changed(&s->images, RECORDS_STABLE); /* so that unlocking discards it */
		return r;
	}
	if (i->digest)
		record_set(doc, rec, image_fields, "digest", json_new_string(doc, i->digest));
	if (i->metadata || is_new)
		record_set(doc, rec, image_fields, "metadata",
			   json_new_string(doc, i->metadata ? i->metadata : "{}"));
	if (is_new)
		records_add(&s->images, RECORDS_STABLE, rec);
	for (size_t k = 0; i->names && i->names[k]; k++)
		give_name(s, rec, i->names[k]);
	records_changed(&s->images, RECORDS_STABLE);
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
		if (!layer || layer_needed(s, at, image, *going))
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
	_cleanup_trash_ struct trash trash = { NULL }; /* emptied after the locks are released */
	_cleanup_unlock_ struct records *layers = NULL, *images = NULL, *containers = NULL;
	int r;

	r = layers_lock(s, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	layers = &s->layers;
	r = records_lock(&s->images, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	images = &s->images;
	r = records_lock(&s->containers, LOCK_SHARED, err);
	if (r)
		return r;
	containers = &s->containers;
	r = delete_locked(s, id, &trash, err);
	if (r)
		return r;
	/* with the lock: an image of this id may be put again at once */
	_cleanup_free_ char *path = strf("%s/%s", s->images_dir, id);

	r = path ? rm_rf_at(-100, path) : -ENOMEM;
	return r ? err_sysr(err, r, "remove the data of image %s", id) : 0;
}

PUBLIC int cstore_image_delete(struct cstore *s, const char *id, struct cstore_error *err)
{
	int r;

	if (!s || !id_valid(id))
		return err_sysr(err, -EINVAL, "delete image");
	r = delete_with_locks(s, id, err);
	return r ? err_ctx(err, r, "delete image %s", id) : 0;
}
