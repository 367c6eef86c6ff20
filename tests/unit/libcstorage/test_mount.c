/* SPDX-License-Identifier: Apache-2.0 */
/* Real overlay mounts, in a mount namespace of the test's own. */
#include <sched.h>
#include <sys/mount.h>
#include "mount.h"
#include "overlay.h"
#include "unit.h"

static struct cstore *s;

static void make_layer(const char *id, const char *parent, const char *name, const char *content)
{
	const struct layer_spec spec = { .id = id, .parent = parent };

	ok(layers_lock(s, LOCK_EXCLUSIVE, &err));
	ok(layer_create(s, &spec, &err));
	records_unlock(&s->layers);
	put(at("G/overlay/%s/diff/%s", id, name), content);
}

static void create(const char *id, const char *image, bool is_volatile)
{
	const struct cstore_container_spec spec = { .size = sizeof(spec), .id = id, .image = image, .is_volatile = is_volatile };

	ok(cstore_container_create(s, &spec, &err));
}

static void setup(void)
{
	const struct cstore_image_spec image = { .size = sizeof(image), .id = ID_A, .top_layer = ID_B };

	scratch_setup();
	s = store_open(true);
	make_layer(ID_A, NULL, "low", "low");
	make_layer(ID_B, ID_A, "high", "high");
	ok(cstore_image_put(s, &image, &err));
	create(ID_C, ID_A, true);
}

static void teardown(void)
{
	cstore_container_delete(s, ID_C, NULL);
	ok(cstore_shutdown(s, &err));
	ck_assert(!is_mount_point(at("G/overlay")));
	s = cstore_free(s);
	scratch_teardown();
}

/* The line of /proc/self/mountinfo about path; [owned], NULL when there is none. */
static char *mount_line(const char *path)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	ck_assert_int_eq(read_file("/proc/self/mountinfo", 1 << 20, &text, NULL), 0);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		_cleanup_free_ char *wanted = strf(" %s ", path);

		if (strstr(line, wanted))
			return strdup(line);
	}
	return NULL;
}

static const char *in(const char *name, const char *path)
{
	ck_assert_int_eq(strncmp(path, scratch, strlen(scratch)), 0);
	return at("%s/%s", path + strlen(scratch) + 1, name);
}

START_TEST(a_container_shows_its_layers_and_keeps_its_changes)
{
	_cleanup_free_ char *path = NULL, *low = NULL, *high = NULL, *line = NULL, *layer = NULL, *counts = NULL, *want = NULL, *again = NULL;

	ok(cstore_container_mount(s, ID_C, &path, &err));
	low = get(in("low", path));
	ck_assert_str_eq(low, "low");
	high = get(in("high", path));
	ck_assert_str_eq(high, "high");
	put(in("new", path), "new");
	ok(container_layer(s, ID_C, &layer, &err));
	ck_assert(exists(at("G/overlay/%s/diff/new", layer)));
	ck_assert(!exists(at("G/overlay/" ID_B "/diff/new")));
	line = mount_line(path);
	ck_assert_ptr_nonnull(line);
	ck_assert_ptr_nonnull(strstr(line, "volatile"));
	counts = get(at("R/overlay-layers/mountpoints.json"));
	want = strf("[{\"id\":\"%s\",\"path\":\"%s\",\"count\":1}]", layer, path);
	ck_assert_str_eq(counts, want);
	ok(cstore_container_unmount(s, ID_C, 0, &err));
	ck_assert(!is_mount_point(path));
	/* and once more: the mark of the volatile mount does not keep it from being mounted */
	ck_assert(exists(at("G/overlay/%s/work/work/incompat/volatile", layer)));
	ok(cstore_container_mount(s, ID_C, &again, &err));
	ck_assert(exists(in("new", again)));
}
END_TEST

START_TEST(users_are_counted_and_the_last_unmounts)
{
	_cleanup_free_ char *path = NULL, *again = NULL, *text = NULL;

	ok(cstore_container_mount(s, ID_C, &path, &err));
	ok(cstore_container_mount(s, ID_C, &again, &err));
	ck_assert_str_eq(path, again);
	fails(cstore_shutdown(s, &err), CSTORE_E_IN_USE);
	ok(cstore_container_unmount(s, ID_C, 0, &err));
	ck_assert(is_mount_point(path));
	ok(cstore_container_unmount(s, ID_C, 0, &err));
	ck_assert(!is_mount_point(path));
	text = get(at("R/overlay-layers/mountpoints.json"));
	ck_assert_str_eq(text, "[]");
	ok(cstore_container_unmount(s, ID_C, 0, &err));
}
END_TEST

