/* SPDX-License-Identifier: Apache-2.0 */
/* Stores whose images are elsewhere, or partly in other stores; transient ones; and the vfs driver. */
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include "options.h"
#include "unit.h"

static struct cstore_options *o;
static struct cstore *s;

static void setup(void)
{
	scratch_setup();
	ok(cstore_options_new(&o));
	ok(cstore_options_set_graph_root(o, at("G")));
	ok(cstore_options_set_run_root(o, at("R")));
}

static void open_it(void)
{
	ok(cstore_open(o, &s, &err));
}

static void close_it(void)
{
	if (s)
		ok(cstore_shutdown(s, &err));
	s = cstore_free(s);
}

static void teardown(void)
{
	close_it();
	o = cstore_options_free(o);
	scratch_teardown();
}

static void publish(struct str tar, const char *parent, char out[ID_LEN + 1])
{
	_cleanup_close_ int fd = memory_fd(tar.data, tar.len);
	struct cstore_staging *staging = NULL;
	struct cstore_staged *staged = NULL;

	str_done(&tar);
	ok(cstore_staging_new(s, &staging, &err));
	ok(cstore_staging_apply(staging, fd, NULL, &staged, &err));
	ok(cstore_layer_chain_id(parent, cstore_staged_diff_id(staged), out));
	ok(cstore_staging_publish(staging, staged, out, parent, &err));
	cstore_staging_free(staging);
}

static char base[ID_LEN + 1], top[ID_LEN + 1];

/* Image ID_A, named "one", of two layers: low and high. */
static void make_image(void)
{
	static const char *const names[] = { "one", NULL };
	const struct cstore_blob data = { "manifest", "{}", 2, NULL };
	const struct cstore_image_spec image = { .size = sizeof(image), .id = ID_A, .top_layer = top, .names = names, .data = &data, .data_count = 1 };

	publish(TAR({ 0, "low", .content = "low" }, { '5', "d", .mode = 0755 }, { 0, "d/x", .content = "x" }, { 0, "gone", .content = "1" }), NULL, base);
	publish(TAR({ 0, "high", .content = "high" }, { 0, ".wh.gone" }, { 0, "d/.wh..wh..opq" }, { 0, "d/y", .content = "y" }), base, top);
	ok(cstore_image_put(s, &image, &err));
}

static void create(const char *id)
{
	const struct cstore_container_spec spec = { .size = sizeof(spec), .id = id, .image = ID_A };

	ok(cstore_container_create(s, &spec, &err));
}

/* The container has what the image has, and takes what is written. */
static void works(const char *id)
{
	_cleanup_free_ char *path = NULL, *low = NULL, *high = NULL, *here = NULL;

	ok(cstore_container_mount(s, id, &path, &err));
	here = strf("%s/low", path);
	low = get(here);
	ck_assert_str_eq(low, "low");
	free(here);
	here = strf("%s/high", path);
	high = get(here);
	ck_assert_str_eq(high, "high");
	free(here);
	here = strf("%s/gone", path);
	ck_assert(!exists(here));
	put(here, "new");
	ck_assert_int_eq(unlink(here), 0);
	free(here);
	here = strf("%s/d/x", path);
	ck_assert(!exists(here));
	free(here);
	here = strf("%s/d/y", path);
	ck_assert(exists(here));
	ok(cstore_container_unmount(s, id, 0, &err));
}

/* check finds nothing, and repair takes nothing for damage that is only somewhere else. */
static void sound(void)
{
	const struct cstore_check_options options = { .size = sizeof(options), .discard = 1 };
	struct cstore_report *report = NULL;

	ok(cstore_check(s, NULL, &report, &err));
	ck_assert_msg(cstore_report_count(report) == 0, "%s", cstore_report_count(report) ? cstore_problem_text(cstore_report_get(report, 0)) : "");
	cstore_report_free(report);
	ok(cstore_repair(s, &options, &report, &err));
	ck_assert_uint_eq(cstore_report_count(report), 0);
	cstore_report_free(report);
}

