/* SPDX-License-Identifier: Apache-2.0 */
/* crio.conf: what was read is printed, and read again as the same. */
#include <fcntl.h>
#include "../fuzz.h"
#include "config.h"

static int read_text(const void *p, size_t n, struct config **ret, struct cb_error *err)
{
	int fd = fuzz_file(p, n), r;
	_cleanup_free_ char *path = strf("/proc/self/fd/%d", fd);
	char name[] = "crid", c[] = "-c", d[] = "--config-dir=";
	char *argv[] = { name, c, path, d, NULL };
	_cleanup_strv_ char **warnings = NULL;

	r = config_read(4, argv, ret, &warnings, err);
	for (size_t i = 0; warnings && warnings[i]; i++)
		require(utf8_valid(warnings[i], strlen(warnings[i])));
	close(fd);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_str_ struct str text = STR_INIT, json = STR_INIT, second = STR_INIT;
	struct config *c = NULL, *again = NULL;
	struct cb_error err = { 0 };
	int r = read_text(data, size, &c, &err);

	fuzz_said(r, &err);
	if (r)
		return 0;
	require(!config_print(c, true, &text));
	config_json(c, &json);
	require(!json.failed && utf8_valid(json.data, json.len));
	if (read_text(text.data, text.len, &again, &err)) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	require(!config_print(again, true, &second));
	require(text.len == second.len && !memcmp(text.data, second.data, text.len));
	config_free(c);
	config_free(again);
	return 0;
}
