/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CDI specification of any bytes, JSON or YAML: all its devices are injected, and the document can
 * be read again.
 */
#include <stdlib.h>
#include <string.h>
#include <ocispec.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ocispec *s = NULL, *again = NULL;
	struct ocispec_cdi *c = NULL;
	const char *name[2] = { NULL };
	char *text = NULL;
	size_t len;

	if (ocispec_cdi_new(&c) || ocispec_new(&s))
		return 0;
	ocispec_cdi_add(c, "f", (const char *)data, size, NULL);
	for (size_t i = 0; i < ocispec_cdi_count(c) && i < 50; i++) {
		name[0] = ocispec_cdi_device(c, i, NULL, NULL);
		ocispec_cdi_inject(c, s, name, NULL, NULL);
	}
	if (ocispec_format(s, 0, &text, &len) == 0 && ocispec_parse(text, len, &again, NULL))
		abort();
	free(text);
	ocispec_free(again);
	ocispec_free(s);
	ocispec_cdi_free(c);
	return 0;
}
