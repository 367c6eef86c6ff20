/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include "unit.h"

static const char *const names[] = { "k8s_POD_x", "k8s_x", NULL };

static int create(const char *id, const char *layer_name, bool is_volatile)
{
	const struct cstore_container_spec spec = {
		.size = sizeof(spec), .id = id, .names = names, .image = ID_A, .layer_name = layer_name, .metadata = "{\"pod-name\":\"<x>\"}",
		.mount_label = "label", .is_volatile = is_volatile,
	};

	return cstore_container_create(store, &spec, &err);
}

static void setup(void)
{
	const struct layer_spec base = { .id = ID_B };
	const struct cstore_image_spec image = { .size = sizeof(image), .id = ID_A, .top_layer = ID_B };

	store_setup();
	ok(layers_lock(store, LOCK_EXCLUSIVE, &err));
	ok(layer_create(store, &base, &err));
	records_unlock(&store->layers);
	ok(cstore_image_put(store, &image, &err));
}

static char *layer_of(const char *id)
{
	char *layer = NULL;

	ok(container_layer(store, id, &layer, &err));
	return layer;
}

START_TEST(a_volatile_container_is_recorded_as_crio_does)
{
	_cleanup_free_ char *containers = NULL, *layers = NULL, *layer = NULL, *want = NULL;

	ok(create(ID_C, "k8s_x-layer", true));
	layer = layer_of(ID_C);
	containers = get(at("G/overlay-containers/volatile-containers.json"));
	layers = get(at("G/overlay-layers/volatile-layers.json"));
	want = strf("[{\"id\":\"" ID_C "\",\"names\":[\"k8s_POD_x\",\"k8s_x\"],\"image\":\"" ID_A "\",\"layer\":\"%s\","
		    "\"metadata\":\"{\\\"pod-name\\\":\\\"\\u003cx\\u003e\\\"}\",\"created\":\"", layer);
	ck_assert_int_eq(strncmp(containers, want, strlen(want)), 0);
	ck_assert_ptr_nonnull(strstr(containers, "Z\",\"flags\":{\"MountLabel\":\"label\",\"ProcessLabel\":\"\",\"Volatile\":true}}]"));
	free(want);
	want = strf("[{\"id\":\"%s\",\"names\":[\"k8s_x-layer\"],\"parent\":\"" ID_B "\",\"mountlabel\":\"label\",\"created\":\"", layer);
	ck_assert_int_eq(strncmp(layers, want, strlen(want)), 0);
	ck_assert(!exists(at("G/overlay-containers/containers.json")));
}
END_TEST

START_TEST(other_containers_are_in_the_stable_files)
{
	ok(create(ID_C, NULL, false));
	_cleanup_free_ char *containers = get(at("G/overlay-containers/containers.json")), *layers = get(at("G/overlay-layers/layers.json"));

	ck_assert_ptr_nonnull(strstr(containers, ID_C));
	ck_assert_ptr_null(strstr(containers, "Volatile"));
	ck_assert_ptr_nonnull(strstr(layers, "\"parent\":\"" ID_B "\""));
	ck_assert(!exists(at("G/overlay-containers/volatile-containers.json")));
}
END_TEST

START_TEST(its_layer_stands_on_the_images)
{
	_cleanup_free_ char *layer = NULL, *lower = NULL, *link = NULL, *base = NULL, *target = NULL;
	struct stat st;

	chmod(at("G/overlay/" ID_B "/diff"), 01751);
	ok(create(ID_C, NULL, true));
	layer = layer_of(ID_C);
	base = get(at("G/overlay/" ID_B "/link"));
	lower = get(at("G/overlay/%s/lower", layer));
	link = get(at("G/overlay/%s/link", layer));
	ck_assert_uint_eq(strlen(link), LINK_LEN);
	target = strf("l/%s", base);
	ck_assert_str_eq(lower, target);
	ck_assert_int_eq(stat(at("G/overlay/l/%s", link), &st), 0);	/* follows it to diff */
	ck_assert_int_eq(st.st_mode, S_IFDIR | 01751);
	ck_assert(exists(at("G/overlay/%s/work", layer)));
	ck_assert(exists(at("G/overlay/%s/merged", layer)));
	ck_assert(!exists(at("G/overlay/%s/empty", layer)));
	ck_assert(exists(at("G/overlay/" ID_B "/empty")));
}
END_TEST