START_TEST(an_image_store_has_the_images_and_the_graph_root_the_containers)
{
	struct cstore_image *i = NULL;

	ok(cstore_options_set_image_store(o, at("I")));
	open_it();
	make_image();
	ck_assert(exists(at("I/overlay/%s/diff/low", base)));
	ck_assert(!exists(at("G/overlay/%s", base)));
	ck_assert(exists(at("I/overlay-layers/layers.json")) && !exists(at("G/overlay-layers/layers.json")));
	ck_assert(exists(at("I/overlay-images/images.json")) && exists(at("I/overlay-images/" ID_A "/manifest")));
	ck_assert(!exists(at("G/overlay-images/images.json")));
	ck_assert(exists(at("G/overlay-layers/%s.tar-split.gz", base)));
	create(ID_C);
	ck_assert(exists(at("G/overlay-containers/containers.json")) && exists(at("G/overlay-layers/layers.json")));
	works(ID_C);
	ok(cstore_collect_garbage(s, &err));
	sound();
	works(ID_C);
	ok(cstore_image_lookup(s, "one", &i, &err));
	ck_assert(!cstore_image_read_only(i));
	cstore_image_free(i);
	fails(cstore_image_delete(s, ID_A, &err), CSTORE_E_IN_USE);
	ok(cstore_container_delete(s, ID_C, &err));
	ok(cstore_image_delete(s, ID_A, &err));
	ck_assert(!exists(at("I/overlay/%s", base)) && !exists(at("I/overlay-images/" ID_A)));
	ck_assert(!exists(at("G/overlay-layers/%s.tar-split.gz", base)));
}
END_TEST

START_TEST(damaged_records_of_an_image_store_are_mended_there)
{
	struct cstore_report *report = NULL;
	struct cstore_image *i = NULL;

	ok(cstore_options_set_image_store(o, at("I")));
	open_it();
	make_image();
	create(ID_C);
	put(at("I/overlay-layers/layers.json"), "[{\"id\":\"cut");
	s = cstore_free(s);
	open_it();
	fails(cstore_image_size(s, ID_A, &(uint64_t){ 0 }, &err), CSTORE_E_DAMAGED);
	ok(cstore_repair(s, NULL, &report, &err));
	ck_assert_uint_ge(cstore_report_count(report), 1);
	for (size_t k = 0; k < cstore_report_count(report); k++)
		ck_assert(cstore_problem_mended(cstore_report_get(report, k)));
	cstore_report_free(report);
	sound();
	works(ID_C);
	ok(cstore_image_lookup(s, "one", &i, &err));
	cstore_image_free(i);
	ck_assert(!exists(at("G/overlay/%s", base)) && exists(at("I/overlay/%s/diff/low", base)));
}
END_TEST

START_TEST(images_that_were_in_the_graph_root_stay_in_use)
{
	struct cstore_image_list *list = NULL;

	open_it();
	make_image();
	close_it();
	ok(cstore_options_set_image_store(o, at("I")));
	open_it();
	ok(cstore_image_list(s, &list, &err));
	ck_assert_uint_eq(cstore_image_list_count(list), 1);
	cstore_image_list_free(list);
	create(ID_C);
	works(ID_C);
	ok(cstore_container_delete(s, ID_C, &err));
	ok(cstore_image_add_name(s, ID_A, "two", &err));
	ok(cstore_image_delete(s, ID_A, &err));
	ck_assert(!exists(at("G/overlay-images/" ID_A)));
	ck_assert(!exists(at("G/overlay/%s", base)));
}
END_TEST

/* Makes the image in O, then a store in G that has O as additional one. */
static void with_additional(void)
{
	ok(cstore_options_set_graph_root(o, at("O")));
	open_it();
	make_image();
	close_it();
	ok(cstore_options_set_graph_root(o, at("G")));
	ok(cstore_options_add_image_store(o, at("O")));
	open_it();
}

START_TEST(images_of_an_additional_store_are_used_and_never_changed)
{
	_cleanup_free_ char *before = NULL, *after = NULL, *path = NULL, *here = NULL, *data = NULL;
	const struct cstore_mount_options ro = { .size = sizeof(ro), .read_only = 1 };
	struct cstore_image *i = NULL;
	struct cstore_layer *l = NULL;
	uint64_t size;

	with_additional();
	before = get(at("O/overlay-images/images.json"));
	ok(cstore_image_lookup(s, "one", &i, &err));
	ck_assert(cstore_image_read_only(i));
	cstore_image_free(i);
	ok(cstore_layer_lookup(s, top, &l, &err));
	ck_assert(cstore_layer_read_only(l));
	cstore_layer_free(l);
	ok(cstore_image_size(s, ID_A, &size, &err));
	ok(cstore_image_data(s, ID_A, "manifest", 100, &data, NULL, &err));
	ck_assert_str_eq(data, "{}");
	create(ID_C);
	works(ID_C);
	ok(cstore_container_delete(s, ID_C, &err));
	fails(cstore_image_delete(s, ID_A, &err), CSTORE_E_READ_ONLY);
	says(at("O"));
	fails(cstore_layer_delete(s, top, &err), CSTORE_E_READ_ONLY);
	fails(cstore_layer_mount(s, top, NULL, &path, &err), CSTORE_E_READ_ONLY);
	ok(cstore_layer_mount(s, top, &ro, &path, &err));
	ck_assert_str_eq(path, at("R/overlay/%s/merged", top));
	here = strf("%s/high", path);
	ck_assert(exists(here));
	ck_assert_int_eq(open(here, O_WRONLY | O_CLOEXEC), -1);
	ok(cstore_layer_unmount(s, top, 0, &err));
	ok(cstore_collect_garbage(s, &err));
	sound();
	after = get(at("O/overlay-images/images.json"));
	ck_assert_str_eq(before, after);
	ck_assert(exists(at("O/overlay/%s/diff/high", top)));
}
END_TEST

