/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of their own, as archives, and what they change. */
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "unit.h"

static void setup(void)
{
	need_root("device nodes and trusted attributes");
	store_setup();
}

static void make(const char *id, const char *parent, const char *name)
{
	const struct cstore_layer_spec spec = { .size = sizeof(spec), .id = id, .parent = parent, .name = name };

	ok(cstore_layer_create(store, &spec, &err));
}

/* A published layer of this archive; out gets its id. */
static void publish(struct str tar, const char *parent, char out[ID_LEN + 1])
{
	_cleanup_close_ int fd = memory_fd(tar.data, tar.len);
	struct cstore_staging *staging = NULL;
	struct cstore_staged *staged = NULL;

	ok(cstore_staging_new(store, &staging, &err));
	ok(cstore_staging_apply(staging, fd, NULL, &staged, &err));
	ok(cstore_layer_chain_id(parent, cstore_staged_diff_id(staged), out));
	ok(cstore_staging_publish(staging, staged, out, parent, &err));
	cstore_staging_free(staging);
}

static int diff_to(const char *id, const struct cstore_diff_options *o, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = memory_fd("", 0);
	int r = cstore_layer_diff(store, id, o, fd, &err);

	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(read_fd(fd, 1 << 24, ret, ret_len), 0);
	return r;
}

/* "A path\n" for each change. */
static struct str told;

static int tell(void *user, int kind, const char *path)
{
	str_appendf(&told, "%c %s\n", "CAD"[kind], path);
	return 0;
}

static const char *changes(const char *id)
{
	str_reset(&told);
	str_append(&told, "");
	ok(cstore_layer_changes(store, id, NULL, tell, NULL, &err));
	return told.data;
}

static void teardown(void)
{
	str_done(&told);
	told = (struct str)STR_INIT;
	store_teardown();
}

START_TEST(layers_are_found_by_id_name_and_beginning)
{
	struct cstore_layer_list *list = NULL;
	struct cstore_layer *l = NULL;

	make(ID_A, NULL, "base");
	make(ID_B, ID_A, NULL);
	make("bbbb0000000000000000000000000000000000000000000000000000000000bb", NULL, NULL);
	ok(cstore_layer_lookup(store, "base", &l, &err));
	ck_assert_str_eq(cstore_layer_id(l), ID_A);
	ck_assert_str_eq(cstore_layer_names(l)[0], "base");
	ck_assert_str_eq(cstore_layer_parent(l), "");
	ck_assert_int_eq(cstore_layer_diff_size(l), -1);
	ck_assert_str_eq(cstore_layer_compression(l), "none");
	ck_assert(!cstore_layer_read_only(l) && !cstore_layer_is_volatile(l));
	cstore_layer_free(l);
	ok(cstore_layer_lookup(store, "bbbbb", &l, &err));
	ck_assert_str_eq(cstore_layer_parent(l), ID_A);
	cstore_layer_free(l);
	fails(cstore_layer_lookup(store, "bbbb", &l, &err), CSTORE_E_AMBIGUOUS);
	fails(cstore_layer_lookup(store, "aa", &l, &err), CSTORE_E_NOT_FOUND);
	ok(cstore_layer_list(store, &list, &err));
	ck_assert_uint_eq(cstore_layer_list_count(list), 3);
	ck_assert_ptr_null(cstore_layer_list_get(list, 3));
	cstore_layer_list_free(list);
}
END_TEST

