/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#define MANIFEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define OTHER "sha256:2222222222222222222222222222222222222222222222222222222222222222"

/* A layer without content; records and directories are as any other's. */
static void make_layer(const char *id, const char *parent)
{
	const struct layer_spec spec = { .id = id, .parent = parent };

	ok(layers_lock(store, LOCK_EXCLUSIVE, &err));
	ok(layer_create(store, &spec, &err));
	records_unlock(&store->layers);
}

static bool layer_there(const char *id)
{
	int there = -1;

	ok(cstore_layer_exists(store, id, &there, &err));
	ck_assert_int_eq(there, exists(at("G/overlay/%s", id)));
	return there;
}

static int put_image(const char *id, const char *top, const char *const *names)
{
	const struct cstore_blob data[] = {
		{ "manifest-" MANIFEST, "{m}", 3, MANIFEST }, { "manifest", "{m}", 3, MANIFEST }, { "sha256:x", "config", 6, "sha256:y" },
	};
	const struct cstore_image_spec spec = {
		.size = sizeof(spec), .id = id, .top_layer = top, .digest = MANIFEST, .created = 1704164645123000000, .names = names,
		.data = data, .data_count = ARRAY_SIZE(data),
	};

	return cstore_image_put(store, &spec, &err);
}

static struct cstore_image *lookup(const char *key)
{
	struct cstore_image *i = NULL;

	ok(cstore_image_lookup(store, key, &i, &err));
	return i;
}

static const char *const one_name[] = { "localhost/a:1", NULL };

START_TEST(a_put_image_is_listed_with_everything)
{
	struct cstore_image_list *list = NULL;
	const struct cstore_image *i;
	_cleanup_free_ char *data = NULL, *record = NULL;
	uint64_t size;
	size_t len;

	make_layer(ID_B, NULL);
	ok(put_image(ID_A, ID_B, one_name));
	ok(cstore_image_list(store, &list, &err));
	ck_assert_uint_eq(cstore_image_list_count(list), 1);
	i = cstore_image_list_get(list, 0);
	ck_assert_str_eq(cstore_image_id(i), ID_A);
	ck_assert_str_eq(cstore_image_names(i)[0], "localhost/a:1");
	ck_assert_ptr_null(cstore_image_names(i)[1]);
	ck_assert_str_eq(cstore_image_digest(i), MANIFEST);
	ck_assert_str_eq(cstore_image_digests(i)[0], MANIFEST);
	ck_assert_ptr_null(cstore_image_digests(i)[1]);
	ck_assert_str_eq(cstore_image_data_keys(i)[2], "sha256:x");
	ck_assert_str_eq(cstore_image_top_layer(i), ID_B);
	ck_assert_str_eq(cstore_image_metadata(i), "{}");
	ck_assert_int_eq(cstore_image_created(i), 1704164645123000000);
	ck_assert_ptr_null(cstore_image_list_get(list, 1));
	cstore_image_list_free(list);
	ok(cstore_image_data(store, ID_A, "sha256:x", 6, &data, &len, &err));
	ck_assert_str_eq(data, "config");
	ck_assert_uint_eq(len, 6);
	ok(cstore_image_size(store, ID_A, &size, &err));
	ck_assert_uint_ge(size, 12);
	record = get(at("G/overlay-images/images.json"));
	ck_assert_str_eq(record, "[{\"id\":\"" ID_A "\",\"digest\":\"" MANIFEST "\",\"names\":[\"localhost/a:1\"],\"names-history\":[\"localhost/a:1\"],"
		"\"layer\":\"" ID_B "\",\"metadata\":\"{}\",\"big-data-names\":[\"manifest-" MANIFEST "\",\"manifest\",\"sha256:x\"],"
		"\"big-data-sizes\":{\"manifest\":3,\"manifest-" MANIFEST "\":3,\"sha256:x\":6},"
		"\"big-data-digests\":{\"manifest\":\"" MANIFEST "\",\"manifest-" MANIFEST "\":\"" MANIFEST "\",\"sha256:x\":\"sha256:y\"},"
		"\"created\":\"2024-01-02T03:04:05.123Z\"}]");
	ck_assert(exists(at("G/overlay-images/" ID_A "/manifest")));
	ck_assert(exists(at("G/overlay-images/" ID_A "/=c2hhMjU2Ong=")));
}
END_TEST

