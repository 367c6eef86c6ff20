/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody else's program: references are parsed, a config is read. */
#include <stdio.h>
#include <string.h>
#include <cimage.h>

int main(void)
{
	static const char config[] = "{\"os\": \"linux\", \"architecture\": \"amd64\", \"config\": {\"User\": \"7:8\", "
		"\"Cmd\": [\"sh\", \"-c\", \"true\"]}, \"rootfs\": {\"type\": \"layers\", \"diff_ids\": []}}";
	struct cimage_config *c = NULL;
	struct cimage_ref *ref = NULL;
	struct cimage_error err = { 0 };

	if (cimage_ref_parse("busybox", 1, &ref, &err) ||
	    strcmp(cimage_ref_string(ref), "docker.io/library/busybox:latest")) {
		fprintf(stderr, "busybox: %s\n", err.message);
		return 1;
	}
	ref = cimage_ref_free(ref);
	if (cimage_ref_parse("no spaces please", 1, &ref, &err) != CIMAGE_E_INVALID || !err.message[0])
		return 2;
	if (cimage_config_parse(config, strlen(config), &c, &err)) {
		fprintf(stderr, "config: %s\n", err.message);
		return 3;
	}
	if (strcmp(cimage_config_user(c), "7:8") || strcmp(cimage_config_cmd(c)[2], "true") || cimage_config_cmd(c)[3])
		return 4;
	cimage_config_free(c);
	puts("ok");
	return 0;
}
