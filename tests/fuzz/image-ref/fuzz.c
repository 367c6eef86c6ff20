/* SPDX-License-Identifier: Apache-2.0 */
/* References: what is accepted is normal, says the same again, and is safe in URLs and file names. */
#include "ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_parts(const struct cimage_ref *r)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/@";
	const char *s = cimage_ref_string(r);

	if (strspn(s, safe) != strlen(s) || strstr(s, "..") || strstr(s, "//"))
		if (!cimage_ref_tag(r) || !strstr(cimage_ref_tag(r), ".."))	/* a tag may have them */
			abort();
	if (strstr(cimage_ref_name(r), "..") || strlen(cimage_ref_name(r)) > REF_NAME_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cimage_ref *r = NULL, *again = NULL, *asked = NULL;
	char *text = strndup((const char *)data, size);
	struct cimage_error err;

	cimage_ref_is_short(text);
	if (cimage_ref_parse(text, 1, &r, &err)) {
		if (!utf8_valid(err.message, strlen(err.message)))
			abort();
		free(text);
		return 0;
	}
	check_parts(r);
	if (cimage_ref_parse(cimage_ref_string(r), 0, &again, NULL) ||
	    !streq(cimage_ref_string(r), cimage_ref_string(again)) || ref_for_fetch(r, &asked) ||
	    !cimage_ref_tag(asked) == !cimage_ref_digest(asked))
		abort();
	cimage_ref_free(r);
	cimage_ref_free(again);
	cimage_ref_free(asked);
	free(text);
	return 0;
}
