/* SPDX-License-Identifier: Apache-2.0 */
/* What a registry sends: manifests, the choice from lists, configs. The first byte picks the media type. */
#include <cbase/digest.h>
#include "config.h"
#include "manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_descriptor(const struct descriptor *d)
{
	if (!digest_valid(d->digest) || d->size < 0 || !d->media_type)
		abort();
}

static void check_manifest(const struct manifest *m)
{
	struct descriptor d;
	struct platform p;

	if (manifest_is_list(m)) {
		platform_init(&p, "linux", "arm", "v7");
		if (!manifest_choose(m, &p, &d, NULL))
			check_descriptor(&d);
		return;
	}
	check_descriptor(&m->config);
	for (size_t i = 0; i < m->layer_count; i++)
		check_descriptor(&m->layers[i]);
}

static void check_strings(const char *const *v)
{
	for (; *v; v++)
		if (!utf8_valid(*v, strlen(*v)))
			abort();
}

static void check_config(const char *text, size_t n)
{
	struct cimage_config *c = NULL;

	if (cimage_config_parse(text, n, &c, NULL))
		return;
	check_strings((const char *const[]){ cimage_config_user(c), cimage_config_working_dir(c), cimage_config_os(c),
					     cimage_config_architecture(c), cimage_config_stop_signal(c), NULL });
	check_strings(cimage_config_entrypoint(c));
	check_strings(cimage_config_cmd(c));
	check_strings(cimage_config_env(c));
	check_strings(cimage_config_volumes(c));
	check_strings(cimage_config_labels(c));
	cimage_config_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = { NULL, "application/vnd.oci.image.manifest.v1+json",
					     "application/vnd.oci.image.index.v1+json", "text/plain; x" };
	struct cimage_error err = { 0 };
	struct manifest *m = NULL;

	if (!size)
		return 0;
	if (!manifest_parse((const char *)data + 1, size - 1, types[data[0] % 4], &m, &err))
		check_manifest(m);
	else if (!utf8_valid(err.message, strlen(err.message)))
		abort();
	manifest_free(m);
	check_config((const char *)data + 1, size - 1);
	return 0;
}
