/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CSTORAGE_OPTIONS_H
#define CSTORAGE_OPTIONS_H

#include <stdbool.h>

struct cstore_options {
	char *graph_root, *run_root, *driver, *mountopt; /* NULL: default */
	bool skip_mount_home, disable_volatile, no_mounts, leave_garbage;
};

#endif
