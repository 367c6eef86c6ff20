/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seccomp profile of any bytes: resolved for a container, the result must be a document that can be
 * read again, and be compiled or refused.
 */
#include <stdlib.h>
#include <string.h>
#include <ocispec.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct ocispec *profile)
{
	struct ocispec *s = NULL, *again = NULL;
	char *text = NULL;
	void *program = NULL;
	size_t len;

	if (ocispec_new(&s) == 0 && ocispec_set_seccomp_profile(s, profile, "6.1", NULL) == 0 &&
	    ocispec_format(s, 0, &text, &len) == 0) {
		if (ocispec_parse(text, len, &again, NULL))
			abort();
		ocispec_seccomp_compile(s, &program, &len, NULL);
	}
	ocispec_validate(profile, NULL, NULL);
	free(program);
	free(text);
	ocispec_free(again);
	ocispec_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ocispec *profile = NULL;

	if (ocispec_parse_as(OCISPEC_PROFILE, (const char *)data, size, &profile, NULL) == 0)
		use(profile);
	ocispec_free(profile);
	return 0;
}
