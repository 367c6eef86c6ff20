/* SPDX-License-Identifier: Apache-2.0 */
/* Garbage collection, temporary directories, disk usage. */
#include "unit.h"
#include "usage.h"

static void make_tree(const char *path)
{
	ck_assert_int_eq(mkdir_p(at("%s/deep/er", path), 0700), 0);
	put(at("%s/deep/er/file", path), "x");
}

START_TEST(directories_without_a_record_go_and_those_with_one_stay)
{
	const struct layer_spec layer = { .id = ID_B };
	const struct cstore_image_spec image = { .size = sizeof(image), .id = ID_A, .top_layer = ID_B };
	const struct cstore_container_spec c = { .size = sizeof(c), .id = ID_C, .image = ID_A, .is_volatile = 1 };
	_cleanup_free_ char *dir = NULL, *run = NULL;

	ok(layers_lock(store, LOCK_EXCLUSIVE, &err));
	ok(layer_create(store, &layer, &err));
	records_unlock(&store->layers);
	ok(cstore_image_put(store, &image, &err));
	ok(cstore_container_create(store, &c, &err));
	ok(cstore_container_dir(store, ID_C, &dir, &err));
	ok(cstore_container_run_dir(store, ID_C, &run, &err));
	make_tree("G/overlay/" ID_D);
	put(at("G/overlay/" ID_D "/link"), "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	ck_assert_int_eq(symlink("../" ID_D "/diff", at("G/overlay/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ")), 0);
	ck_assert_int_eq(symlink("../" ID_A "/diff", at("G/overlay/l/ZZZZZZZZZZZZZZZZZZZZZZZZZZ")), 0);
	put(at("G/overlay-layers/" ID_D ".tar-split.gz"), "x");
	put(at("G/overlay-layers/" ID_A ".tar-split.gz"), "x");
	put(at("G/overlay-layers/" ID_B ".tar-split.gz"), "x");
	make_tree("G/overlay-layers/" ID_D);
	make_tree("G/overlay-images/" ID_D);
	make_tree("G/overlay-containers/" ID_D);
	make_tree("R/overlay-containers/" ID_D);
	make_tree("G/overlay/not-an-id");
	make_tree("G/overlay-containers/not-an-id");
	put(at("G/overlay-layers/" ID_D ".something-else"), "x");
	ok(cstore_collect_garbage(store, &err));
	ck_assert(!exists(at("G/overlay/" ID_D)));
	ck_assert(!exists(at("G/overlay-layers/" ID_D)));
	ck_assert(!exists(at("G/overlay-layers/" ID_D ".tar-split.gz")));
	ck_assert(!exists(at("G/overlay-layers/" ID_A ".tar-split.gz")));
	ck_assert(!exists(at("G/overlay-images/" ID_D)));
	ck_assert(!exists(at("G/overlay-containers/" ID_D)));
	ck_assert(!exists(at("R/overlay-containers/" ID_D)));
	ck_assert(exists(at("G/overlay/" ID_B "/diff")));
	ck_assert(exists(at("G/overlay-layers/" ID_B ".tar-split.gz")));
	ck_assert(exists(dir));
	ck_assert(exists(run));
	ck_assert(exists(at("G/overlay/not-an-id/deep/er/file")));
	ck_assert(exists(at("G/overlay-containers/not-an-id/deep")));
	ck_assert(exists(at("G/overlay-layers/" ID_D ".something-else")));
	ck_assert_uint_eq(count_entries(at("G/overlay/l")), 2);
	ck_assert_uint_eq(count_entries(at("G/overlay/tempdirs")), 0);
}
END_TEST

START_TEST(files_of_writers_that_died_go)
{
	static const char *const dirs[] = { "G/overlay", "G/overlay-layers", "G/overlay-images", ("G/overlay-images/" ID_A),
		"G/overlay-containers", "R/overlay-layers" };
	const struct cstore_image_spec image = { .size = sizeof(image), .id = ID_A };

	ok(cstore_image_put(store, &image, &err));
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		ck_assert_int_eq(mkdir_p(at("%s", dirs[i]), 0700), 0);
		put(at("%s/.tmp-records.json-0123456789abcdef", dirs[i]), "[");
		put(at("%s/.tmp-records.json123456", dirs[i]), "[");		/* another program's */
	}
	ok(cstore_collect_garbage(store, &err));
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		ck_assert(!exists(at("%s/.tmp-records.json-0123456789abcdef", dirs[i])));
		ck_assert(exists(at("%s/.tmp-records.json123456", dirs[i])));
	}
}
END_TEST

START_TEST(a_lost_layers_file_does_not_make_all_layers_garbage)
{
	make_tree("G/overlay/" ID_B);
	put(at("G/overlay-images/images.json"), "[{\"id\":\"" ID_A "\",\"layer\":\"" ID_B "\"}]");
	put(at("G/overlay-layers/layers.json"), "");
	fails(cstore_collect_garbage(store, &err), CSTORE_E_DAMAGED);
	ck_assert(exists(at("G/overlay/" ID_B "/deep/er/file")));
}
END_TEST

