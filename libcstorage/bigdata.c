/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Big data of images and containers. The file is written before the record that lists it is saved, so a
 * record never promises what is not there.
 */
#include <string.h>
#include "bigdata.h"
#include "image.h"
#include "module.h"

int bigdata_check(const struct cstore_blob *b, struct cstore_error *err)
{
	_cleanup_free_ char *file = NULL;

	if (!b->key || (!b->bytes && b->len))
		return err_sysr(err, -EINVAL, "put data");
	if (b->len > BIGDATA_MAX)
		return err_set(err, CSTORE_E_LIMIT, "data %s has more than %u bytes", b->key,
			       BIGDATA_MAX);
	return image_data_name(b->key, &file, err);
}

static int write_blob(const char *dir, const char *id, const struct cstore_blob *b, bool durable,
		      struct cstore_error *err)
{
	_cleanup_free_ char *name = NULL, *own = strf("%s/%s", dir, id), *path = NULL;
	int r = image_data_name(b->key, &name, err);

	if (r)
		return r;
	path = own ? strf("%s/%s", own, name) : NULL;
	if (!path)
		return err_oom(err);
	r = mkdir_p(own, 0700);
	if (r)
		return err_sysr(err, r, "make directory %s", own);
	r = write_file(path, 0600, b->bytes, b->len, durable ? IO_DURABLE : 0);
	return r ? err_sysr(err, r, "write %s", path) : 0;
}

int bigdata_put(const char *dir, const char *id, struct json_doc *doc, struct json *rec,
		const char *const *fields, const struct cstore_blob *b, bool durable,
		struct cstore_error *err)
{
	char digest[MODULE_DIGEST_MAX];
	struct json *keys;
	bool known = false;
	int r;

	r = b->digest ? 0 : module_sha256(b->bytes, b->len, digest, err);
	if (!r)
		r = write_blob(dir, id, b, durable, err);
	if (r)
		return r;
	keys = record_array(doc, rec, fields, "big-data-names");
	json_foreach(item, keys)
		known |= json_string(item) && streq(json_string(item), b->key);
	if (!known)
		json_append_string(doc, keys, b->key);
	record_map_set(doc, record_map(doc, rec, fields, "big-data-sizes"), b->key,
		       json_new_int(doc, (int64_t)b->len));
	record_map_set(doc, record_map(doc, rec, fields, "big-data-digests"), b->key,
		       json_new_string(doc, b->digest ? b->digest : digest));
	return 0;
}

int bigdata_get(const char *dir, const char *id, const char *key, size_t limit, char **ret,
		size_t *ret_len, struct cstore_error *err)
{
	_cleanup_free_ char *name = NULL, *path = NULL;
	int r = image_data_name(key, &name, err);

	if (r)
		return r;
	path = strf("%s/%s/%s", dir, id, name);
	if (!path)
		return err_oom(err);
	r = read_file(path, limit, ret, ret_len);
	if (r == -ENOENT)
		return err_set(err, CSTORE_E_NOT_FOUND, "%s has no data named %s", id, key);
	if (r == -EFBIG)
		return err_set(err, CSTORE_E_LIMIT, "%s: data %s has more than %zu bytes", id, key,
			       limit);
	return r ? err_sysr(err, r, "read %s", path) : 0;
}