START_TEST(a_digest_that_is_not_given_is_computed)
{
	const struct cstore_blob data = { "k", "hello\n", 6, NULL };
	const struct cstore_image_spec spec = { .size = sizeof(spec), .id = ID_A, .data = &data, .data_count = 1 };
	_cleanup_free_ char *record = NULL;

	ok(cstore_image_put(store, &spec, &err));
	record = get(at("G/overlay-images/images.json"));
	ck_assert_ptr_nonnull(strstr(record, "\"k\":\"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\""));
}
END_TEST

START_TEST(images_are_found_by_id_name_and_unique_beginning)
{
	static const char near[] = "aaaa1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct cstore_image *i = NULL;

	ok(put_image(ID_A, NULL, one_name));
	ok(put_image(near, NULL, NULL));
	i = lookup(ID_A);
	ck_assert_str_eq(cstore_image_names(i)[0], "localhost/a:1");
	i = cstore_image_free(i);
	i = lookup("localhost/a:1");
	ck_assert_str_eq(cstore_image_id(i), ID_A);
	i = cstore_image_free(i);
	i = lookup("aaaa1");
	ck_assert_str_eq(cstore_image_id(i), near);
	cstore_image_free(i);
	fails(cstore_image_lookup(store, "aaaa", &i, &err), CSTORE_E_AMBIGUOUS);
	fails(cstore_image_lookup(store, "aa", &i, &err), CSTORE_E_NOT_FOUND);
	fails(cstore_image_lookup(store, "localhost/a", &i, &err), CSTORE_E_NOT_FOUND);
	fails(cstore_image_lookup(store, "", &i, &err), CSTORE_E_NOT_FOUND);
}
END_TEST

START_TEST(a_name_is_taken_from_whoever_had_it)
{
	struct cstore_image *i;

	ok(put_image(ID_A, NULL, one_name));
	ok(put_image(ID_B, NULL, one_name));
	i = lookup("localhost/a:1");
	ck_assert_str_eq(cstore_image_id(i), ID_B);
	cstore_image_free(i);
	i = lookup(ID_A);
	ck_assert_ptr_null(cstore_image_names(i)[0]);
	cstore_image_free(i);
	ok(cstore_image_add_name(store, ID_A, "localhost/a:1", &err));
	ok(cstore_image_add_name(store, ID_A, "localhost/b:1", &err));
	ok(cstore_image_add_name(store, ID_A, "localhost/b:1", &err));
	i = lookup(ID_A);
	ck_assert_str_eq(cstore_image_names(i)[0], "localhost/a:1");
	ck_assert_str_eq(cstore_image_names(i)[1], "localhost/b:1");
	ck_assert_ptr_null(cstore_image_names(i)[2]);
	cstore_image_free(i);
	ok(cstore_image_remove_name(store, ID_A, "localhost/a:1", &err));
	fails(cstore_image_remove_name(store, ID_A, "localhost/a:1", &err), CSTORE_E_NOT_FOUND);
	fails(cstore_image_remove_name(store, ID_C, "localhost/a:1", &err), CSTORE_E_NOT_FOUND);
	fails(cstore_image_add_name(store, ID_A, "bad\xff", &err), CSTORE_E_INVALID);
	_cleanup_free_ char *record = get(at("G/overlay-images/images.json"));

	ck_assert_ptr_nonnull(strstr(record, "\"names-history\":[\"localhost/b:1\",\"localhost/a:1\"]"));
}
END_TEST

START_TEST(putting_again_adds_and_another_top_layer_is_refused)
{
	static const char *const more[] = { "localhost/a:2", NULL };
	struct cstore_image *i;

	make_layer(ID_B, NULL);
	make_layer(ID_C, NULL);
	ok(put_image(ID_A, ID_B, one_name));
	ok(put_image(ID_A, ID_B, more));
	i = lookup(ID_A);
	ck_assert_str_eq(cstore_image_names(i)[1], "localhost/a:2");
	ck_assert_ptr_null(cstore_image_data_keys(i)[3]);
	cstore_image_free(i);
	fails(put_image(ID_A, ID_C, one_name), CSTORE_E_EXISTS);
	fails(put_image(ID_A, NULL, one_name), CSTORE_E_EXISTS);
	fails(put_image(ID_D, ID_D, one_name), CSTORE_E_NOT_FOUND);
}
END_TEST