START_TEST(force_unmounts_whatever_the_count)
{
	_cleanup_free_ char *path = NULL, *again = NULL;

	ok(cstore_container_mount(s, ID_C, &path, &err));
	ok(cstore_container_mount(s, ID_C, &again, &err));
	ok(cstore_container_unmount(s, ID_C, 1, &err));
	ck_assert(!is_mount_point(path));
}
END_TEST

START_TEST(a_count_without_a_mount_is_none)
{
	_cleanup_free_ char *path = NULL, *again = NULL, *text = NULL;

	ok(cstore_container_mount(s, ID_C, &path, &err));
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
	ok(cstore_container_mount(s, ID_C, &again, &err));
	ck_assert(is_mount_point(path));
	text = get(at("R/overlay-layers/mountpoints.json"));
	ck_assert_ptr_nonnull(strstr(text, "\"count\":1}"));
}
END_TEST

START_TEST(deleting_unmounts)
{
	_cleanup_free_ char *path = NULL, *layer = NULL;

	ok(container_layer(s, ID_C, &layer, &err));
	ok(cstore_container_mount(s, ID_C, &path, &err));
	ok(cstore_container_delete(s, ID_C, &err));
	ck_assert(!exists(at("G/overlay/%s", layer)));
	ck_assert_uint_eq(count_entries(at("G/overlay/tempdirs")), 0);
}
END_TEST

START_TEST(a_mounted_container_of_nobody_is_collected)
{
	_cleanup_free_ char *path = NULL, *layer = NULL;

	ok(container_layer(s, ID_C, &layer, &err));
	ok(cstore_container_mount(s, ID_C, &path, &err));
	put(at("G/overlay-layers/volatile-layers.json"), "[]");
	put(at("G/overlay-layers/layers.lock"), "somebody else");
	put(at("G/overlay-containers/volatile-containers.json"), "[]");
	put(at("G/overlay-containers/containers.lock"), "somebody else");
	ok(cstore_collect_garbage(s, &err));
	ck_assert(!exists(at("G/overlay/%s", layer)));
}
END_TEST

START_TEST(the_home_is_mounted_on_itself_and_private)
{
	_cleanup_free_ char *line = mount_line(at("G/overlay"));

	ck_assert_ptr_nonnull(line);
	ck_assert_ptr_null(strstr(line, "shared:"));
	/* another opening adds no second mount */
	struct cstore *other = store_open(true);

	cstore_free(other);
	ck_assert_int_eq(umount2(at("G/overlay"), UMOUNT_NOFOLLOW), 0);
	ck_assert(!is_mount_point(at("G/overlay")));
	/* somebody took it away: mounting a container brings it back */
	_cleanup_free_ char *path = NULL;

	ok(cstore_container_mount(s, ID_C, &path, &err));
	ck_assert(is_mount_point(at("G/overlay")));
}
END_TEST

START_TEST(more_layers_than_one_page_of_options_names)
{
	const struct cstore_image_spec image = { .size = sizeof(image), .id = ID_D, .top_layer = NULL };
	struct cstore_image_spec deep = image;
	char parent[ID_LEN + 1] = ID_B, id[ID_LEN + 1], cwd[4096], now[4096];
	_cleanup_free_ char *path = NULL, *low = NULL, *top = NULL;

	for (unsigned i = 0; i < 150; i++) {
		snprintf(id, sizeof(id), "%064x", i + 1);
		make_layer(id, parent, "f", id);
		memcpy(parent, id, sizeof(id));
	}
	deep.top_layer = parent;
	ok(cstore_image_put(s, &deep, &err));
	ok(cstore_container_delete(s, ID_C, &err));
	create(ID_C, ID_D, true);
	ck_assert_ptr_nonnull(getcwd(cwd, sizeof(cwd)));
	ok(cstore_container_mount(s, ID_C, &path, &err));
	ck_assert_ptr_nonnull(getcwd(now, sizeof(now)));
	ck_assert_str_eq(cwd, now);
	low = get(in("low", path));
	top = get(in("f", path));
	ck_assert_str_eq(top, parent);
}
END_TEST