START_TEST(ids_and_names_are_taken_once)
{
	ok(create(ID_C, "layer", true));
	fails(create(ID_C, NULL, true), CSTORE_E_EXISTS);
	fails(create(ID_D, NULL, true), CSTORE_E_EXISTS);	/* its names */
	says("k8s_POD_x");
	const struct cstore_container_spec spec = { .size = sizeof(spec), .id = ID_D, .image = ID_A, .layer_name = "layer", .is_volatile = 1 };

	fails(cstore_container_create(store, &spec, &err), CSTORE_E_EXISTS);
	says("layer name");
	/* and nothing of it is left */
	_cleanup_free_ char *text = get(at("G/overlay-containers/volatile-containers.json"));

	ck_assert_ptr_null(strstr(text, ID_D));
	ck_assert_uint_eq(count_entries(at("G/overlay/l")), 2);
}
END_TEST

START_TEST(an_unknown_image_is_not_found)
{
	const struct cstore_container_spec spec = { .size = sizeof(spec), .id = ID_D, .image = ID_D };
	const struct cstore_container_spec bad = { .size = sizeof(spec), .id = "../x", .image = ID_A };

	fails(cstore_container_create(store, &spec, &err), CSTORE_E_NOT_FOUND);
	fails(cstore_container_create(store, &bad, &err), -EINVAL);
}
END_TEST

START_TEST(listing_shows_the_record)
{
	struct cstore_container_list *list = NULL;
	const struct cstore_container *c;
	_cleanup_free_ char *layer = NULL;

	ok(create(ID_C, NULL, true));
	layer = layer_of(ID_C);
	ok(cstore_container_list(store, &list, &err));
	ck_assert_uint_eq(cstore_container_list_count(list), 1);
	c = cstore_container_list_get(list, 0);
	ck_assert_str_eq(cstore_container_id(c), ID_C);
	ck_assert_str_eq(cstore_container_names(c)[1], "k8s_x");
	ck_assert_str_eq(cstore_container_image(c), ID_A);
	ck_assert_str_eq(cstore_container_layer(c), layer);
	ck_assert_str_eq(cstore_container_metadata(c), "{\"pod-name\":\"<x>\"}");
	ck_assert_int_lt(now_ns() - cstore_container_created(c), INT64_C(60000000000));
	cstore_container_list_free(list);
}
END_TEST

START_TEST(directories_are_made_and_go_with_the_container)
{
	_cleanup_free_ char *dir = NULL, *run = NULL, *layer = NULL;
	struct stat st;

	fails(cstore_container_dir(store, ID_C, &dir, &err), CSTORE_E_NOT_FOUND);
	ok(create(ID_C, NULL, true));
	ok(cstore_container_dir(store, ID_C, &dir, &err));
	ck_assert_str_eq(dir, at("G/overlay-containers/" ID_C "/userdata"));
	ok(cstore_container_run_dir(store, ID_C, &run, &err));
	ck_assert_str_eq(run, at("R/overlay-containers/" ID_C "/userdata"));
	ck_assert_int_eq(stat(dir, &st), 0);
	ck_assert_int_eq(st.st_mode, S_IFDIR | 0700);
	put(at("G/overlay-containers/" ID_C "/userdata/config.json"), "{}");
	layer = layer_of(ID_C);
	ok(cstore_container_delete(store, ID_C, &err));
	ck_assert(!exists(at("G/overlay-containers/" ID_C)));
	ck_assert(!exists(at("R/overlay-containers/" ID_C)));
	ck_assert(!exists(at("G/overlay/%s", layer)));
	ck_assert_uint_eq(count_entries(at("G/overlay/l")), 1);
	ck_assert_uint_eq(count_entries(at("G/overlay/tempdirs")), 0);
	fails(cstore_container_delete(store, ID_C, &err), CSTORE_E_NOT_FOUND);
}
END_TEST

