/* SPDX-License-Identifier: Apache-2.0 */
/* Real overlay mounts, in a mount namespace of the test's own. */
#include <sched.h>
#include <sys/mount.h>
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
	return run_suite("mount", all, 1);
}