START_TEST(links_lost_in_a_power_failure_are_made_again)
{
	_cleanup_free_ char *path = NULL, *low = NULL;

	ck_assert_int_eq(rm_rf_at(AT_FDCWD, at("G/overlay/l")), 0);
	ck_assert_int_eq(mkdir(at("G/overlay/l"), 0755), 0);
	ok(cstore_container_mount(s, ID_C, &path, &err));
	low = get(in("low", path));
	ck_assert_uint_eq(count_entries(at("G/overlay/l")), 3);
}
END_TEST

START_TEST(damaged_lower_files_are_refused)
{
	_cleanup_free_ char *layer = NULL, *saved = NULL;
	static const char *const bad[] = { "l/../../../etc", "/etc", "l/ABC", "x:y", "l/AAAAAAAAAAAAAAAAAAAAAAAAAA/.." };
	char *path = NULL;

	ok(container_layer(s, ID_C, &layer, &err));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(at("G/overlay/%s/lower", layer), bad[i]);
		fails(cstore_container_mount(s, ID_C, &path, &err), CSTORE_E_DAMAGED);
	}
	saved = get(at("R/overlay-layers/mountpoints.json"));
	ck_assert_str_eq(saved, "[]");
}
END_TEST

START_TEST(mount_options_of_the_configuration_are_used)
{
	_cleanup_free_ char *path = NULL, *line = NULL;

	free(s->mountopt);
	s->mountopt = strdup("nodev,nosuid,xino=off");
	ok(cstore_container_mount(s, ID_C, &path, &err));
	line = mount_line(path);
	ck_assert_ptr_nonnull(strstr(line, "nodev"));
	ck_assert_ptr_nonnull(strstr(line, "nosuid"));
}
END_TEST

START_TEST(five_hundred_layers_are_mounted_and_no_more)
{
	struct cstore_image_spec deep = { .size = sizeof(deep), .id = ID_D };
	char parent[ID_LEN + 1] = ID_B, id[ID_LEN + 1];
	_cleanup_free_ char *path = NULL, *low = NULL, *fallback = NULL;
	const struct layer_spec too_many = { .id = ID_D, .parent = parent };
	struct mount_plan p = { .lowers = NULL };

	s->layers.durable = false; /* 500 times a sync takes its time */
	for (unsigned i = 2; i < LOWERS_MAX; i++) {
		snprintf(id, sizeof(id), "%064x", i);
		make_layer(id, parent, "f", id);
		memcpy(parent, id, sizeof(id));
	}
	deep.top_layer = parent;
	ok(cstore_image_put(s, &deep, &err));
	ok(cstore_container_delete(s, ID_C, &err));
	create(ID_C, ID_D, false);
	ok(cstore_container_mount(s, ID_C, &path, &err));
	low = get(in("low", path));
	ck_assert_str_eq(low, "low");
	/* the same without "lowerdir+": by descriptor numbers */
	ok(overlay_lowers(s, parent, &p.lowers, &err));
	ck_assert_uint_eq(strv_len(p.lowers), LOWERS_MAX - 1);
	ck_assert_int_eq(mkdir(at("by-numbers"), 0700), 0);
	ck_assert_int_eq(mount_by_string(&p, at("by-numbers")), 0);
	fallback = get(at("by-numbers/low"));
	ck_assert_str_eq(fallback, "low");
	ck_assert_int_eq(umount2(at("by-numbers"), 0), 0);
	mount_plan_done(&p);
	ok(layers_lock(s, LOCK_EXCLUSIVE, &err));
	ok(layer_create(s, &too_many, &err)); /* 500 below it */
	records_unlock(&s->layers);
	memcpy(parent, ID_D, sizeof(parent));
	ok(layers_lock(s, LOCK_EXCLUSIVE, &err));
	fails(layer_create(s, &(struct layer_spec){ .id = ID_C, .parent = ID_D }, &err), CSTORE_E_LIMIT);
	records_unlock(&s->layers);
}
END_TEST