START_TEST(naming_such_an_image_pulls_its_record_up)
{
	struct cstore_image *i = NULL;
	_cleanup_free_ char *theirs = NULL, *data = NULL;

	with_additional();
	ok(cstore_image_add_name(s, ID_A, "two", &err));
	ok(cstore_image_lookup(s, "two", &i, &err));
	ck_assert_str_eq(cstore_image_id(i), ID_A);
	ck_assert(!cstore_image_read_only(i));
	ck_assert_str_eq(cstore_image_names_history(i)[0], "two");
	cstore_image_free(i);
	data = get(at("G/overlay-images/" ID_A "/manifest"));
	ck_assert_str_eq(data, "{}");
	theirs = get(at("O/overlay-images/images.json"));
	ck_assert_ptr_null(strstr(theirs, "two"));
	create(ID_C);
	works(ID_C);
	ok(cstore_container_delete(s, ID_C, &err));
	/* deleting ours leaves theirs, and the layers */
	ok(cstore_image_delete(s, ID_A, &err));
	ok(cstore_image_lookup(s, "one", &i, &err));
	ck_assert(cstore_image_read_only(i));
	cstore_image_free(i);
	ck_assert(exists(at("O/overlay/%s", top)));
}
END_TEST

START_TEST(a_missing_additional_store_is_an_empty_one)
{
	struct cstore_image_list *list = NULL;

	ok(cstore_options_add_image_store(o, at("none")));
	open_it();
	ok(cstore_image_list(s, &list, &err));
	ck_assert_uint_eq(cstore_image_list_count(list), 0);
	cstore_image_list_free(list);
	ck_assert(!exists(at("none")));
}
END_TEST

START_TEST(a_transient_store_keeps_its_containers_in_the_run_root)
{
	ok(cstore_options_set_transient(o, 1));
	open_it();
	make_image();
	create(ID_C);
	ck_assert(exists(at("R/overlay-containers/volatile-containers.json")) && exists(at("R/overlay-containers/containers.lock")));
	ck_assert(exists(at("R/overlay-layers/volatile-layers.json")) && exists(at("G/overlay-layers/layers.lock")));
	ck_assert(!exists(at("G/overlay-containers/containers.json")) && !exists(at("G/overlay-layers/volatile-layers.json")));
	sound();
	works(ID_C);
	ok(cstore_container_delete(s, ID_C, &err));
}
END_TEST

/* ---- vfs ---- */

static void open_vfs(void)
{
	ok(cstore_options_set_driver(o, "vfs"));
	open_it();
}

START_TEST(vfs_layers_are_whole_trees)
{
	_cleanup_free_ char *low = NULL;

	open_vfs();
	make_image();
	ck_assert_str_eq(cstore_driver(s), "vfs");
	ck_assert(exists(at("G/vfs-layers/layers.json")) && exists(at("G/vfs-images/images.json")));
	low = get(at("G/vfs/dir/%s/low", top));
	ck_assert_str_eq(low, "low");
	ck_assert(exists(at("G/vfs/dir/%s/high", top)) && exists(at("G/vfs/dir/%s/d/y", top)));
	ck_assert(!exists(at("G/vfs/dir/%s/gone", top)) && !exists(at("G/vfs/dir/%s/d/x", top)));
	ck_assert(exists(at("G/vfs/dir/%s/gone", base)) && exists(at("G/vfs/dir/%s/d/x", base)));
	ck_assert_uint_eq(count_entries(at("G/vfs/tempdirs")), 0);
	create(ID_C);
	works(ID_C);
	ck_assert(!is_mount_point(at("G/vfs")));
	ok(cstore_collect_garbage(s, &err));
	sound();
	works(ID_C);
	ok(cstore_container_delete(s, ID_C, &err));
	ok(cstore_image_delete(s, ID_A, &err));
	ck_assert_uint_eq(count_entries(at("G/vfs/dir")), 0);
}
END_TEST

static struct str told;

static int tell(void *user, int kind, const char *path)
{
	str_appendf(&told, "%c %s\n", "CAD"[kind], path);
	return 0;
}

