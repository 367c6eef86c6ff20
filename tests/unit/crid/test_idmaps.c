/* SPDX-License-Identifier: Apache-2.0 */
/* Maps of a user namespace: which requests make sense, the ids outside, and config.json. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <crisvc-cri.h>
#include <cbase/str.h>
#include "errors.h"
#include "idmaps.h"
#include "unit.h"

static struct cb_error error;
static struct arena arena;
static struct config config = { .minimum_mappable_uid = -1, .minimum_mappable_gid = -1 };

/* What a request with these ranges, both for uids and gids, gives. */
static int ask(int mode, const uint32_t (*ranges)[3], size_t n, struct id_maps *ret)
{
	Runtime__V1__UserNamespace u = RUNTIME__V1__USER_NAMESPACE__INIT;
	Runtime__V1__IDMapping m[3], *list[3];

	for (size_t i = 0; i < n; i++) {
		runtime__v1__idmapping__init(&m[i]);
		m[i].container_id = ranges[i][0];
		m[i].host_id = ranges[i][1];
		m[i].length = ranges[i][2];
		list[i] = &m[i];
	}
	u.mode = (Runtime__V1__NamespaceMode)mode;
	u.uids = u.gids = list;
	u.n_uids = u.n_gids = n;
	return id_maps_from_cri(&arena, &u, &config, ret, &error);
}

START_TEST(nothing_asked_for_is_no_map)
{
	struct id_maps m = { .n_uids = 7 };
	uint32_t id = 0;

	ck_assert_int_eq(id_maps_from_cri(&arena, NULL, &config, &m, &error), 0);
	ck_assert(!id_maps_used(&m));
	ck_assert_int_eq(ask(2, NULL, 0, &m), 0);
	ck_assert(!id_maps_used(&m));
	ck_assert(id_maps_uid(&m, 4294967294u, &id));
	ck_assert_uint_eq(id, 4294967294u);
}
END_TEST

START_TEST(one_range_with_root_is_a_map)
{
	static const uint32_t good[][3] = { { 0, 1000, 100000 } }, most[][3] = { { 0, 4294967294u, 1 } };
	struct id_maps m, other;
	uint32_t uid = 0, gid = 0;

	ck_assert_int_eq(ask(0, good, 1, &m), 0);
	ck_assert(id_maps_used(&m));
	id_maps_root(&m, &uid, &gid);
	ck_assert_uint_eq(uid, 1000);
	ck_assert_uint_eq(gid, 1000);
	ck_assert(id_maps_gid(&m, 99999, &gid));
	ck_assert_uint_eq(gid, 100999);
	ck_assert(!id_maps_uid(&m, 100000, &uid));
	ck_assert_uint_eq(id_maps_last_gid(&m), 99999);
	ck_assert_int_eq(ask(0, most, 1, &other), 0);
	ck_assert(!id_maps_equal(&m, &other));
	ck_assert(id_maps_equal(&m, &m));
}
END_TEST

START_TEST(requests_that_make_no_sense_are_invalid)
{
	static const uint32_t bad[][3] = { { 1, 1000, 100 }, { 0, 1000, 0 }, { 0, 4294967295u, 1 }, { 0, 4294967000u, 296 } };
	static const uint32_t two[][3] = { { 0, 1000, 10 }, { 10, 2000, 10 } };
	struct id_maps m;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(ask(0, &bad[i], 1, &m) == E_INVALID, "%zu", i);
	ck_assert_int_eq(ask(0, two, 2, &m), E_INVALID);
	ck_assert_int_eq(ask(0, NULL, 0, &m), E_INVALID);
	ck_assert_int_eq(ask(1, two, 1, &m), E_INVALID);
	ck_assert_int_eq(ask(2, two, 1, &m), E_INVALID);
	ck_assert_int_eq(ask(3, two, 1, &m), E_INVALID);
	ck_assert_int_eq(ask(-1, two, 1, &m), E_INVALID);
	config.minimum_mappable_gid = 1001;
	ck_assert_int_eq(ask(0, two, 1, &m), E_INVALID);
	config.minimum_mappable_gid = 1000;
	ck_assert_int_eq(ask(0, two, 1, &m), 0);
	config.minimum_mappable_gid = -1;
}
END_TEST

START_TEST(document_keeps_them)
{
	struct cstore_id_range uids[] = { { 0, 100000, 1000 }, { 1000, 1000, 1 } }, gids[] = { { 0, 200000, 65536 } };
	struct id_maps in = { uids, gids, 2, 1 }, out = { 0 };
	struct ocispec *s = NULL;

	ck_assert_int_eq(ocispec_new(&s), 0);
	ck_assert_int_eq(id_maps_from_spec(&arena, s, &out), 0);
	ck_assert(!id_maps_used(&out));
	ck_assert_int_eq(id_maps_to_spec(&in, s), 0);
	ck_assert_int_eq(id_maps_from_spec(&arena, s, &out), 0);
	ck_assert(id_maps_equal(&in, &out));
	ck_assert_int_eq(ocispec_unset(s, "linux.gidMappings"), 0);
	ck_assert_int_eq(id_maps_from_spec(&arena, s, &out), E_INVALID);
	ocispec_free(s);
}
END_TEST

START_TEST(path_becomes_passable)
{
	char base[] = "/tmp/crid-idmaps-XXXXXX", inner[64], file[80];
	struct stat st;

	ck_assert_ptr_nonnull(mkdtemp(base));
	snprintf(inner, sizeof(inner), "%s/a", base);
	snprintf(file, sizeof(file), "%s/f", inner);
	ck_assert_int_eq(mkdir(inner, 0750), 0);
	ck_assert_int_eq(id_maps_open_path(file, &error), -ENOENT);
	fclose(fopen(file, "w"));
	chmod(file, 0600);
	ck_assert_int_eq(id_maps_open_path(file, &error), 0);
	stat(base, &st);
	ck_assert_uint_eq(st.st_mode & 07777, 0711);
	stat(inner, &st);
	ck_assert_uint_eq(st.st_mode & 07777, 0751);
	stat(file, &st);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	unlink(file);
	rmdir(inner);
	rmdir(base);
}
END_TEST

UNIT_MAIN("idmaps", nothing_asked_for_is_no_map, one_range_with_root_is_a_map, requests_that_make_no_sense_are_invalid,
	  document_keeps_them, path_becomes_passable)
