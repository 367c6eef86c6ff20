/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ocispec_parse() on any bytes. What was accepted must print, be accepted again and print the same;
 * getters and setters must not be surprised by it.
 */
#include <stdlib.h>
#include <string.h>
#include <ocispec.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(struct ocispec *s)
{
	const char *key, *value;
	uint32_t groups[4];
	int64_t n;

	for (size_t i = 0; i <= ocispec_annotation_count(s); i++)
		ocispec_annotation_at(s, i, &key, &value);
	ocispec_get_groups(s, groups, 4);
	ocispec_get_user(s, groups, groups + 1);
	ocispec_get_resource(s, "memory.limit", &n);
	ocispec_get_namespace(s, "network", &key);
	ocispec_get_terminal(s);
	ocispec_set_mount(s, "/dev", "tmpfs", "x", NULL);
	ocispec_remove_mount(s, "/proc");
	ocispec_sort_mounts(s);
	ocispec_mounts_writable(s);
	ocispec_set_env(s, "PATH", "/");
	ocispec_set_annotation(s, "m", "n");
	ocispec_set_namespace(s, "network", "/x");
	ocispec_set_rlimit(s, "RLIMIT_CORE", 1, 2);
	ocispec_set_cpu(s, 0, 0, 0, NULL, NULL);
	ocispec_set_default_seccomp(s, "6.1");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ocispec *s = NULL, *again = NULL;
	char *first = NULL, *second = NULL;
	size_t len;

	if (ocispec_parse((const char *)data, size, &s, NULL))
		return 0;
	if (ocispec_format(s, 0, &first, &len) == 0) { /* escapes may push it past the limit */
		if (ocispec_parse(first, len, &again, NULL) ||
		    ocispec_format(again, 0, &second, NULL) || strcmp(first, second) != 0)
			abort();
	}
	touch(s);
	free(first);
	free(second);
	ocispec_free(again);
	ocispec_free(s);
	return 0;
}