START_TEST(layers_go_when_nothing_needs_them)
{
	const struct cstore_image_spec image = { .size = sizeof(image), .id = ID_C, .top_layer = ID_B };
	const struct cstore_layer_spec again = { .size = sizeof(again), .id = ID_A }, orphan = { .size = sizeof(orphan), .id = ID_C, .parent = ID_D };

	make(ID_A, NULL, NULL);
	make(ID_B, ID_A, NULL);
	fails(cstore_layer_create(store, &again, &err), CSTORE_E_EXISTS);
	fails(cstore_layer_create(store, &orphan, &err), CSTORE_E_NOT_FOUND);
	fails(cstore_layer_delete(store, ID_A, &err), CSTORE_E_IN_USE);
	says("layers above");
	ok(cstore_image_put(store, &image, &err));
	fails(cstore_layer_delete(store, ID_B, &err), CSTORE_E_IN_USE);
	says("image");
	ok(cstore_image_delete(store, ID_C, &err));	/* takes its layers along */
	fails(cstore_layer_delete(store, ID_B, &err), CSTORE_E_NOT_FOUND);
	ck_assert(!exists(at("G/overlay/" ID_B)));
}
END_TEST

START_TEST(an_archive_comes_out_as_it_came_in)
{
	struct str tar = TAR({ '5', "./d", .mode = 0755 }, { 0, "./d/f", .content = "content\n", .mode = 04755, .uid = 7 },
			     { '1', "./d/g", .link = "./d/f" }, { '2', "./l", .link = "d/f" }, { 0, "./n\xff", .content = "latin" });
	_cleanup_free_ char *out = NULL;
	char id[ID_LEN + 1];
	size_t len;

	publish(tar, NULL, id);
	ok(diff_to(id, NULL, &out, &len));
	ck_assert_uint_eq(len, tar.len);
	ck_assert_int_eq(memcmp(out, tar.data, len), 0);
	str_done(&tar);
}
END_TEST

static uint64_t progressed;

static void progress(void *user, uint64_t bytes)
{
	progressed = bytes;
}

START_TEST(damage_and_cancelling_are_noticed)
{
	struct str tar = TAR({ 0, "f", .content = "content\n" });
	int cancel = 1;
	const struct cstore_diff_options o = { .size = sizeof(o), .progress = progress }, stop = { .size = sizeof(stop), .cancel = &cancel },
					  wrong = { .size = 8 };
	_cleanup_free_ char *out = NULL, *two = NULL, *three = NULL, *four = NULL;
	char id[ID_LEN + 1];
	size_t len;

	publish(tar, NULL, id);
	ok(diff_to(id, &o, &out, &len));
	ck_assert_uint_eq(progressed, tar.len);
	fails(diff_to(id, &stop, &two, &len), CSTORE_E_CANCELLED);
	fails(cstore_layer_diff(store, id, &wrong, 1, &err), -EINVAL);
	put(at("G/overlay/%s/diff/f", id), "altered\n");
	fails(diff_to(id, NULL, &three, &len), CSTORE_E_DAMAGED);
	says("f: its content is altered");
	ck_assert_int_eq(unlink(at("G/overlay/%s/diff/f", id)), 0);
	fails(diff_to(id, NULL, &four, &len), CSTORE_E_DAMAGED);
	says("missing");
	fails(cstore_layer_diff(store, ID_D, NULL, 1, &err), CSTORE_E_NOT_FOUND);
	str_done(&tar);
}
END_TEST

START_TEST(changes_are_told_from_what_is_below)
{
	make(ID_A, NULL, NULL);
	make(ID_B, ID_A, NULL);
	make(ID_C, ID_B, NULL);
	mkdir(at("G/overlay/" ID_A "/diff/d"), 0755);
	put(at("G/overlay/" ID_A "/diff/d/gone"), "1");
	put(at("G/overlay/" ID_A "/diff/d/kept"), "1");
	put(at("G/overlay/" ID_A "/diff/changed"), "1");
	put(at("G/overlay/" ID_A "/diff/deleted"), "1");
	put(at("G/overlay/" ID_A "/diff/back"), "1");
	ck_assert_int_eq(mknod(at("G/overlay/" ID_B "/diff/back"), S_IFCHR, makedev(0, 0)), 0);
	mkdir(at("G/overlay/" ID_C "/diff/d"), 0755);
	put(at("G/overlay/" ID_C "/diff/d/kept"), "2");
	ck_assert_int_eq(setxattr(at("G/overlay/" ID_C "/diff/d"), "trusted.overlay.opaque", "y", 1, 0), 0);
	put(at("G/overlay/" ID_C "/diff/changed"), "2");
	put(at("G/overlay/" ID_C "/diff/back"), "2");
	put(at("G/overlay/" ID_C "/diff/new"), "2");
	ck_assert_int_eq(mknod(at("G/overlay/" ID_C "/diff/deleted"), S_IFCHR, makedev(0, 0)), 0);
	ck_assert_str_eq(changes(ID_C), "A back\nC changed\nC d\nD d/gone\nA d/kept\nD deleted\nA new\n");
	ck_assert_str_eq(changes(ID_B), "D back\n");
	ck_assert_str_eq(changes(ID_A), "A back\nA changed\nA d\nA d/gone\nA d/kept\nA deleted\n");
}
END_TEST

