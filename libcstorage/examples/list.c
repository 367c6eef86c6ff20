/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the images of a store: list GRAPHROOT RUNROOT */
#include <inttypes.h>
#include <stdio.h>
#include <cstorage.h>

static int list(struct cstore *store, struct cstore_error *err)
{
	struct cstore_image_list *images = NULL;
	int r = cstore_image_list(store, &images, err);

	for (size_t i = 0; i < cstore_image_list_count(images) && !r; i++) {
		const struct cstore_image *image = cstore_image_list_get(images, i);
		const char *const *names = cstore_image_names(image);
		uint64_t size = 0;

		r = cstore_image_size(store, cstore_image_id(image), &size, err);
		printf("%s %" PRIu64 " %s\n", cstore_image_id(image), size,
		       names[0] ? names[0] : "<none>");
	}
	cstore_image_list_free(images);
	return r;
}

int main(int argc, char **argv)
{
	struct cstore_options *options = NULL;
	struct cstore *store = NULL;
	struct cstore_error err = { 0 };
	int r;

	if (argc != 3)
		return 2;
	r = cstore_options_new(&options);
	if (!r)
		r = cstore_options_set_graph_root(options, argv[1]);
	if (!r)
		r = cstore_options_set_run_root(options, argv[2]);
	if (!r)
		r = cstore_options_set_no_mounts(options, 1);
	if (!r)
		r = cstore_open(options, &store, &err);
	if (!r)
		r = list(store, &err);
	if (r)
		fprintf(stderr, "%s: %s\n", argv[0], err.message);
	cstore_free(store);
	cstore_options_free(options);
	return r != 0;
}
