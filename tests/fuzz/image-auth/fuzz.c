/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate headers, one a line, and what is made of them. */
#include "challenge.h"
#include "url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_cleanup_strv_ char **lines = NULL;
	struct challenge *list = NULL;
	struct cimage_error err = { 0 };
	size_t n = 0, i;

	if (!text || strv_split(text, '\n', &lines) || challenges_parse(lines, &list, &n))
		abort();
	for (i = 0; i < n; i++) {
		struct url u = { 0 };

		if (!list[i].realm)
			continue;
		if (url_parse(NULL, list[i].realm, &u, &err)) {
			if (!err.message[0] || !utf8_valid(err.message, strlen(err.message)))
				abort();
			continue;
		}
		if (!u.host || !u.port || strchr(u.host, '@') || !url_same_origin(&u, &u))
			abort();
		url_done(&u);
	}
	challenges_free(list, n);
	return 0;
}