START_TEST(vfs_layers_come_out_as_they_came_in)
{
	struct str tar = TAR({ 0, "a", .content = "a" }, { '1', "b", .link = "a" }, { 0, ".wh.low" }, { 0, "d/.wh..wh..opq" });
	_cleanup_close_ int fd = memory_fd("", 0);
	_cleanup_free_ char *out = NULL;
	char id[ID_LEN + 1];
	struct str copy = STR_INIT;
	struct stat st;
	size_t len;

	open_vfs();
	make_image();
	str_append_mem(&copy, tar.data, tar.len);
	publish(copy, base, id);
	ok(cstore_layer_diff(s, id, NULL, fd, &err));
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(read_fd(fd, 1 << 20, &out, &len), 0);
	ck_assert_uint_eq(len, tar.len);
	ck_assert_int_eq(memcmp(out, tar.data, len), 0);
	str_done(&tar);
	ck_assert_int_eq(stat(at("G/vfs/dir/%s/b", id), &st), 0);
	ck_assert_uint_eq(st.st_nlink, 2);
	ok(cstore_layer_changes(s, id, NULL, tell, NULL, &err));
	ck_assert_str_eq(told.data, "D low\nA a\nA b\nD d/x\n");
	str_done(&told);
	told = (struct str)STR_INIT;
}
END_TEST

START_TEST(a_copy_has_everything_its_source_has)
{
	const struct cstore_layer_spec one = { .size = sizeof(one), .id = ID_A }, two = { .size = sizeof(two), .id = ID_B, .parent = ID_A };
	_cleanup_free_ char *f = NULL;
	struct stat st, st2;

	open_vfs();
	ok(cstore_layer_create(s, &one, &err));
	put(at("G/vfs/dir/" ID_A "/f"), "content");
	ck_assert_int_eq(chown(at("G/vfs/dir/" ID_A "/f"), 5, 6) | chmod(at("G/vfs/dir/" ID_A "/f"), 04711), 0);
	ck_assert_int_eq(link(at("G/vfs/dir/" ID_A "/f"), at("G/vfs/dir/" ID_A "/g")), 0);
	ck_assert_int_eq(symlink("/outside", at("G/vfs/dir/" ID_A "/s")), 0);
	ck_assert_int_eq(mknod(at("G/vfs/dir/" ID_A "/c"), S_IFCHR | 0600, makedev(1, 3)), 0);
	put(at("G/vfs/dir/" ID_A "/sparse"), "x");
	ck_assert_int_eq(truncate(at("G/vfs/dir/" ID_A "/sparse"), 50 << 20), 0);
	ok(cstore_layer_create(s, &two, &err));
	f = get(at("G/vfs/dir/" ID_B "/f"));
	ck_assert_str_eq(f, "content");
	ck_assert_int_eq(stat(at("G/vfs/dir/" ID_B "/f"), &st) | stat(at("G/vfs/dir/" ID_A "/f"), &st2), 0);
	ck_assert(st.st_mode == st2.st_mode && st.st_uid == 5 && st.st_gid == 6 && st.st_nlink == 2);
	ck_assert(st.st_mtim.tv_nsec == st2.st_mtim.tv_nsec && st.st_mtim.tv_sec == st2.st_mtim.tv_sec);
	ck_assert_int_eq(stat(at("G/vfs/dir/" ID_B "/sparse"), &st), 0);
	ck_assert_int_eq(st.st_size, 50 << 20);
	ck_assert_int_lt(st.st_blocks, 1000);
	ck_assert_int_eq(lstat(at("G/vfs/dir/" ID_B "/c"), &st), 0);
	ck_assert_uint_eq(st.st_rdev, makedev(1, 3));
	ck_assert_int_eq(lstat(at("G/vfs/dir/" ID_B "/s"), &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
}
END_TEST

START_TEST(a_store_is_opened_with_the_driver_it_has)
{
	open_vfs();
	close_it();
	free(take(o->driver));
	open_it();
	ck_assert_str_eq(cstore_driver(s), "vfs");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("places"), *all[] = { t };

	need_root("mounts and device nodes");
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		need_root("a mount namespace");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_image_store_has_the_images_and_the_graph_root_the_containers);
	tcase_add_test(t, damaged_records_of_an_image_store_are_mended_there);
	tcase_add_test(t, images_that_were_in_the_graph_root_stay_in_use);
	tcase_add_test(t, images_of_an_additional_store_are_used_and_never_changed);
	tcase_add_test(t, naming_such_an_image_pulls_its_record_up);
	tcase_add_test(t, a_missing_additional_store_is_an_empty_one);
	tcase_add_test(t, a_transient_store_keeps_its_containers_in_the_run_root);
	tcase_add_test(t, vfs_layers_are_whole_trees);
	tcase_add_test(t, vfs_layers_come_out_as_they_came_in);
	tcase_add_test(t, a_copy_has_everything_its_source_has);
	tcase_add_test(t, a_store_is_opened_with_the_driver_it_has);
	return run_suite("places", all, 1);
}
