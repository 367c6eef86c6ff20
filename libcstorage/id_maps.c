/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of a user namespace: [{"container_id":0,"host_id":100000,"size":65536}]. A map that the kernel would
 * refuse is refused when the container is created, not when it is mounted.
 */
#include <string.h>
#include "id_maps.h"

struct id_maps *id_maps_free(struct id_maps *m)
{
	if (!m)
		return NULL;
	free(m->uids);
	free(m->gids);
	free(m);
	return NULL;
}
CB_DEFINE_CLEANUP(struct id_maps *, id_maps_free)

static bool overlap(uint32_t a, uint32_t b, uint32_t a_count, uint32_t b_count)
{
	return a < b ? b - a < a_count : a - b < b_count;
}

static bool ranges_valid(const struct id_range *r, size_t n)
{
	if (!n || n > ID_RANGES_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint32_t end;

		if (!r[i].count || __builtin_add_overflow(r[i].inside, r[i].count - 1, &end) ||
		    __builtin_add_overflow(r[i].outside, r[i].count - 1, &end))
			return false;
		for (size_t k = 0; k < i; k++)
			if (overlap(r[i].inside, r[k].inside, r[i].count, r[k].count) ||
			    overlap(r[i].outside, r[k].outside, r[i].count, r[k].count))
				return false;
	}
	return true;
}

static int load_ranges(const struct json *v, struct id_range **ret, size_t *ret_count)
{
	_cleanup_free_ struct id_range *r = NULL;
	size_t n = 0;

	if (!v || v->type != JSON_ARRAY || v->count > ID_RANGES_MAX)
		return -EINVAL;
	r = calloc(v->count + 1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	json_foreach(item, v) {
		int64_t in = json_get_int(item, "container_id", -1),
			out = json_get_int(item, "host_id", -1),
			count = json_get_int(item, "size", -1);

		if (in < 0 || out < 0 || count < 0 || in > UINT32_MAX || out > UINT32_MAX ||
		    count > UINT32_MAX)
			return -EINVAL;
		r[n++] = (struct id_range){ (uint32_t)in, (uint32_t)out, (uint32_t)count };
	}
	if (!ranges_valid(r, n))
		return -EINVAL;
	*ret = take(r);
	*ret_count = n;
	return 0;
}

int id_maps_load(const struct json *rec, struct id_maps **ret, struct cstore_error *err)
{
	_cleanup_(id_maps_freep) struct id_maps *m = NULL;
	int r;

	if (!json_get(rec, "uidmap") && !json_get(rec, "gidmap"))
		return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return err_oom(err);
	r = load_ranges(json_get(rec, "uidmap"), &m->uids, &m->uid_count);
	if (!r)
		r = load_ranges(json_get(rec, "gidmap"), &m->gids, &m->gid_count);
	if (r == -EINVAL)
		return err_set(err, CSTORE_E_DAMAGED, "%s has id maps that cannot be used",
			       json_get_string(rec, "id") ?: "a record");
	if (r)
		return err_oom(err);
	*ret = take(m);
	return 0;
}

static int copy_ranges(const struct cstore_id_range *from, size_t n, struct id_range **ret,
		       size_t *ret_count)
{
	struct id_range *r = calloc(n + 1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		r[i] = (struct id_range){ from[i].container_id, from[i].host_id, from[i].count };
	*ret = r;
	*ret_count = n;
	return ranges_valid(r, n) ? 0 : -EINVAL;
}

int id_maps_new(const struct cstore_id_range *uids, size_t uid_count,
		const struct cstore_id_range *gids, size_t gid_count, struct id_maps **ret,
		struct cstore_error *err)
{
	_cleanup_(id_maps_freep) struct id_maps *m = NULL;
	int r;

	if (!uid_count && !gid_count)
		return 0;
	if (uid_count > ID_RANGES_MAX || gid_count > ID_RANGES_MAX)
		return err_set(err, CSTORE_E_INVALID, "more than %d ranges of ids", ID_RANGES_MAX);
	m = calloc(1, sizeof(*m));
	if (!m)
		return err_oom(err);
	r = copy_ranges(uids, uid_count, &m->uids, &m->uid_count);
	if (!r)
		r = copy_ranges(gids, gid_count, &m->gids, &m->gid_count);
	if (r == -EINVAL)
		return err_set(err, CSTORE_E_INVALID,
			       "ranges of ids are empty, overlap, or go beyond 32 bits");
	if (r)
		return err_oom(err);
	*ret = take(m);
	return 0;
}

static void save_ranges(const struct id_range *r, size_t n, struct json_doc *doc, struct json *array)
{
	for (size_t i = 0; i < n; i++) {
		struct json *item = json_new_object(doc);

		json_set_int(doc, item, "container_id", r[i].inside);
		json_set_int(doc, item, "host_id", r[i].outside);
		json_set_int(doc, item, "size", r[i].count);
		json_append(doc, array, item);
	}
}

void id_maps_save(const struct id_maps *m, struct json_doc *doc, struct json *rec)
{
	save_ranges(m->uids, m->uid_count, doc, json_set_array(doc, rec, "uidmap"));
	save_ranges(m->gids, m->gid_count, doc, json_set_array(doc, rec, "gidmap"));
}