START_TEST(a_store_that_leaves_garbage_only_moves_it_aside)
{
	store->leave_garbage = true;
	ok(create(ID_C, NULL, true));
	ok(cstore_container_delete(store, ID_C, &err));
	ck_assert_uint_eq(count_entries(at("G/overlay")), 4);	/* l, tempdirs, .has-mount-program, the image's layer */
	ck_assert_uint_eq(count_entries(at("G/overlay/tempdirs")), 2);
	ok(cstore_collect_garbage(store, &err));
	ck_assert_uint_eq(count_entries(at("G/overlay/tempdirs")), 0);
}
END_TEST

START_TEST(a_container_whose_layer_is_gone_can_be_deleted)
{
	_cleanup_free_ char *layer = NULL;

	ok(create(ID_C, NULL, true));
	layer = layer_of(ID_C);
	put(at("G/overlay-layers/volatile-layers.json"), "[]");
	put(at("G/overlay-layers/layers.lock"), "somebody else");
	ok(cstore_container_delete(store, ID_C, &err));
	ck_assert(!exists(at("G/overlay/%s", layer)));
}
END_TEST

START_TEST(a_layer_that_others_stand_on_is_not_deleted)
{
	_cleanup_free_ char *layer = NULL;

	ok(create(ID_C, NULL, true));
	layer = layer_of(ID_C);
	const struct layer_spec above = { .id = ID_D, .parent = layer };

	ok(layers_lock(store, LOCK_EXCLUSIVE, &err));
	ok(layer_create(store, &above, &err));
	records_unlock(&store->layers);
	fails(cstore_container_delete(store, ID_C, &err), CSTORE_E_IN_USE);
	ck_assert(exists(at("G/overlay/%s", layer)));
}
END_TEST

START_TEST(without_mounts_nothing_can_be_mounted)
{
	char *path = NULL;

	ok(create(ID_C, NULL, true));
	fails(cstore_container_mount(store, ID_C, &path, &err), -EOPNOTSUPP);
	ok(cstore_container_unmount(store, ID_C, 0, &err));	/* not mounted is success */
	fails(cstore_container_unmount(store, ID_D, 0, &err), CSTORE_E_NOT_FOUND);
}
END_TEST

START_TEST(incomplete_layers_are_removed_by_whoever_comes_next)
{
	int there;

	ck_assert_int_eq(mkdir_p(at("G/overlay/" ID_D "/diff/x"), 0700), 0);
	put(at("G/overlay-layers/volatile-layers.json"), "[{\"id\":\"" ID_D "\",\"flags\":{\"incomplete\":true}}]");
	ok(cstore_layer_exists(store, ID_D, &there, &err));
	ck_assert_int_eq(there, 0);
	ck_assert(!exists(at("G/overlay/" ID_D)));
	_cleanup_free_ char *text = get(at("G/overlay-layers/volatile-layers.json"));

	ck_assert_str_eq(text, "[]");
}
END_TEST

#define THREADS 4
#define EACH 12

static void *create_many(void *arg)
{
	unsigned base = (unsigned)(uintptr_t)arg;
	/* half of them use an object of their own, as another process would */
	struct cstore *s = base % 2 ? store_open(false) : store;
	struct cstore_error e;

	for (unsigned i = 0; i < EACH; i++) {
		char id[ID_LEN + 1], name[32];
		const char *its[] = { name, NULL };
		struct cstore_container_spec spec = { .size = sizeof(spec), .id = id, .names = its, .image = ID_A, .layer_name = name, .is_volatile = 1 };

		snprintf(id, sizeof(id), "%064x", base * 1000 + i);
		snprintf(name, sizeof(name), "c%u-%u", base, i);
		ck_assert_msg(cstore_container_create(s, &spec, &e) == 0, "%s", e.message);
		if (i % 3 == 0)
			ck_assert_msg(cstore_container_delete(s, id, &e) == 0, "%s", e.message);
	}
	if (s != store)
		cstore_free(s);
	return NULL;
}

START_TEST(threads_and_objects_do_not_lose_each_others_changes)
{
	struct cstore_container_list *list = NULL;
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, create_many, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ok(cstore_container_list(store, &list, &err));
	ck_assert_uint_eq(cstore_container_list_count(list), THREADS * EACH * 2 / 3);
	cstore_container_list_free(list);
	ck_assert_uint_eq(count_entries(at("G/overlay/l")), THREADS * EACH * 2 / 3 + 1);
}
END_TEST

/* ---- threads ---- */

#define USERS 8
#define TURNS 15

