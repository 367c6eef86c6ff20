/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody else's program: an empty store, an image of no layers in it, looked up by id and name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cstorage.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int use(struct cstore *store, struct cstore_error *err)
{
	const char *names[] = { "localhost/outside:1", NULL };
	const struct cstore_image_spec spec = { .size = sizeof(spec), .id = ID, .names = names };
	struct cstore_image_list *list = NULL;
	struct cstore_image *image = NULL;

	if (cstore_image_lookup(store, ID, &image, err) != CSTORE_E_NOT_FOUND)
		return 3;
	if (cstore_image_put(store, &spec, err) || cstore_image_list(store, &list, err))
		return 4;
	if (cstore_image_list_count(list) != 1)
		return 5;
	cstore_image_list_free(list);
	if (cstore_image_lookup(store, names[0], &image, err) || strcmp(cstore_image_id(image), ID))
		return 6;
	cstore_image_free(image);
	if (cstore_image_delete(store, ID, err))
		return 7;
	return cstore_image_delete(store, ID, err) == CSTORE_E_NOT_FOUND ? 0 : 8;
}

int main(void)
{
	char dir[] = "/tmp/external-cstorage-XXXXXX", root[64], run[64], command[64];
	struct cstore_options *options = NULL;
	struct cstore *store = NULL;
	struct cstore_error err = { 0 };
	int status;

	if (!mkdtemp(dir))
		return 1;
	snprintf(root, sizeof(root), "%s/root", dir);
	snprintf(run, sizeof(run), "%s/run", dir);
	if (cstore_options_new(&options) || cstore_options_set_graph_root(options, root) ||
	    cstore_options_set_run_root(options, run) || cstore_options_set_driver(options, "overlay") ||
	    cstore_options_set_no_mounts(options, 1) || cstore_open(options, &store, &err))
		status = 2;
	else
		status = use(store, &err);
	if (status)
		fprintf(stderr, "step %d: %s\n", status, err.message);
	cstore_free(store);
	cstore_options_free(options);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command))
		return 9;
	if (!status)
		puts("ok");
	return status;
}