START_TEST(strings_are_the_way_of_older_kernels)
{
	struct mount_plan p = { .lowers = NULL };
	_cleanup_free_ char *low = NULL;

	ck_assert_int_eq(mkdir(at("m"), 0700), 0);
	ok(overlay_lowers(s, ID_B, &p.lowers, &err));
	ok(strv_push(&p.lowers, at("G/overlay/" ID_B "/diff")));
	ok(mount_plan_option(&p, "nodev"));
	ok(mount_plan_option(&p, "index=off"));
	ck_assert_int_eq(mount_by_string(&p, at("m")), 0);
	low = mount_line(at("m"));
	ck_assert_ptr_nonnull(strstr(low, "nodev"));
	ck_assert_int_eq(umount2(at("m"), 0), 0);
	ok(strv_push(&p.lowers, "/with:colon"));
	ck_assert_int_eq(mount_by_string(&p, at("m")), -EINVAL);
	mount_plan_done(&p);
}
END_TEST

START_TEST(an_image_is_mounted_read_only)
{
	static const char *const options[] = { "nodev", "noexec", NULL };
	const struct cstore_mount_options o = { .size = sizeof(o), .read_only = 1, .options = options };
	_cleanup_free_ char *path = NULL, *base = NULL, *line = NULL, *high = NULL;
	struct cstore_layer *l = NULL;

	ok(cstore_layer_mount(s, ID_B, &o, &path, &err));
	high = get(in("high", path));
	ck_assert_str_eq(high, "high");
	ck_assert_int_eq(open(in("high", path), O_WRONLY | O_CLOEXEC), -1);
	ck_assert_int_eq(errno, EROFS);
	line = mount_line(path);
	ck_assert_ptr_nonnull(strstr(line, "nodev"));
	ck_assert_ptr_nonnull(strstr(line, "noexec"));
	ok(cstore_layer_mount(s, ID_A, &o, &base, &err)); /* nothing is below it */
	ck_assert(exists(in("low", base)));
	ok(cstore_layer_lookup(s, ID_B, &l, &err));
	ck_assert_int_eq(cstore_layer_mount_count(l), 1);
	cstore_layer_free(l);
	ok(cstore_layer_unmount(s, ID_B, 0, &err));
	ok(cstore_layer_unmount(s, ID_A, 0, &err));
	ck_assert(!is_mount_point(path) && !is_mount_point(base));
}
END_TEST

START_TEST(options_of_a_container_replace_those_of_the_store)
{
	static const char *const options[] = { "nosuid", NULL };
	const struct cstore_container_spec spec = { .size = sizeof(spec), .id = ID_D, .image = ID_A, .mount_options = options };
	_cleanup_free_ char *path = NULL, *line = NULL, *text = NULL;

	s->mountopt = strdup("nodev,metacopy=on");
	ok(cstore_container_create(s, &spec, &err));
	text = get(at("G/overlay-containers/containers.json"));
	ck_assert_ptr_nonnull(strstr(text, "\"flags\":{\"MountLabel\":\"\",\"MountOpts\":[\"nosuid\"],\"ProcessLabel\":\"\"}"));
	ok(cstore_container_mount(s, ID_D, &path, &err));
	line = mount_line(path);
	ck_assert_ptr_nonnull(strstr(line, "nosuid"));
	ck_assert_ptr_null(strstr(line, "nodev"));
	ck_assert_ptr_nonnull(strstr(line, "metacopy=on"));
	ok(cstore_container_delete(s, ID_D, &err));
}
END_TEST

START_TEST(a_refusal_says_what_the_kernel_said)
{
	char *path = NULL;

	s->mountopt = strdup("nonsense=1");
	fails(cstore_container_mount(s, ID_C, &path, &err), -EINVAL);
	says("nonsense");
}
END_TEST