START_TEST(data_has_a_limit_and_a_name_that_stays_in_its_directory)
{
	_cleanup_free_ char *data = NULL, *name = NULL;
	size_t len;

	ok(put_image(ID_A, NULL, NULL));
	fails(cstore_image_data(store, ID_A, "sha256:x", 5, &data, &len, &err), CSTORE_E_LIMIT);
	fails(cstore_image_data(store, ID_A, "none", 5, &data, &len, &err), CSTORE_E_NOT_FOUND);
	fails(cstore_image_data(store, ID_B, "manifest", 5, &data, &len, &err), CSTORE_E_NOT_FOUND);
	fails(cstore_image_data(store, "../" ID_B, "manifest", 5, &data, &len, &err), -EINVAL);
	fails(image_data_name("..", &name, &err), CSTORE_E_INVALID);
	fails(image_data_name("", &name, &err), CSTORE_E_INVALID);
	fails(image_data_name("\xff\xff\xff", &name, &err), CSTORE_E_INVALID);	/* base64 is "////" */
	ok(image_data_name("../x", &name, &err));
	ck_assert_str_eq(name, "=Li4veA==");
}
END_TEST

START_TEST(deleting_takes_the_layers_that_nothing_needs)
{
	/* B <- C <- D; image A on D, another on C */
	static const char second[] = "1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef";

	make_layer(ID_B, NULL);
	make_layer(ID_C, ID_B);
	make_layer(ID_D, ID_C);
	ok(put_image(ID_A, ID_D, one_name));
	ok(put_image(second, ID_C, NULL));
	ok(cstore_image_delete(store, ID_A, &err));
	ck_assert(!layer_there(ID_D));
	ck_assert(layer_there(ID_C));
	ck_assert(layer_there(ID_B));
	ck_assert(!exists(at("G/overlay-images/" ID_A)));
	fails(cstore_image_delete(store, ID_A, &err), CSTORE_E_NOT_FOUND);
	ok(cstore_image_delete(store, second, &err));
	ck_assert(!layer_there(ID_C));
	ck_assert(!layer_there(ID_B));
	ck_assert_uint_eq(count_entries(at("G/overlay/l")), 0);
	ck_assert_uint_eq(count_entries(at("G/overlay/tempdirs")), 0);
}
END_TEST

START_TEST(a_deletion_that_was_cut_short_is_finished_by_who_comes_next)
{
	static const char second[] = "1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef";
	char *going[] = { (char *)(uintptr_t)ID_D, NULL };
	struct cstore_image_list *list;

	make_layer(ID_C, NULL);
	make_layer(ID_D, ID_C);
	ok(put_image(ID_A, ID_D, one_name));
	ok(put_image(second, ID_C, NULL));
	ok(layers_lock(store, LOCK_EXCLUSIVE, &err));
	ok(layers_begin_removal(store, going, &err));
	records_unlock(&store->layers);
	ck_assert(!layer_there(ID_D));
	ck_assert(layer_there(ID_C));
	ok(cstore_image_list(store, &list, &err));
	ck_assert_uint_eq(cstore_image_list_count(list), 1);
	ck_assert_str_eq(cstore_image_id(cstore_image_list_get(list, 0)), second);
	cstore_image_list_free(list);
	ok(cstore_collect_garbage(store, &err));
	ck_assert(!exists(at("G/overlay-images/" ID_A)));
	ok(put_image(ID_A, ID_C, one_name));		/* it may come again */
}
END_TEST

START_TEST(an_image_that_a_container_uses_stays)
{
	const struct cstore_container_spec c = { .size = sizeof(c), .id = ID_C, .image = ID_A, .is_volatile = 1 };

	make_layer(ID_B, NULL);
	ok(put_image(ID_A, ID_B, one_name));
	ok(cstore_container_create(store, &c, &err));
	fails(cstore_image_delete(store, ID_A, &err), CSTORE_E_IN_USE);
	ck_assert(layer_there(ID_B));
	ok(cstore_container_delete(store, ID_C, &err));
	ok(cstore_image_delete(store, ID_A, &err));
	ck_assert(!layer_there(ID_B));
}
END_TEST

