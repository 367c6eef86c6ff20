/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts an image into a store: layers, then the image, then its name. What a pull does after download.
 *
 *	load GRAPHROOT RUNROOT NAME ID MANIFEST-DIGEST CONFIG-FILE MANIFEST-FILE LAYER-FILE...
 *
 * ID is the sha256 of the configuration in hex, as the format wants it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cstorage.h>

static char *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	char *p = f ? malloc(1 << 20) : NULL;

	*len = p ? fread(p, 1, 1 << 20, f) : 0;
	if (f)
		fclose(f);
	return p;
}

/* Extracts all layers, writes them to disk at once, then publishes them from the base upwards. */
static int load_layers(struct cstore_staging *staging, char *const *files, int n, char *top,
		       struct cstore_error *err)
{
	struct cstore_staged **staged = calloc((size_t)n + 1, sizeof(struct cstore_staged *));
	char id[65];
	int r = 0;

	for (int i = 0; i < n && !r; i++) {
		int fd = open(files[i], O_RDONLY | O_CLOEXEC);

		r = fd < 0 ? -1 : cstore_staging_apply(staging, fd, NULL, &staged[i], err);
		close(fd);
	}
	if (!r)
		r = cstore_staging_sync(staging, err);
	for (int i = 0; i < n && !r; i++) {
		r = cstore_layer_chain_id(i ? top : NULL, cstore_staged_diff_id(staged[i]), id);
		if (!r)
			r = cstore_staging_publish(staging, staged[i], id, i ? top : NULL, err);
		staged[i] = NULL; /* publish took it */
		memcpy(top, id, sizeof(id));
	}
	for (int i = 0; i < n; i++)
		cstore_staged_free(staged[i]);
	free(staged);
	return r;
}

static int load_image(struct cstore *store, char **argv, const char *top, struct cstore_error *err)
{
	const char *names[] = { argv[3], NULL };
	char config_key[80], manifest_key[100];
	size_t config_len, manifest_len;
	char *config = slurp(argv[6], &config_len), *manifest = slurp(argv[7], &manifest_len);
	const struct cstore_blob data[] = {
		{ config_key, config, config_len, NULL },
		{ manifest_key, manifest, manifest_len, argv[5] },
		{ "manifest", manifest, manifest_len, argv[5] },
	};
	const struct cstore_image_spec spec = {
		.size = sizeof(spec),
		.id = argv[4],
		.top_layer = *top ? top : NULL,
		.digest = argv[5],
		.names = names,
		.data = data,
		.data_count = 3,
	};
	int r;

	snprintf(config_key, sizeof(config_key), "sha256:%s", argv[4]);
	snprintf(manifest_key, sizeof(manifest_key), "manifest-%s", argv[5]);
	r = cstore_image_put(store, &spec, err);
	free(config);
	free(manifest);
	return r;
}

int main(int argc, char **argv)
{
	struct cstore_options *options = NULL;
	struct cstore_staging *staging = NULL;
	struct cstore *store = NULL;
	struct cstore_error err = { 0 };
	char top[65] = "";
	int r;

	if (argc < 8) {
		fprintf(stderr,
			"usage: %s GRAPHROOT RUNROOT NAME ID MANIFEST-DIGEST CONFIG MANIFEST "
			"LAYER...\n",
			argv[0]);
		return 2;
	}
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
		r = cstore_staging_new(store, &staging, &err);
	if (!r)
		r = load_layers(staging, argv + 8, argc - 8, top, &err);
	if (!r)
		r = load_image(store, argv, top, &err);
	if (r)
		fprintf(stderr, "%s: %s\n", argv[0], err.message);
	cstore_staging_free(staging);
	cstore_free(store);
	cstore_options_free(options);
	return r != 0;
}
