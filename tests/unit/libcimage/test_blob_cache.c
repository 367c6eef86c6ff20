/* SPDX-License-Identifier: Apache-2.0 */
#include "blob_cache.h"
#include "unit.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define A "sha256:" HEX "a"
#define B "sha256:" HEX "b"
#define C "sha256:" HEX "c"

static struct scratch scratch;

/* [owned] path of a cache that is not there, or is this text. */
static char *fresh(const char *text)
{
	char *path;

	scratch_make(&scratch);
	path = scratch_write(&scratch, "below/blobs", text ? text : "");
	ck_assert_int_eq(text ? 0 : rm_rf_at(AT_FDCWD, scratch.path), 0);
	return path;
}

static void done(struct blob_cache *b, char *path)
{
	blob_cache_free(b);
	free(path);
	(void)rm_rf_at(AT_FDCWD, scratch.path);
}

START_TEST(nothing_is_known_without_a_file)
{
	struct blob_variant v[BLOB_CACHE_FOUND_MAX];
	char *path = fresh(NULL);
	struct blob_cache *b = blob_cache_load(path);

	ck_assert_ptr_null(blob_cache_locations(b, A, "h:1"));
	ck_assert_uint_eq(blob_cache_variants(b, A, v), 0);
	blob_cache_save(b);
	ck_assert_int_ne(access(path, F_OK), 0);
	done(b, path);
	blob_cache_save(NULL);
	ck_assert_ptr_null(blob_cache_free(NULL));
	ck_assert_ptr_null(blob_cache_locations(NULL, A, "h:1"));
}
END_TEST

START_TEST(what_was_saved_is_known_newest_first)
{
	const struct blob_variant gz = { B, 7, "gzip" }, zst = { C, 5, "zstd" };
	struct blob_variant v[BLOB_CACHE_FOUND_MAX];
	char *path = fresh(NULL);
	struct blob_cache *b = blob_cache_load(path);
	char **at;

	blob_cache_add_location(b, A, "h:1/x/y");
	blob_cache_add_location(b, A, "h:1/z");
	blob_cache_add_location(b, A, "h:1/x/y");
	blob_cache_add_location(b, A, "h:12/w");
	blob_cache_add_variant(b, A, &gz);
	blob_cache_add_variant(b, A, &zst);
	blob_cache_save(b);
	blob_cache_free(b);
	b = blob_cache_load(path);
	at = blob_cache_locations(b, A, "h:1");
	ck_assert_uint_eq(strv_len(at), 2);
	ck_assert_str_eq(at[0], "z");
	ck_assert_str_eq(at[1], "x/y");
	cimage_strv_free(at);
	ck_assert_uint_eq(blob_cache_variants(b, A, v), 2);
	ck_assert_str_eq(v[0].digest, C);
	ck_assert_int_eq(v[0].size, 5);
	ck_assert_str_eq(v[1].form, "gzip");
	ck_assert_uint_eq(blob_cache_variants(b, B, v), 0);
	done(b, path);
}
END_TEST

START_TEST(what_two_add_is_all_there)
{
	char *path = fresh(NULL);
	struct blob_cache *a = blob_cache_load(path), *b = blob_cache_load(path);
	char **at;

	blob_cache_add_location(a, A, "h/a");
	blob_cache_add_location(b, A, "h/b");
	blob_cache_save(a);
	blob_cache_save(b);
	blob_cache_free(a);
	blob_cache_free(b);
	b = blob_cache_load(path);
	at = blob_cache_locations(b, A, "h");
	ck_assert_uint_eq(strv_len(at), 2);
	cimage_strv_free(at);
	done(b, path);
}
END_TEST

START_TEST(damaged_lines_are_passed_over)
{
	char *path = fresh("at\nat " A "\nat " A " h/x?mount=1\nat " A " h/\nat " A " h/UP\nis " A "\nis " A " sha256:12 3 gzip\n"
			   "is " A " " B " -1 gzip\nis " A " " B " 1 lzma\nis " A " " B " x gzip\n\n\xff\xfe\nat " A " h/good\n"
			   "is " A " " B " 1 zstd\n");
	struct blob_cache *b = blob_cache_load(path);
	struct blob_variant v[BLOB_CACHE_FOUND_MAX];
	char **at = blob_cache_locations(b, A, "h");

	ck_assert_uint_eq(strv_len(at), 1);
	ck_assert_str_eq(at[0], "good");
	ck_assert_uint_eq(blob_cache_variants(b, A, v), 1);
	cimage_strv_free(at);
	done(b, path);
}
END_TEST

START_TEST(the_oldest_are_forgotten)
{
	char *path = fresh(NULL);
	struct blob_cache *b = blob_cache_load(path);
	struct stat st;
	char name[32], **at;
	int i;

	for (i = 0; i < BLOB_CACHE_ENTRIES + 10; i++) {
		snprintf(name, sizeof(name), "h%d/x", i);
		blob_cache_add_location(b, A, name);
	}
	blob_cache_save(b);
	blob_cache_free(b);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	b = blob_cache_load(path);
	ck_assert_ptr_null(blob_cache_locations(b, A, "h9"));
	at = blob_cache_locations(b, A, "h10");
	ck_assert_uint_eq(strv_len(at), 1);
	cimage_strv_free(at);
	done(b, path);
}
END_TEST

RUN_TESTS("blob_cache", nothing_is_known_without_a_file, what_was_saved_is_known_newest_first, what_two_add_is_all_there,
	  damaged_lines_are_passed_over, the_oldest_are_forgotten)
