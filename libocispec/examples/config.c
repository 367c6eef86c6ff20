/* SPDX-License-Identifier: Apache-2.0 */
/* config ROOTFS COMMAND [ARGUMENT...] >config.json; then: runc run NAME, or crun run NAME */
#include <stdio.h>
#include <stdlib.h>
#include <ocispec.h>

static int describe(struct ocispec *s, const char *rootfs, const char *const *command)
{
	static const char *const capabilities[] = { "CHOWN", "KILL", NULL };
	static const char *const hidden[] = { "/proc/kcore", "/proc/keys", NULL };
	int sets = OCISPEC_CAP_BOUNDING | OCISPEC_CAP_EFFECTIVE | OCISPEC_CAP_PERMITTED;

	return ocispec_set_root(s, rootfs, 1) || ocispec_set_args(s, command) ||
	       ocispec_set_hostname(s, "example") || ocispec_set_env(s, "TERM", "dumb") ||
	       ocispec_set_no_new_privileges(s, 1) ||
	       ocispec_set_capabilities(s, sets, capabilities) ||
	       ocispec_set_masked_paths(s, hidden) || ocispec_set_pids_limit(s, 100) ||
	       ocispec_set_default_seccomp(s, NULL); /* after the capabilities */
}

int main(int argc, char **argv)
{
	struct ocispec *s = NULL;
	char *text = NULL;
	int failed;

	if (argc < 3)
		return 2;
	failed = ocispec_new(&s) || describe(s, argv[1], (const char *const *)argv + 2) ||
		 ocispec_format(s, OCISPEC_FORMAT_INDENT, &text, NULL);
	if (!failed)
		puts(text);
	free(text);
	ocispec_free(s);
	return failed;
}
