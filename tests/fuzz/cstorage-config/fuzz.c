/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as storage.conf, and its lines as options of the driver. Nothing is opened. */
#include <fcntl.h>
#include "../fuzz.h"
#include "private.h"

static void options_by_line(struct cstore_options *o, char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int r = cstore_options_add_driver_option(o, line);

		require(r == 0 || r == -EINVAL || r == -EOPNOTSUPP);
		cstore_options_set_graph_root(o, line);
		cstore_options_set_image_store(o, line);
		cstore_options_add_image_store(o, line);
		cstore_options_set_driver(o, line);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("storage.conf", MFD_CLOEXEC), r;
	char *text = strndup((const char *)data, size), path[64];
	struct cstore_options *o = NULL;
	struct cstore_error err = { 0 };

	require(fd >= 0 && text && write_all(fd, data, size) == 0);
	require(cstore_options_new(&o) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = cstore_options_load(o, path, &err);
	require(r == 0 || ((r == CSTORE_E_INVALID || r < 0) && *err.message));
	options_by_line(o, text);
	cstore_options_free(o);
	free(text);
	close(fd);
	return 0;
}
