/* SPDX-License-Identifier: Apache-2.0 */
/* A hook file of any bytes: what was accepted applies or not, and the document can be read again. */
#include <stdlib.h>
#include <string.h>
#include <ocispec.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const annotations[] = { "io.example.kind", "gpu-3", "b", "aaaaaaaaaaaaaaaaaaaaaaaa!", NULL };
	struct ocispec *s = NULL, *again = NULL;
	struct ocispec_hooks *h = NULL;
	char *text = NULL;
	size_t len;

	if (ocispec_hooks_new(&h) || ocispec_new(&s))
		return 0;
	if (ocispec_hooks_add(h, "f.json", (const char *)data, size, NULL) == 0 &&
	    ocispec_hooks_apply(h, s, annotations, 1, NULL) == 0 && ocispec_format(s, 0, &text, &len) == 0 &&
	    ocispec_parse(text, len, &again, NULL))
		abort();
	free(text);
	ocispec_free(again);
	ocispec_free(s);
	ocispec_hooks_free(h);
	return 0;
}
