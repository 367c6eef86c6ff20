/* SPDX-License-Identifier: Apache-2.0 */
/* What check finds and repair mends: each case breaks one thing of a sound store. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "unit.h"

/* Overwritten by the fourth next call. */
static PRINTF_LIKE(1, 2) const char *text(const char *fmt, ...)
{
	static char buffers[4][8192];
	static unsigned turn;
	char *out = buffers[turn++ % 4];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out, sizeof(buffers[0]), fmt, ap);
	va_end(ap);
	return out;
}

static char base[ID_LEN + 1], top[ID_LEN + 1];
static struct cstore_report *report;

static void publish(struct cstore_staging *st, struct str tar, const char *parent, char id[ID_LEN + 1])
{
	_cleanup_close_ int fd = memory_fd(tar.data, tar.len);
	struct cstore_staged *l = NULL;

	str_done(&tar);
	ok(cstore_staging_apply(st, fd, NULL, &l, &err));
	ok(cstore_layer_chain_id(parent, cstore_staged_diff_id(l), id));
	ok(cstore_staging_publish(st, l, id, parent, &err));
}

static void setup(void)
{
	const char *names[] = { "localhost/checked:1", NULL };
	const struct cstore_blob blob = { .key = "config", .bytes = "{}", .len = 2 };
	struct cstore_image_spec image = { .size = sizeof(image), .id = ID_A, .names = names, .data = &blob, .data_count = 1 };
	struct cstore_staging *st = NULL;

	need_root("layers have owners and devices");
	store_setup();
	ok(cstore_staging_new(store, &st, &err));
	publish(st, TAR({ '5', "etc/", .mode = 0755, .mtime = 1000 }, { 0, "etc/passwd", .mode = 0644, .mtime = 1000, .content = "root" },
			{ 0, "etc/empty", .mode = 0600, .uid = 7, .gid = 8, .mtime = 2000 },
			{ '2', "etc/link", "passwd", .mode = 0777, .mtime = 3000 }, { '1', "etc/hard", "etc/passwd", .mtime = 1000 },
			{ '3', "null", .mode = 0666, .major = 1, .minor = 3 }, { '6', "fifo", .mode = 0600 },
			{ 0, "only", .mode = 0644, .mtime = 1000, .content = "content" }), NULL, base);
	publish(st, TAR({ '5', "etc/", .mode = 0755 }, { 0, "etc/.wh.passwd" }, { '5', "opaque/", .mode = 0755 },
			{ 0, "opaque/.wh..wh..opq" }, { 0, "new", .content = "x", .mtime = 5 }), base, top);
	cstore_staging_free(st);
	image.top_layer = top;
	ok(cstore_image_put(store, &image, &err));
}

static void teardown(void)
{
	report = cstore_report_free(report);
	store_teardown();
}

static size_t check_with(int (*f)(struct cstore *, const struct cstore_check_options *, struct cstore_report **, struct cstore_error *),
			 const struct cstore_check_options *o)
{
	report = cstore_report_free(report);
	ok(f(store, o, &report, &err));
	return cstore_report_count(report);
}

static void is_sound(void)
{
	size_t n = check_with(cstore_check, NULL);
	const struct cstore_problem *p = cstore_report_get(report, 0);

	ck_assert_msg(n == 0, "%zu problems: %s: %s", n, cstore_problem_object(p), cstore_problem_text(p));
}

/* A problem of that kind that says this; check leaves it. */
static void finds(int kind, const char *what)
{
	for (int i = 0; i < 2; i++) {
		size_t n = check_with(cstore_check, NULL), k = 0;
		const struct cstore_problem *p = NULL;

		for (; k < n; k++) {
			p = cstore_report_get(report, k);
			ck_assert_int_eq(cstore_problem_mended(p), 0);
			if (cstore_problem_kind(p) == kind && strstr(cstore_problem_text(p), what))
				break;
		}
		ck_assert_msg(k < n, "%zu problems, the last says: %s", n, p ? cstore_problem_text(p) : "-");
	}
}

static void finds_one(int kind, const char *what)
{
	finds(kind, what);
	ck_assert_uint_eq(cstore_report_count(report), 1);
}

static void repairs(int kind, const char *what)
{
	finds(kind, what);
	check_with(cstore_repair, NULL);
	for (size_t i = 0; i < cstore_report_count(report); i++)
		ck_assert_msg(cstore_problem_mended(cstore_report_get(report, i)), "not mended: %s: %s",
			      cstore_problem_object(cstore_report_get(report, i)), cstore_problem_text(cstore_report_get(report, i)));
	is_sound();
}

