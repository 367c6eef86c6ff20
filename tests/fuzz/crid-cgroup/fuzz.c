/* SPDX-License-Identifier: Apache-2.0 */
/* Files of cgroups: the first line names the file, the rest is its content; read as v1 and as v2. */
#include <stdlib.h>
#include <string.h>
#include "cgroup_usage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *content;
	struct cgroup_usage u;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	content = strchr(text, '\n');
	if (content) {
		*content++ = '\0';
		cgroup_usage_init(&u);
		cgroup_usage_parse(false, text, content, &u);
		cgroup_usage_parse(true, text, content, &u);
		if (u.n_devices > USAGE_DEVICES_MAX || cgroup_working_set(&u) == USAGE_UNLIMITED)
			abort();
	}
	free(text);
	return 0;
}
