/* SPDX-License-Identifier: Apache-2.0 */
/* layers NAME: what an image consists of, without fetching a layer */
#include <stdio.h>
#include <cimage.h>

static int show(void *user, const struct cimage_image *image, int *fds, struct cimage_error *err)
{
	printf("%s\n", cimage_image_manifest_digest(image));
	for (size_t i = 0; i < cimage_image_layer_count(image); i++) {
		const struct cimage_layer *layer = cimage_image_layer(image, i);

		printf("  %s %lld bytes\n", layer->digest, (long long)layer->size);
	}
	return 0; /* all fds[] stay -1: no layer is wanted */
}

static int visit(struct cimage_context *c, const char *name, struct cimage_error *err)
{
	const struct cimage_sink sink = { .size = sizeof(sink), .image = show };
	char **candidates;
	int r;

	r = cimage_resolve(c, name, &candidates, err);
	if (r)
		return r;
	for (char **text = candidates; *text; text++) {
		struct cimage_ref *ref = NULL;

		r = cimage_ref_parse(*text, 1, &ref, err);
		if (!r)
			r = cimage_fetch(c, ref, &sink, err);
		cimage_ref_free(ref);
		if (!r)
			break; /* else the next candidate may have it */
	}
	cimage_strv_free(candidates);
	return r;
}

int main(int argc, char **argv)
{
	struct cimage_error err = { 0 };
	struct cimage_context *c;
	int r;

	if (argc != 2 || cimage_context_new(&c))
		return 2;
	r = visit(c, argv[1], &err);
	if (r)
		fprintf(stderr, "%s\n", err.message);
	cimage_context_free(c);
	return r ? 1 : 0;
}
