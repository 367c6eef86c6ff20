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

static int make_data_dir(const char *images_dir, const char *id, struct cstore_error *err)
{
	_cleanup_free_ char *path = strf("%s/%s", images_dir, id);
	int r = path ? mkdir_p(path, 0700) : -ENOMEM;

	return r ? err_sysr(err, r, "make directory %s/%s", images_dir, id) : 0;
}

static int copy_data(const char *from, const char *to, const char *id, const char *key,
		     struct cstore_error *err)
{
	_cleanup_free_ char *name = NULL, *source = NULL, *target = NULL, *bytes = NULL;
	size_t len;
	int r = image_data_name(key, &name, err);

	if (r)
		return r;
	source = strf("%s/%s/%s", from, id, name);
	target = strf("%s/%s/%s", to, id, name);
	if (!source || !target)
		return err_oom(err);
	r = read_file(source, DATA_MAX, &bytes, &len);
	if (r)
		return err_sysr(err, r, "read %s", source);
	r = write_file(target, 0600, bytes, len, IO_DURABLE);
	return r ? err_sysr(err, r, "write %s", target) : 0;
}

/* An image of an additional store gets a record and data here; its layers stay where they are. */
static int pull_up(struct cstore *s, const struct record *theirs, struct own_image *ret,
		   struct cstore_error *err)
{
	const char *from = s->places[record_place(&s->images, theirs)].images_dir,
		   *to = s->places[s->image_place].images_dir;
	const struct json *keys = json_get(theirs->json, "big-data-names");
	struct json_doc *doc = records_doc(&s->images, RECORDS_STABLE);
	struct json *rec = json_copy(doc, theirs->json);
	int r = rec ? make_data_dir(to, theirs->id, err) : err_oom(err);

	for (struct json *key = keys ? keys->first : NULL; key && !r; key = key->next)
		r = copy_data(from, to, theirs->id, json_string(key) ?: "", err);
	if (r)
		return r;
	records_add(&s->images, RECORDS_STABLE, rec);
	*ret = own_in(s, RECORDS_STABLE, rec);
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
		json_append_string(i->doc, member_array(i->doc, i->rec, "names"), name);
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

static int put_blob(struct own_image *i, const char *id, const struct cstore_blob *b,
		    struct cstore_error *err)
{
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
	path = strf("%s/%s/%s", i->images_dir, id, file);
	if (!path)
		return err_oom(err);
	r = write_file(path, 0600, b->bytes, b->len, IO_DURABLE);
	if (r)
		return err_sysr(err, r, "write %s", path);
	keys = member_array(i->doc, i->rec, "big-data-names");
	json_foreach(item, keys)
		known |= json_string(item) && streq(json_string(item), b->key);
	if (!known)
		json_append_string(i->doc, keys, b->key);
	record_map_set(i->doc, member_map(i->doc, i->rec, "big-data-sizes"), b->key,
		       json_new_int(i->doc, (int64_t)b->len));
	record_map_set(i->doc, member_map(i->doc, i->rec, "big-data-digests"), b->key,
		       json_new_string(i->doc, b->digest ? b->digest : digest));
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
	if (!r && spec->data_count)
		r = make_data_dir(i.images_dir, spec->id, err);
	for (size_t k = 0; k < spec->data_count && !r; k++)
		r = put_blob(&i, spec->id, &spec->data[k], err);
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