/* Read by the library's own reader, which refuses what is no tar. */
START_TEST(a_directory_becomes_an_archive)
{
	char deep[201], id[ID_LEN + 1], value[8];
	_cleanup_free_ char *out = NULL, *f = NULL;
	struct str tar = STR_INIT;
	struct stat st, st2;
	size_t len;

	memset(deep, 'x', 200);	/* longer than a header has room for */
	deep[200] = '\0';
	make(ID_A, NULL, NULL);
	put(at("G/overlay/" ID_A "/diff/f"), "content");
	ck_assert_int_eq(chown(at("G/overlay/" ID_A "/diff/f"), 3000000, 5) | chmod(at("G/overlay/" ID_A "/diff/f"), 06711), 0);
	ck_assert_int_eq(setxattr(at("G/overlay/" ID_A "/diff/f"), "user.x", "v\0w", 3, 0), 0);
	ck_assert_int_eq(symlink("/etc/\xc3\xa4", at("G/overlay/" ID_A "/diff/s")), 0);
	ck_assert_int_eq(linkat(AT_FDCWD, at("G/overlay/" ID_A "/diff/f"), AT_FDCWD, at("G/overlay/" ID_A "/diff/h"), 0), 0);
	ck_assert_int_eq(mkfifo(at("G/overlay/" ID_A "/diff/p"), 0600), 0);
	ck_assert_int_eq(mknod(at("G/overlay/" ID_A "/diff/b"), S_IFBLK | 0600, makedev(8, 300)), 0);
	put(at("G/overlay/" ID_A "/diff/%s", deep), "");
	put(at("G/overlay/" ID_A "/diff/\xff"), "latin");
	ck_assert_int_eq(mknod(at("G/overlay/" ID_A "/diff/w"), S_IFCHR, makedev(0, 0)), 0);
	mkdir(at("G/overlay/" ID_A "/diff/o"), 01777);
	ck_assert_int_eq(setxattr(at("G/overlay/" ID_A "/diff/o"), "trusted.overlay.opaque", "y", 1, 0), 0);
	ok(diff_to(ID_A, NULL, &out, &len));
	ck_assert_uint_eq(len % 512, 0);
	str_append_mem(&tar, out, len);
	publish(tar, NULL, id);
	str_done(&tar);
	f = get(at("G/overlay/%s/diff/f", id));
	ck_assert_str_eq(f, "content");
	ck_assert_int_eq(stat(at("G/overlay/%s/diff/f", id), &st) | stat(at("G/overlay/" ID_A "/diff/f"), &st2), 0);
	ck_assert_int_eq(st.st_mode, S_IFREG | 06711);
	ck_assert_uint_eq(st.st_uid, 3000000);
	ck_assert_uint_eq(st.st_nlink, 2);
	ck_assert(st.st_mtim.tv_sec == st2.st_mtim.tv_sec && st.st_mtim.tv_nsec == st2.st_mtim.tv_nsec);
	ck_assert_int_eq(getxattr(at("G/overlay/%s/diff/f", id), "user.x", value, sizeof(value)), 3);
	ck_assert_int_eq(memcmp(value, "v\0w", 3), 0);
	ck_assert_int_eq(lstat(at("G/overlay/%s/diff/b", id), &st), 0);
	ck_assert_uint_eq(st.st_rdev, makedev(8, 300));
	ck_assert_int_eq(lstat(at("G/overlay/%s/diff/w", id), &st), 0);
	ck_assert(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	ck_assert_int_eq(getxattr(at("G/overlay/%s/diff/o", id), "trusted.overlay.opaque", value, sizeof(value)), 1);
	ck_assert(exists(at("G/overlay/%s/diff/\xff", id)) && exists(at("G/overlay/%s/diff/p", id)));
	ck_assert(exists(at("G/overlay/%s/diff/%s", id, deep)));
	ck_assert_str_eq(changes(id), changes(ID_A));
}
END_TEST

START_TEST(a_masked_store_tells_the_owners_it_keeps_beside_its_files)
{
	char id[ID_LEN + 1];
	_cleanup_free_ char *out = NULL;
	struct str tar = STR_INIT;
	struct stat st;
	size_t len;

	make(ID_A, NULL, NULL);
	put(at("G/overlay/" ID_A "/diff/f"), "content");
	ck_assert_int_eq(setxattr(at("G/overlay/" ID_A "/diff/f"), "user.containers.override_stat", "12:34:04755:file", 16, 0), 0);
	put(at("G/overlay/" ID_A "/diff/s"), "target");
	ck_assert_int_eq(setxattr(at("G/overlay/" ID_A "/diff/s"), "user.containers.override_stat", "0:0:0777:symlink", 16, 0), 0);
	ok(diff_to(ID_A, NULL, &out, &len));
	str_append_mem(&tar, out, len);
	publish(tar, NULL, id);
	str_done(&tar);
	ck_assert_int_eq(stat(at("G/overlay/%s/diff/f", id), &st), 0);
	ck_assert_int_eq(st.st_mode, S_IFREG | 04755);
	ck_assert_uint_eq(st.st_uid, 12);
	ck_assert_uint_eq(st.st_gid, 34);
	ck_assert_int_eq(lstat(at("G/overlay/%s/diff/s", id), &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
}
END_TEST

START_TEST(usage_of_a_layer_is_remembered_for_the_time_given)
{
	uint64_t bytes, inodes, more;

	make(ID_A, NULL, NULL);
	ok(cstore_layer_usage(store, ID_A, &bytes, &inodes, &err));
	ck_assert_uint_eq(inodes, 1);
	put(at("G/overlay/" ID_A "/diff/f"), "x");
	ok(cstore_layer_usage(store, ID_A, &bytes, &inodes, &err));
	ck_assert_uint_eq(inodes, 2);
	store->usage_age = INT64_C(3600) * 1000000000;
	ok(cstore_layer_usage(store, ID_A, &bytes, &inodes, &err));
	put(at("G/overlay/" ID_A "/diff/g"), "x");
	ok(cstore_layer_usage(store, ID_A, &bytes, &more, &err));
	ck_assert_uint_eq(more, inodes);
	fails(cstore_layer_usage(store, ID_B, &bytes, &inodes, &err), CSTORE_E_NOT_FOUND);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("layer"), *all[] = { t };

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, layers_are_found_by_id_name_and_beginning);
	tcase_add_test(t, layers_go_when_nothing_needs_them);
	tcase_add_test(t, an_archive_comes_out_as_it_came_in);
	tcase_add_test(t, damage_and_cancelling_are_noticed);
	tcase_add_test(t, changes_are_told_from_what_is_below);
	tcase_add_test(t, a_directory_becomes_an_archive);
	tcase_add_test(t, a_masked_store_tells_the_owners_it_keeps_beside_its_files);
	tcase_add_test(t, usage_of_a_layer_is_remembered_for_the_time_given);
	return run_suite("layer", all, 1);
}