static atomic_int thread_failed;

static void thread_check(int r, const struct cstore_error *e)
{
	if (r && !atomic_exchange(&thread_failed, 1))
		fprintf(stderr, "thread: %d %s\n", r, e->message);
}

/* All of the interface at once, on one object; each thread has containers of its own. */
static void *use_store(void *arg)
{
	unsigned number = (unsigned)(uintptr_t)arg;
	const char *own[] = { NULL, NULL };
	struct cstore_container_spec spec = { .size = sizeof(spec), .names = own, .image = ID_A, .is_volatile = (int)(number % 2) };
	char id[ID_LEN + 1], name[32];

	for (unsigned i = 0; i < TURNS; i++) {
		struct cstore_container_list *containers = NULL;
		struct cstore_image_list *images = NULL;
		struct cstore_layer_list *layers = NULL;
		struct cstore_container *c = NULL;
		struct cstore_error e = { 0 };
		uint64_t bytes, inodes;

		snprintf(id, sizeof(id), "%060xabcd", number * 1000 + i + 1);
		snprintf(name, sizeof(name), "t%u-%u", number, i);
		own[0] = name;
		spec.id = id;
		thread_check(cstore_container_create(store, &spec, &e), &e);
		thread_check(cstore_container_lookup(store, name, &c, &e), &e);
		thread_check(cstore_container_set_metadata(store, id, "{}", &e), &e);
		thread_check(cstore_container_list(store, &containers, &e), &e);
		thread_check(cstore_image_list(store, &images, &e), &e);
		thread_check(cstore_layer_list(store, &layers, &e), &e);
		thread_check(cstore_container_usage(store, id, &bytes, &inodes, &e), &e);
		thread_check(cstore_image_usage(store, &bytes, &inodes, &e), &e);
		thread_check(cstore_image_add_name(store, ID_A, name, &e), &e);
		if (i % 3)
			thread_check(cstore_container_delete(store, id, &e), &e);
		if (i % 8 == 0)
			thread_check(cstore_collect_garbage(store, &e), &e);
		cstore_container_free(c);
		cstore_container_list_free(containers);
		cstore_image_list_free(images);
		cstore_layer_list_free(layers);
	}
	return NULL;
}

START_TEST(threads_share_one_store)
{
	struct cstore_container_list *list = NULL;
	struct cstore_image *image = NULL;
	pthread_t threads[USERS];

	store->layers.durable = store->images.durable = store->containers.durable = false;
	store->usage_age = INT64_C(1000000000);
	for (unsigned i = 0; i < USERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, use_store, (void *)(uintptr_t)i), 0);
	for (unsigned i = 0; i < USERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(thread_failed, 0);
	ok(cstore_container_list(store, &list, &err));
	ck_assert_uint_eq(cstore_container_list_count(list), USERS * (TURNS / 3));
	cstore_container_list_free(list);
	ok(cstore_image_lookup(store, ID_A, &image, &err));
	ck_assert_uint_ge(strv_len((char **)(uintptr_t)cstore_image_names(image)), USERS * TURNS);
	cstore_image_free(image);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("container"), *all[] = { t };

	tcase_add_checked_fixture(t, setup, store_teardown);
	tcase_add_test(t, a_volatile_container_is_recorded_as_crio_does);
	tcase_add_test(t, other_containers_are_in_the_stable_files);
	tcase_add_test(t, its_layer_stands_on_the_images);
	tcase_add_test(t, ids_and_names_are_taken_once);
	tcase_add_test(t, an_unknown_image_is_not_found);
	tcase_add_test(t, listing_shows_the_record);
	tcase_add_test(t, directories_are_made_and_go_with_the_container);
	tcase_add_test(t, a_store_that_leaves_garbage_only_moves_it_aside);
	tcase_add_test(t, a_container_whose_layer_is_gone_can_be_deleted);
	tcase_add_test(t, a_layer_that_others_stand_on_is_not_deleted);
	tcase_add_test(t, without_mounts_nothing_can_be_mounted);
	tcase_add_test(t, incomplete_layers_are_removed_by_whoever_comes_next);
	tcase_add_test(t, threads_and_objects_do_not_lose_each_others_changes);
	tcase_add_test(t, threads_share_one_store);
	return run_suite("container", all, 1);
}