START_TEST(temporary_directories_live_as_long_as_their_owner)
{
	struct tempdir *mine = NULL;
	_cleanup_free_ char *one = NULL, *two = NULL, *path = NULL;

	ok(tempdir_new(at("tmp"), &mine, &err));
	one = tempdir_name(mine, "addition");
	two = tempdir_name(mine, "addition");
	ck_assert_str_ne(one, two);
	ck_assert_int_eq(strncmp(one, mine->path, strlen(mine->path)), 0);
	make_tree("tmp/temp-dir-123");		/* lost its lock */
	put(at("tmp/lock-123"), "");
	make_tree("tmp/temp-dir-456");		/* never had one */
	put(at("tmp/lock-789"), "");		/* lost its directory */
	make_tree("tmp/other");
	ok(tempdir_recover(at("tmp"), &err));
	ck_assert_uint_eq(count_entries(at("tmp")), 3);
	ck_assert(exists(mine->path));
	ck_assert(exists(at("tmp/other")));
	make_tree("moved");
	ok(tempdir_move_in(mine, at("moved"), &err));
	ok(tempdir_move_in(mine, at("missing"), &err));
	ck_assert(!exists(at("moved")));
	path = strdup(mine->path);
	mine = tempdir_free(mine);
	ck_assert(!exists(path));
	ck_assert_uint_eq(count_entries(at("tmp")), 1);
	ok(tempdir_recover(at("none"), &err));
}
END_TEST

START_TEST(usage_counts_blocks_and_inodes_once)
{
	_cleanup_free_ char *data = calloc(1, 100001);
	struct usage u = { 0 };

	ck_assert_int_eq(mkdir_p(at("t/d"), 0700), 0);
	memset(data, 'x', 100000);
	put(at("t/d/file"), data);
	ck_assert_int_eq(link(at("t/d/file"), at("t/hard")), 0);
	ck_assert_int_eq(symlink("/", at("t/link")), 0);
	ck_assert_int_eq(truncate(at("t/d/file"), 1 << 30), 0);		/* a hole takes nothing */
	ok(usage_walk(at("t"), &u));
	ck_assert_uint_eq(u.inodes, 4);		/* t, d, file, link */
	ck_assert_uint_ge(u.bytes, 100000);
	ck_assert_uint_lt(u.bytes, 200000);
	u = (struct usage){ 0 };
	ok(usage_walk(at("none"), &u));
	ck_assert_uint_eq(u.inodes, 0);
}
END_TEST

START_TEST(usage_survives_trees_deeper_than_a_path)
{
	struct usage u = { 0 };
	int fd = open(scratch, O_RDONLY | O_DIRECTORY);

	for (int i = 0; i < 2500; i++) {
		int below;

		ck_assert_int_eq(mkdirat(fd, "d", 0700), 0);
		below = openat(fd, "d", O_RDONLY | O_DIRECTORY);
		close(fd);
		fd = below;
	}
	close(fd);
	ok(usage_walk(at("d"), &u));
	ck_assert_uint_gt(u.inodes, 1900);
}
END_TEST

START_TEST(image_usage_leaves_containers_out_and_notices_new_layers)
{
	const struct layer_spec layer = { .id = ID_B }, more = { .id = ID_D };
	const struct cstore_blob data = { "k", "12345", 5, "sha256:x" };
	const struct cstore_image_spec image = { .size = sizeof(image), .id = ID_A, .top_layer = ID_B, .data = &data, .data_count = 1 };
	const struct cstore_container_spec c = { .size = sizeof(c), .id = ID_C, .image = ID_A };
	uint64_t bytes, inodes, again;

	ok(layers_lock(store, LOCK_EXCLUSIVE, &err));
	ok(layer_create(store, &layer, &err));
	records_unlock(&store->layers);
	make_tree("G/overlay/" ID_B "/diff");
	ok(cstore_image_put(store, &image, &err));
	ok(cstore_container_create(store, &c, &err));
	ok(cstore_image_usage(store, &bytes, &inodes, &err));
	ck_assert_uint_eq(inodes, 4 + 2);
	put(at("G/overlay/" ID_B "/diff/ignored"), "layers do not change");
	ok(cstore_image_usage(store, &again, &inodes, &err));
	ck_assert_uint_eq(again, bytes);
	ok(layers_lock(store, LOCK_EXCLUSIVE, &err));
	ok(layer_create(store, &more, &err));
	records_unlock(&store->layers);
	ok(cstore_image_usage(store, &again, &inodes, &err));
	ck_assert_uint_eq(inodes, 5 + 2);
	ok(cstore_container_usage(store, ID_C, &bytes, &inodes, &err));
	ck_assert_uint_eq(inodes, 1);
	fails(cstore_container_usage(store, ID_D, &bytes, &inodes, &err), CSTORE_E_NOT_FOUND);
}
END_TEST

START_TEST(sets_hold_what_was_added)
{
	struct u64set set;
	bool is_new;

	ok(u64set_init(&set));
	for (uint64_t i = 0; i < 10000; i++) {
		ok(u64set_add(&set, i << 32, &is_new));
		ck_assert(is_new);
	}
	for (uint64_t i = 0; i < 10000; i++) {
		ok(u64set_add(&set, i << 32, &is_new));
		ck_assert(!is_new);
	}
	ck_assert_uint_eq(u64set_count(&set), 10000);
	u64set_done(&set);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("gc"), *all[] = { t };

	tcase_add_checked_fixture(t, store_setup, store_teardown);
	tcase_add_test(t, directories_without_a_record_go_and_those_with_one_stay);
	tcase_add_test(t, files_of_writers_that_died_go);
	tcase_add_test(t, a_lost_layers_file_does_not_make_all_layers_garbage);
	tcase_add_test(t, temporary_directories_live_as_long_as_their_owner);
	tcase_add_test(t, usage_counts_blocks_and_inodes_once);
	tcase_add_test(t, usage_survives_trees_deeper_than_a_path);
	tcase_add_test(t, image_usage_leaves_containers_out_and_notices_new_layers);
	tcase_add_test(t, sets_hold_what_was_added);
	return run_suite("gc", all, 1);
}
