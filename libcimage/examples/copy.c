/* SPDX-License-Identifier: Apache-2.0 */
/* copy FROM TO: an image from one place to another, such as docker://busybox and oci:/tmp/layout:busybox */
#include <stdio.h>
#include <stdlib.h>
#include <cimage.h>

static int copy(struct cimage_context *c, const char *from_text, const char *to_text, struct cimage_error *err)
{
	struct cimage_place *from = NULL, *to = NULL;
	char *digest = NULL;
	int r;

	r = cimage_place_parse(c, from_text, &from, err);
	if (!r)
		r = cimage_place_parse(c, to_text, &to, err);
	if (!r)
		r = cimage_copy(c, from, c, to, NULL, &digest, err);
	if (!r)
		printf("%s\n", digest);
	free(digest);
	cimage_place_free(from);
	cimage_place_free(to);
	return r;
}

int main(int argc, char **argv)
{
	struct cimage_error err = { 0 };
	struct cimage_context *c;
	int r;

	if (argc != 3 || cimage_context_new(&c))
		return 2;
	r = copy(c, argv[1], argv[2], &err);
	if (r)
		fprintf(stderr, "%s\n", err.message);
	cimage_context_free(c);
	return r ? 1 : 0;
}