/* By hand, without the lock: only the time tells, which two writes within a moment may share. */
static void edit(const char *path, const char *what)
{
	static time_t now = 1000000;
	const struct timespec times[2] = { { .tv_sec = now + 1 }, { .tv_sec = now + 1 } };

	now++;
	put(path, what);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static const char *in_base(const char *name)
{
	return at("G/overlay/%s/diff/%s", base, name);
}

START_TEST(a_sound_store_has_no_problems)
{
	is_sound();
	ck_assert_ptr_null(cstore_report_get(report, 0));
	ck_assert_uint_eq(check_with(cstore_repair, NULL), 0);
	is_sound();
}
END_TEST

START_TEST(altered_content_is_found_and_not_guessed)
{
	put(in_base("only"), "CONTENT");
	finds(CSTORE_PROBLEM_CONTENT, "only: its content is altered");
	ck_assert_str_eq(cstore_problem_object(cstore_report_get(report, 0)), text("layer %s", base));
	check_with(cstore_repair, NULL);
	finds(CSTORE_PROBLEM_CONTENT, "only: its content is altered");
	put(in_base("only"), "content!");
	finds(CSTORE_PROBLEM_CONTENT, "only: it is longer");
	put(in_base("only"), "cont");
	finds(CSTORE_PROBLEM_CONTENT, "only: it is shorter");
	ck_assert_int_eq(unlink(in_base("only")), 0);
	finds_one(CSTORE_PROBLEM_CONTENT, "only: it is missing");
	ck_assert_int_eq(mkdir(in_base("only"), 0700), 0);
	finds(CSTORE_PROBLEM_CONTENT, "only: it cannot be opened as a file");
}
END_TEST

START_TEST(a_broken_image_goes_only_when_asked)
{
	struct cstore_check_options o = { .size = sizeof(o), .discard = 1 };
	struct cstore_image *image = NULL;
	int there;

	ck_assert_int_eq(unlink(in_base("only")), 0);
	check_with(cstore_repair, NULL);
	ok(cstore_image_lookup(store, ID_A, &image, &err));
	cstore_image_free(image);
	check_with(cstore_repair, &o);
	fails(cstore_image_lookup(store, ID_A, &image, &err), CSTORE_E_NOT_FOUND);
	ok(cstore_layer_exists(store, base, &there, &err));
	ck_assert_int_eq(there, 0);
	is_sound();
}
END_TEST

START_TEST(what_headers_say_is_made_again)
{
	const char *const names[] = { "etc/empty", "etc/link", "etc/hard", "null", "fifo" };
	struct stat st, other;
	char link[16];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_int_eq(unlink(in_base(names[i])), 0);
		repairs(CSTORE_PROBLEM_CONTENT, text("%s: it is missing", names[i]));
		ck_assert_int_eq(unlink(in_base(names[i])), 0);
		ck_assert_int_eq(mkdir(in_base(names[i]), 0700), 0);
		repairs(CSTORE_PROBLEM_CONTENT, text("%s: it is something else", names[i]));
	}
	ck_assert_int_eq(stat(in_base("etc/empty"), &st), 0);
	ck_assert(st.st_mode == (S_IFREG | 0600) && st.st_uid == 7 && st.st_gid == 8 && st.st_mtime == 2000);
	ck_assert_int_eq(readlink(in_base("etc/link"), link, sizeof(link)), 6);
	ck_assert_int_eq(lstat(in_base("etc/link"), &st), 0);
	ck_assert_int_eq(st.st_mtime, 3000);
	ck_assert_int_eq(stat(in_base("etc/hard"), &st) | stat(in_base("etc/passwd"), &other), 0);
	ck_assert_int_eq(st.st_ino, other.st_ino);
	ck_assert_int_eq(stat(in_base("null"), &st), 0);
	ck_assert(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}
END_TEST

START_TEST(attributes_are_set_again)
{
	struct stat st;

	ck_assert_int_eq(chmod(in_base("etc/passwd"), 0666), 0);
	repairs(CSTORE_PROBLEM_ATTRIBUTES, "etc/passwd: its mode");
	ck_assert_int_eq(lchown(in_base("etc/link"), 5, 5), 0);
	repairs(CSTORE_PROBLEM_ATTRIBUTES, "etc/link: its owner");
	ck_assert_int_eq(chown(in_base("etc"), 5, 5), 0);
	repairs(CSTORE_PROBLEM_ATTRIBUTES, "etc/: its owner");
	ck_assert_int_eq(utimensat(AT_FDCWD, in_base("only"), NULL, 0), 0);
	repairs(CSTORE_PROBLEM_ATTRIBUTES, "only: its time");
	ck_assert_int_eq(stat(in_base("only"), &st), 0);
	ck_assert_int_eq(st.st_mtime, 1000);
}
END_TEST

START_TEST(whiteouts_are_made_again)
{
	ck_assert_int_eq(unlink(at("G/overlay/%s/diff/etc/passwd", top)), 0);
	repairs(CSTORE_PROBLEM_CONTENT, "etc/.wh.passwd: the whiteout is missing");
	ck_assert_int_eq(removexattr(at("G/overlay/%s/diff/opaque", top), "trusted.overlay.opaque"), 0);
	repairs(CSTORE_PROBLEM_CONTENT, "opaque/.wh..wh..opq: the whiteout is missing");
}
END_TEST

START_TEST(what_is_no_member_goes)
{
	put(in_base("etc/planted"), "x");
	repairs(CSTORE_PROBLEM_CONTENT, "etc/planted: no member of the layer");
	ck_assert(!exists(in_base("etc/planted")));
}
END_TEST

START_TEST(links_and_lower_files_are_made_again)
{
	_cleanup_free_ char *link = get(at("G/overlay/%s/link", base)), *again = NULL;

	ck_assert_int_eq(unlink(at("G/overlay/l/%s", link)), 0);
	repairs(CSTORE_PROBLEM_DIRECTORY, "the link to it is missing");
	ck_assert_int_eq(unlink(at("G/overlay/%s/link", base)), 0);
	repairs(CSTORE_PROBLEM_DIRECTORY, "its link file is missing");
	again = get(at("G/overlay/%s/link", base));
	ck_assert_str_eq(again, link);
	ck_assert_int_eq(unlink(at("G/overlay/%s/link", base)) | unlink(at("G/overlay/l/%s", link)), 0);
	repairs(CSTORE_PROBLEM_DIRECTORY, "its link file is missing");
	put(at("G/overlay/%s/lower", top), "l/AAAAAAAAAAAAAAAAAAAAAAAAAA");
	repairs(CSTORE_PROBLEM_DIRECTORY, "its lower file");
	ck_assert_int_eq(unlink(at("G/overlay/%s/lower", top)), 0);
	repairs(CSTORE_PROBLEM_DIRECTORY, "its lower file");
	ck_assert_int_eq(rmdir(at("G/overlay/%s/work", top)), 0);
	repairs(CSTORE_PROBLEM_DIRECTORY, "a directory that mounts need");
}
END_TEST

START_TEST(orphans_go)
{
	ck_assert_int_eq(mkdir(at("G/overlay/" ID_D), 0700), 0);
	repairs(CSTORE_PROBLEM_GARBAGE, ID_D " has no record");
	put(at("G/overlay-layers/" ID_D ".tar-split.gz"), "");
	repairs(CSTORE_PROBLEM_GARBAGE, ID_D " has no record");
	ck_assert_int_eq(mkdir(at("G/overlay-images/" ID_D), 0700) | mkdir(at("G/overlay-containers/" ID_D), 0700), 0);
	repairs(CSTORE_PROBLEM_GARBAGE, ID_D " has no record");
}
END_TEST

static size_t set_aside(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	for (struct dirent *e; (e = readdir(d));)
		n += strstr(e->d_name, ".damaged-") != NULL;
	closedir(d);
	return n;
}

START_TEST(a_damaged_file_of_records_is_set_aside_and_salvaged)
{
	_cleanup_free_ char *layers = get(at("G/overlay-layers/layers.json")), *now = NULL;

	/* the second record is cut: the first is kept, and the layer on disk recorded again */
	edit(at("G/overlay-layers/layers.json"), text("%.*s", (int)strlen(layers) - 20, layers));
	finds_one(CSTORE_PROBLEM_RECORDS, "no list of records; 1 records");
	repairs(CSTORE_PROBLEM_RECORDS, "no list of records; 1 records");
	ck_assert_uint_eq(set_aside(at("G/overlay-layers")), 1);
	now = get(at("G/overlay-layers/layers.json"));
	ck_assert_msg(strncmp(now, layers, 200) == 0, "%s", now);
	ck_assert_ptr_nonnull(strstr(now, top));
	ck_assert_ptr_nonnull(strstr(now, text("\"parent\":\"%s\"", base)));
}
END_TEST

START_TEST(lost_layer_records_come_back_from_disk)
{
	edit(at("G/overlay-layers/layers.json"), "[]");
	repairs(CSTORE_PROBLEM_REFERENCE, "its layer");
	edit(at("G/overlay-layers/layers.json"), "\x01garbage");
	repairs(CSTORE_PROBLEM_RECORDS, "0 records");
}
END_TEST

START_TEST(records_without_an_id_are_set_aside)
{
	_cleanup_free_ char *images = get(at("G/overlay-images/images.json"));

	edit(at("G/overlay-images/images.json"), text("[{\"id\":\"x\"},7,%s", images + 1));
	repairs(CSTORE_PROBLEM_RECORDS, "2 records in it have no valid id");
	ck_assert_uint_eq(set_aside(at("G/overlay-images")), 1);
	free(images);
	images = get(at("G/overlay-images/images.json"));
	ck_assert_ptr_null(strstr(images, "\"x\""));
}
END_TEST

START_TEST(a_name_belongs_to_the_later_record)
{
	_cleanup_free_ char *images = get(at("G/overlay-images/images.json"));

	images[strlen(images) - 1] = '\0';
	edit(at("G/overlay-images/images.json"), text("%s,{\"id\":\"" ID_C "\",\"names\":[\"localhost/checked:1\"],\"created\":\"2020-01-01T00:00:00Z\"}]", images));
	repairs(CSTORE_PROBLEM_REFERENCE, "its name localhost/checked:1 is also that of " ID_C);
}
END_TEST

START_TEST(altered_data_of_an_image_is_found)
{
	const char *path = at("G/overlay-images/" ID_A "/config");

	ck_assert_msg(exists(path), "%s", path);
	put(path, "[]");
	finds_one(CSTORE_PROBLEM_DATA, "another digest");
	put(path, "[1]");
	finds_one(CSTORE_PROBLEM_DATA, "another size");
	ck_assert_int_eq(unlink(path), 0);
	finds_one(CSTORE_PROBLEM_DATA, "cannot be read");
}
END_TEST

START_TEST(damaged_tar_splits_are_reported)
{
	const char *path = at("G/overlay-layers/%s.tar-split.gz", base);
	_cleanup_free_ char *bytes = NULL;
	size_t len, found = 0, tried = 0;

	ck_assert_int_eq(read_file(path, 1 << 20, &bytes, &len), 0);
	for (size_t n = 0; n < len; n += 7) {
		ck_assert_int_eq(write_file(path, 0600, bytes, n, 0), 0);
		ck_assert_uint_gt(check_with(cstore_check, NULL), 0);
	}
	for (size_t i = 10; i + 8 < len; i += 5) {
		bytes[i] ^= 0x10;
		ck_assert_int_eq(write_file(path, 0600, bytes, len, 0), 0);
		found += check_with(cstore_check, NULL) > 0;
		bytes[i] ^= 0x10;
		tried++;
	}
	ck_assert_uint_ge(found, tried - tried / 10); /* a code that is never used may change */
	ck_assert_int_eq(unlink(path), 0);
	finds(CSTORE_PROBLEM_CONTENT, "it cannot be opened");
}
END_TEST

START_TEST(quick_does_not_read_layers_and_cancel_stops)
{
	struct cstore_check_options o = { .size = sizeof(o), .quick = 1 };
	int cancel = 1;

	ck_assert_int_eq(unlink(in_base("only")), 0);
	ck_assert_uint_eq(check_with(cstore_check, &o), 0);
	o.cancel = &cancel;
	fails(cstore_check(store, &o, &report, &err), CSTORE_E_CANCELLED);
	fails(cstore_check(store, &o, NULL, &err), -EINVAL);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("check");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_sound_store_has_no_problems);
	tcase_add_test(t, altered_content_is_found_and_not_guessed);
	tcase_add_test(t, a_broken_image_goes_only_when_asked);
	tcase_add_test(t, what_headers_say_is_made_again);
	tcase_add_test(t, attributes_are_set_again);
	tcase_add_test(t, whiteouts_are_made_again);
	tcase_add_test(t, what_is_no_member_goes);
	tcase_add_test(t, links_and_lower_files_are_made_again);
	tcase_add_test(t, orphans_go);
	tcase_add_test(t, a_damaged_file_of_records_is_set_aside_and_salvaged);
	tcase_add_test(t, lost_layer_records_come_back_from_disk);
	tcase_add_test(t, records_without_an_id_are_set_aside);
	tcase_add_test(t, a_name_belongs_to_the_later_record);
	tcase_add_test(t, altered_data_of_an_image_is_found);
	tcase_add_test(t, damaged_tar_splits_are_reported);
	tcase_add_test(t, quick_does_not_read_layers_and_cancel_stops);
	return run_suite("check", &t, 1);
}
