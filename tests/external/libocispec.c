/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody else's program: a config.json is made, printed, read again and compared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ocispec.h>

int main(void)
{
	const char *args[] = { "/bin/true", "x", NULL };
	struct ocispec *made = NULL, *read = NULL;
	struct ocispec_error err = { 0 };
	char *text = NULL;
	size_t len = 0;
	int r;

	if (ocispec_new(&made) || ocispec_set_hostname(made, "outside") || ocispec_set_args(made, args) ||
	    ocispec_set_annotation(made, "a", "b"))
		return 1;
	if (ocispec_format(made, OCISPEC_FORMAT_INDENT, &text, &len) || strlen(text) != len)
		return 2;
	r = ocispec_parse(text, len, &read, &err);
	if (r) {
		fprintf(stderr, "%d: %s\n", r, err.message);
		return 3;
	}
	if (strcmp(ocispec_get_hostname(read), "outside") || strcmp(ocispec_get_annotation(read, "a"), "b"))
		return 4;
	if (ocispec_parse("[", 1, &read, &err) != OCISPEC_E_INVALID || !err.message[0])
		return 5;
	free(text);
	ocispec_free(made);
	ocispec_free(read);
	puts("ok");
	return 0;
}
