/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the three files of records, split at zero bytes; every reading function, and deletions. */
#include <fcntl.h>
#include "../fuzz.h"
#include "private.h"

static char base[64];
static struct cstore *store;

static void setup(void)
{
	struct cstore_options *o = NULL;
	char path[128];

	strcpy(base, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz-records-XXXXXX" : "/tmp/fuzz-records-XXXXXX");
	require(mkdtemp(base) != NULL);
	require(cstore_options_new(&o) == 0);
	snprintf(path, sizeof(path), "%s/G", base);
	require(cstore_options_set_graph_root(o, path) == 0);
	snprintf(path, sizeof(path), "%s/R", base);
	require(cstore_options_set_run_root(o, path) == 0 && cstore_options_set_no_mounts(o, 1) == 0);
	require(cstore_open(o, &store, NULL) == 0);
	cstore_options_free(o);
}

static void put(const char *name, struct records *records, const uint8_t **p, size_t *n)
{
	const uint8_t *end = memchr(*p, 0, *n);
	size_t len = end ? (size_t)(end - *p) : *n;
	char path[200];

	snprintf(path, sizeof(path), "%s/G/%s", base, name);
	require(write_file(path, 0600, *p, len, 0) == 0);
	records->stale = true;
	*p += end ? len + 1 : len;
	*n -= end ? len + 1 : len;
}

static void read_images(void)
{
	struct cstore_image_list *list = NULL;
	uint64_t bytes, inodes;

	if (cstore_image_list(store, &list, NULL))
		return;
	for (size_t i = 0; i < cstore_image_list_count(list); i++) {
		const struct cstore_image *image = cstore_image_list_get(list, i);
		struct cstore_image *again = NULL;
		char *data;
		size_t len;

		cstore_image_size(store, cstore_image_id(image), &bytes, NULL);
		for (size_t k = 0; cstore_image_names(image)[k]; k++)
			if (cstore_image_lookup(store, cstore_image_names(image)[k], &again, NULL) == 0)
				again = cstore_image_free(again);
		for (size_t k = 0; cstore_image_data_keys(image)[k]; k++)
			if (cstore_image_data(store, cstore_image_id(image), cstore_image_data_keys(image)[k], 4096, &data, &len, NULL) == 0)
				free(data);
		cstore_image_add_name(store, cstore_image_id(image), "localhost/fuzz:1", NULL);
		cstore_image_delete(store, cstore_image_id(image), NULL);
	}
	cstore_image_list_free(list);
	cstore_image_usage(store, &bytes, &inodes, NULL);
}

static void read_containers(void)
{
	struct cstore_container_list *list = NULL;
	uint64_t bytes, inodes;

	if (cstore_container_list(store, &list, NULL))
		return;
	for (size_t i = 0; i < cstore_container_list_count(list); i++) {
		const struct cstore_container *c = cstore_container_list_get(list, i);

		struct cstore_container *again = NULL;

		if (cstore_container_lookup(store, cstore_container_id(c), &again, NULL) == 0)
			cstore_container_free(again);
		cstore_container_add_name(store, cstore_container_id(c), "fuzz", NULL);
		cstore_container_set_metadata(store, cstore_container_id(c), "{}", NULL);
		cstore_container_usage(store, cstore_container_id(c), &bytes, &inodes, NULL);
		cstore_container_delete(store, cstore_container_id(c), NULL);
	}
	cstore_container_list_free(list);
}

static int count_change(void *user, int kind, const char *path)
{
	return 0;
}

static void read_layers(void)
{
	struct cstore_layer_list *list = NULL;
	uint64_t bytes, inodes;

	if (cstore_layer_list(store, &list, NULL))
		return;
	for (size_t i = 0; i < cstore_layer_list_count(list); i++) {
		const char *id = cstore_layer_id(cstore_layer_list_get(list, i));
		struct cstore_layer *again = NULL;

		require(cstore_layer_lookup(store, id, &again, NULL) == 0);
		cstore_layer_free(again);
		cstore_layer_usage(store, id, &bytes, &inodes, NULL);
		cstore_layer_changes(store, id, NULL, count_change, NULL, NULL);
		cstore_layer_delete(store, id, NULL);
	}
	cstore_layer_list_free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!store)
		setup();
	put("overlay-layers/layers.json", &store->layers, &data, &size);
	put("overlay-images/images.json", &store->images, &data, &size);
	put("overlay-containers/volatile-containers.json", &store->containers, &data, &size);
	read_images();
	read_layers();
	read_containers();
	cstore_collect_garbage(store, NULL);
	return 0;
}

__attribute__((destructor)) static void clean_up(void)
{
	if (!store)
		return;
	store = cstore_free(store);
	rm_rf_at(AT_FDCWD, base);
}
