/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a container's record: names, metadata, data. */
#include <string.h>
#include "bigdata.h"
#include "container.h"

/* clang-format off */
static const char *const container_fields[] = {
	"id", "names", "image", "layer", "metadata", "big-data-names", "big-data-sizes",
	"big-data-digests", "created", "uidmap", "gidmap", "flags", NULL
};
/* clang-format on */

struct edit {
	const char *id, *add, *remove, *metadata; /* NULL: not to be changed */
	const struct cstore_blob *blob;
};

static int name_free(struct cstore *s, const char *name, const struct record *except,
		     struct cstore_error *err)
{
	struct record *all;
	size_t n;

	if (records_all(&s->containers, &all, &n))
		return err_oom(err);
	for (size_t i = 0; i < n; i++)
		if (&all[i] != except && record_has_name(all[i].json, name))
			return err_set(err, CSTORE_E_EXISTS, "name %s is used by container %s", name,
				       all[i].id);
	return 0;
}

static int edit_record(struct cstore *s, const struct edit *e, struct record *rec,
		       struct cstore_error *err)
{
	struct json_doc *doc = records_doc(&s->containers, rec->file);
	bool durable = rec->file != RECORDS_VOLATILE;
	int r = 0;

	if (e->add) {
		r = name_free(s, e->add, rec, err);
		if (!r && !record_has_name(rec->json, e->add))
			json_append_string(doc, record_array(doc, rec->json, container_fields, "names"),
					   e->add);
	}
	if (e->remove && !record_remove_name(rec->json, e->remove))
		return err_set(err, CSTORE_E_NOT_FOUND, "container %s has no name %s", e->id,
			       e->remove);
	if (e->metadata)
		record_set(doc, rec->json, container_fields, "metadata",
			   json_new_string(doc, e->metadata));
	if (e->blob)
		r = bigdata_put(s->containers_dir, e->id, doc, rec->json, container_fields, e->blob,
				durable, err);
	return r;
}

static int edit(struct cstore *s, const struct edit *e, struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	struct record *rec = NULL;
	int file, r;

	r = records_lock(&s->containers, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	held = &s->containers;
	if (records_find(&s->containers, e->id, &rec))
		return err_oom(err);
	if (!rec)
		return err_set(err, CSTORE_E_NOT_FOUND, "container %s does not exist", e->id);
	file = rec->file;
	r = edit_record(s, e, rec, err);
	records_changed(&s->containers, file); /* after an error too, so that unlocking discards it */
	return r ? r : records_save(&s->containers, err);
}

static int edit_checked(struct cstore *s, const struct edit *e, const char *name,
			struct cstore_error *err)
{
	int r;

	if (!s || !id_valid(e->id))
		return err_sysr(err, -EINVAL, "change container");
	if (name && !name_valid(name))
		return err_set(err, CSTORE_E_INVALID, "container %s: invalid name", e->id);
	r = edit(s, e, err);
	return r ? err_ctx(err, r, "change container %s", e->id) : 0;
}

PUBLIC int cstore_container_add_name(struct cstore *s, const char *id, const char *name,
				     struct cstore_error *err)
{
	const struct edit e = { .id = id, .add = name };

	return name ? edit_checked(s, &e, name, err) : -EINVAL;
}

PUBLIC int cstore_container_remove_name(struct cstore *s, const char *id, const char *name,
					struct cstore_error *err)
{
	const struct edit e = { .id = id, .remove = name };

	return name ? edit_checked(s, &e, name, err) : -EINVAL;
}

PUBLIC int cstore_container_set_metadata(struct cstore *s, const char *id, const char *metadata,
					 struct cstore_error *err)
{
	const struct edit e = { .id = id, .metadata = metadata };

	if (!metadata)
		return err_sysr(err, -EINVAL, "change container");
	if (strlen(metadata) > METADATA_MAX || !utf8_valid(metadata, strlen(metadata)))
		return err_set(err, CSTORE_E_INVALID, "metadata is too long or no UTF-8");
	return edit_checked(s, &e, NULL, err);
}

PUBLIC int cstore_container_put_data(struct cstore *s, const char *id,
				     const struct cstore_blob *blob, struct cstore_error *err)
{
	const struct edit e = { .id = id, .blob = blob };
	int r;

	if (!blob)
		return err_sysr(err, -EINVAL, "change container");
	r = bigdata_check(blob, err);
	return r ? r : edit_checked(s, &e, NULL, err);
}