START_TEST(a_failed_put_leaves_the_old_record)
{
	static const char *const names[] = { "localhost/new:1", NULL };
	struct cstore_image *i = NULL;

	ok(put_image(ID_A, NULL, one_name));
	/* its data cannot be written */
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, at("G/overlay-images/" ID_A)), 0);
	put(at("G/overlay-images/" ID_A), "");
	ck_assert_int_lt(put_image(ID_A, NULL, names), 0);
	fails(cstore_image_lookup(store, "localhost/new:1", &i, &err), CSTORE_E_NOT_FOUND);
	i = lookup("localhost/a:1");
	cstore_image_free(i);
}
END_TEST

START_TEST(digests_are_those_of_all_manifests)
{
	struct cstore_image *i;

	put(at("G/overlay-images/images.json"), "[{\"id\":\"" ID_A "\",\"big-data-names\":[\"x\",\"manifest-1\",\"manifest\",\"manifest-2\"],"
	    "\"big-data-digests\":{\"x\":\"sha256:x\",\"manifest-1\":\"" MANIFEST "\",\"manifest\":\"" MANIFEST "\",\"manifest-2\":\"" OTHER "\"},"
	    "\"created\":\"0001-01-01T00:00:00Z\"}]");
	i = lookup(ID_A);
	ck_assert_str_eq(cstore_image_digests(i)[0], MANIFEST);
	ck_assert_str_eq(cstore_image_digests(i)[1], OTHER);
	ck_assert_ptr_null(cstore_image_digests(i)[2]);
	ck_assert_str_eq(cstore_image_digest(i), MANIFEST);
	cstore_image_free(i);
}
END_TEST

START_TEST(damaged_chains_of_layers_end)
{
	uint64_t size;

	put(at("G/overlay-layers/layers.json"), "[{\"id\":\"" ID_B "\",\"parent\":\"" ID_C "\",\"diff-size\":1},{\"id\":\"" ID_C "\",\"parent\":\"" ID_B
	    "\",\"diff-size\":1},{\"id\":\"" ID_D "\",\"parent\":\"../../x\",\"diff-size\":1}]");
	put(at("G/overlay-images/images.json"), "[{\"id\":\"" ID_A "\",\"layer\":\"" ID_B "\"},{\"id\":\"" ID_C "\",\"layer\":\"" ID_D "\"},{\"id\":\"" ID_D
	    "\",\"layer\":\"/etc\"}]");
	fails(cstore_image_size(store, ID_A, &size, &err), CSTORE_E_DAMAGED);
	fails(cstore_image_size(store, ID_C, &size, &err), CSTORE_E_DAMAGED);
	fails(cstore_image_size(store, ID_D, &size, &err), CSTORE_E_DAMAGED);
	ok(cstore_image_delete(store, ID_D, &err));
	ok(cstore_image_delete(store, ID_A, &err));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("image"), *all[] = { t };

	tcase_add_checked_fixture(t, store_setup, store_teardown);
	tcase_add_test(t, a_put_image_is_listed_with_everything);
	tcase_add_test(t, a_digest_that_is_not_given_is_computed);
	tcase_add_test(t, images_are_found_by_id_name_and_unique_beginning);
	tcase_add_test(t, a_name_is_taken_from_whoever_had_it);
	tcase_add_test(t, putting_again_adds_and_another_top_layer_is_refused);
	tcase_add_test(t, data_has_a_limit_and_a_name_that_stays_in_its_directory);
	tcase_add_test(t, deleting_takes_the_layers_that_nothing_needs);
	tcase_add_test(t, a_deletion_that_was_cut_short_is_finished_by_who_comes_next);
	tcase_add_test(t, an_image_that_a_container_uses_stays);
	tcase_add_test(t, a_failed_put_leaves_the_old_record);
	tcase_add_test(t, digests_are_those_of_all_manifests);
	tcase_add_test(t, damaged_chains_of_layers_end);
	return run_suite("image", all, 1);
}