/* Root of the namespace owns the image's files, which nobody has copied or changed. */
START_TEST(a_container_in_a_user_namespace_sees_its_own_ids)
{
	const struct cstore_id_range map = { 0, 100000, 65536 }, bad[] = { { 0, 100000, 10 }, { 5, 200000, 10 } };
	struct cstore_container_spec spec = { .size = sizeof(spec), .id = ID_D, .image = ID_A, .uid_map = &map, .gid_map = &map, .uid_map_count = 1, .gid_map_count = 1 };
	const struct cstore_id_range *got;
	struct cstore_container *c = NULL;
	_cleanup_free_ char *path = NULL, *text = NULL, *layers = NULL, *layer = NULL;
	struct stat st;
	int r;

	ck_assert_int_eq(chown(at("G/overlay/" ID_B "/diff/high"), 7, 8), 0);
	ok(cstore_container_create(s, &spec, &err));
	text = get(at("G/overlay-containers/containers.json"));
	ck_assert_ptr_nonnull(strstr(text, "\"uidmap\":[{\"container_id\":0,\"host_id\":100000,\"size\":65536}],\"gidmap\":[{"));
	layers = get(at("G/overlay-layers/layers.json"));
	ck_assert_ptr_null(strstr(layers, "uidmap"));
	ok(container_layer(s, ID_D, &layer, &err));
	ck_assert_int_eq(stat(at("G/overlay/%s/diff", layer), &st), 0);
	ck_assert_uint_eq(st.st_uid, 100000);
	ok(cstore_container_lookup(s, ID_D, &c, &err));
	ck_assert_uint_eq(cstore_container_uid_map(c, &got), 1);
	ck_assert_uint_eq(got[0].host_id, 100000);
	cstore_container_free(c);
	r = cstore_container_mount(s, ID_D, &path, &err);
	if (r != -EOPNOTSUPP) { /* the file system of the scratch directory may have no id-mapped mounts */
		ok(r);
		ck_assert_int_eq(stat(in("high", path), &st), 0);
		ck_assert_uint_eq(st.st_uid, 100007);
		ck_assert_uint_eq(st.st_gid, 100008);
		ck_assert_int_eq(stat(in("low", path), &st), 0);
		ck_assert_uint_eq(st.st_uid, 100000);
		ck_assert_int_eq(stat(at("G/overlay/" ID_B "/diff/high"), &st), 0);
		ck_assert_uint_eq(st.st_uid, 7);
		ck_assert(!exists(at("G/overlay/%s/mapped", layer)));
	}
	ok(cstore_container_delete(s, ID_D, &err));
	spec.uid_map = bad;
	spec.uid_map_count = 2;
	fails(cstore_container_create(s, &spec, &err), CSTORE_E_INVALID);
	says("overlap");
	spec.uid_map_count = 0;
	fails(cstore_container_create(s, &spec, &err), CSTORE_E_INVALID);
}
END_TEST

START_TEST(a_store_with_force_mask_is_read_and_not_mounted)
{
	const struct cstore_container_spec spec = { .size = sizeof(spec), .id = ID_D, .image = ID_A };
	struct cstore_layer *l = NULL;
	char *path = NULL;

	s->force_mask = true;
	ok(cstore_layer_lookup(s, ID_B, &l, &err));
	cstore_layer_free(l);
	fails(cstore_container_mount(s, ID_C, &path, &err), -EOPNOTSUPP);
	fails(cstore_container_create(s, &spec, &err), -EOPNOTSUPP);
	s->force_mask = false;
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("mount"), *all[] = { t };

	need_root("overlay mounts");
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
		puts("needs a mount namespace");
		return 77;
	}
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_container_shows_its_layers_and_keeps_its_changes);
	tcase_add_test(t, users_are_counted_and_the_last_unmounts);
	tcase_add_test(t, force_unmounts_whatever_the_count);
	tcase_add_test(t, a_count_without_a_mount_is_none);
	tcase_add_test(t, deleting_unmounts);
	tcase_add_test(t, a_mounted_container_of_nobody_is_collected);
	tcase_add_test(t, the_home_is_mounted_on_itself_and_private);
	tcase_add_test(t, more_layers_than_one_page_of_options_names);
	tcase_add_test(t, links_lost_in_a_power_failure_are_made_again);
	tcase_add_test(t, damaged_lower_files_are_refused);
	tcase_add_test(t, mount_options_of_the_configuration_are_used);
	tcase_add_test(t, five_hundred_layers_are_mounted_and_no_more);
	tcase_add_test(t, strings_are_the_way_of_older_kernels);
	tcase_add_test(t, an_image_is_mounted_read_only);
	tcase_add_test(t, options_of_a_container_replace_those_of_the_store);
	tcase_add_test(t, a_refusal_says_what_the_kernel_said);
	tcase_add_test(t, a_container_in_a_user_namespace_sees_its_own_ids);
	tcase_add_test(t, a_store_with_force_mask_is_read_and_not_mounted);
	return run_suite("mount", all, 1);
}
