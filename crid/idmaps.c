/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See idmaps.h. Requests bring exactly one range, as the kubelet does and CRI says; records may have
 * more, because CRI-O can make such pods from annotations.
 */
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <crisvc-cri.h>
#include <cbase/json.h>
#include <cbase/str.h>
#include "errors.h"
#include "idmaps.h"

#define RANGES_MAX 340			/* the kernel's limit */

static int check_range(const Runtime__V1__IDMapping *m, const char *what, int64_t lowest, struct cb_error *err)
{
	uint32_t end;

	if (m->container_id != 0)
		return err_set(err, E_INVALID, "user namespace: %s 0 is not mapped", what);
	/* the last id is -1 to the kernel: nobody at all */
	if (!m->length || __builtin_add_overflow(m->host_id, m->length, &end))
		return err_set(err, E_INVALID, "user namespace: %u %ss from %u on is no range of ids", m->length, what, m->host_id);
	if (lowest >= 0 && m->host_id < lowest)
		return err_set(err, E_INVALID, "user namespace: %s %u is below the lowest that may be mapped, %lld", what,
			       m->host_id, (long long)lowest);
	return 0;
}

static int one_range(struct arena *a, Runtime__V1__IDMapping *const *v, size_t n, const char *what, int64_t lowest,
		     struct cstore_id_range **ret, struct cb_error *err)
{
	struct cstore_id_range *r;
	int e;

	if (n != 1)
		return err_set(err, E_INVALID, "user namespace: %zu %s mappings, there must be one", n, what);
	e = check_range(v[0], what, lowest, err);
	if (e)
		return e;
	r = arena_alloc(a, sizeof(*r));
	if (!r)
		return err_oom(err);
	*r = (struct cstore_id_range){ .host_id = v[0]->host_id, .count = v[0]->length };
	*ret = r;
	return 0;
}

int id_maps_from_cri(struct arena *a, const struct Runtime__V1__UserNamespace *u, const struct config *c,
		     struct id_maps *ret, struct cb_error *err)
{
	struct id_maps m = { .n_uids = 1, .n_gids = 1 };
	int r;

	*ret = (struct id_maps){ 0 };
	if (!u)
		return 0;
	if (u->mode == RUNTIME__V1__NAMESPACE_MODE__NODE)
		return u->n_uids || u->n_gids ? err_set(err, E_INVALID, "user namespace: mode NODE with mappings") : 0;
	if (u->mode != RUNTIME__V1__NAMESPACE_MODE__POD)
		return err_set(err, E_INVALID, "user namespace: mode %d, there are POD and NODE", (int)u->mode);
	r = one_range(a, u->uids, u->n_uids, "uid", c->minimum_mappable_uid, &m.uids, err);
	if (!r)
		r = one_range(a, u->gids, u->n_gids, "gid", c->minimum_mappable_gid, &m.gids, err);
	if (!r)
		*ret = m;
	return r;
}

static bool ranges_equal(const struct cstore_id_range *a, size_t n, const struct cstore_id_range *b, size_t m)
{
	return n == m && (!n || !memcmp(a, b, n * sizeof(*a)));
}

bool id_maps_equal(const struct id_maps *a, const struct id_maps *b)
{
	return ranges_equal(a->uids, a->n_uids, b->uids, b->n_uids) && ranges_equal(a->gids, a->n_gids, b->gids, b->n_gids);
}

static bool outside(const struct cstore_id_range *r, size_t n, uint32_t id, uint32_t *ret)
{
	if (!n)
		*ret = id;
	for (size_t i = 0; i < n; i++) {
		if (id < r[i].container_id || id - r[i].container_id >= r[i].count)
			continue;
		*ret = r[i].host_id + (id - r[i].container_id);
		return true;
	}
	return !n;
}

bool id_maps_uid(const struct id_maps *m, uint32_t uid, uint32_t *ret)
{
	return outside(m->uids, m->n_uids, uid, ret);
}

bool id_maps_gid(const struct id_maps *m, uint32_t gid, uint32_t *ret)
{
	return outside(m->gids, m->n_gids, gid, ret);
}

void id_maps_root(const struct id_maps *m, uint32_t *ret_uid, uint32_t *ret_gid)
{
	*ret_uid = *ret_gid = 0;
	id_maps_uid(m, 0, ret_uid);
	id_maps_gid(m, 0, ret_gid);
}

uint32_t id_maps_last_gid(const struct id_maps *m)
{
	uint32_t last = m->n_gids ? 0 : UINT32_MAX - 1;

	for (size_t i = 0; i < m->n_gids; i++)
		if (m->gids[i].container_id + (m->gids[i].count - 1) > last)
			last = m->gids[i].container_id + (m->gids[i].count - 1);
	return last;
}

/* ---- config.json ---- */

int id_maps_to_spec(const struct id_maps *m, struct ocispec *s)
{
	int r = 0;

	for (size_t i = 0; !r && i < m->n_uids; i++)
		r = ocispec_add_id_mapping(s, 0, m->uids[i].container_id, m->uids[i].host_id, m->uids[i].count);
	for (size_t i = 0; !r && i < m->n_gids; i++)
		r = ocispec_add_id_mapping(s, 1, m->gids[i].container_id, m->gids[i].host_id, m->gids[i].count);
	return r;
}

static int load_ranges(struct arena *a, const struct ocispec *s, const char *path, struct cstore_id_range **ret, size_t *ret_n)
{
	_cleanup_json_ struct json_doc *d = NULL;
	_cleanup_free_ char *text = NULL;
	struct cstore_id_range *r;
	struct json *list;
	int e = ocispec_get_json(s, path, 0, &text);

	*ret_n = 0;
	if (e)
		return e == OCISPEC_E_NOT_FOUND ? 0 : e;
	if (json_parse(text, strlen(text), 0, &d, NULL))
		return -ENOMEM;		/* it was parsed once */
	list = json_root(d);
	if (list->type != JSON_ARRAY || list->count > RANGES_MAX)
		return E_INVALID;
	r = arena_alloc(a, (list->count + 1) * sizeof(*r));
	if (!r)
		return -ENOMEM;
	json_foreach(item, list)
		r[(*ret_n)++] = (struct cstore_id_range){
			.container_id = (uint32_t)json_get_int(item, "containerID", 0),
			.host_id = (uint32_t)json_get_int(item, "hostID", 0),
			.count = (uint32_t)json_get_int(item, "size", 0),
		};
	*ret = r;
	return 0;
}

int id_maps_from_spec(struct arena *a, const struct ocispec *s, struct id_maps *ret)
{
	struct id_maps m = { 0 };
	int r = load_ranges(a, s, "linux.uidMappings", &m.uids, &m.n_uids);

	if (!r)
		r = load_ranges(a, s, "linux.gidMappings", &m.gids, &m.n_gids);
	if (!r && !m.n_uids != !m.n_gids)
		r = E_INVALID;
	if (!r)
		*ret = m;
	return r;
}

/* ---- the way to files ---- */

int id_maps_open_path(const char *path, struct cb_error *err)
{
	_cleanup_free_ char *dir = strdup(path);
	struct stat st;
	char *slash;

	if (!dir)
		return err_oom(err);
	for (; *dir; *slash = '\0') {
		if (stat(dir, &st) < 0)
			return err_sys(err, "look at %s", dir);
		if (S_ISDIR(st.st_mode) && (st.st_mode & 0111) != 0111 && chmod(dir, (st.st_mode & 07777) | 0111) < 0)
			return err_sys(err, "make %s passable for a user namespace", dir);
		slash = strrchr(dir, '/');
		if (!slash)
			break;
	}
	return 0;
}
