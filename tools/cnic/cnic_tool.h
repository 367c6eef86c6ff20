/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of cnic share: the options of all of them and the library's object. */
#ifndef CNIC_TOOL_H
#define CNIC_TOOL_H

#include <cnic.h>
#include <tool.h>

struct tool {
	/* options; the directories have their defaults when prepare() is through */
	const char *conf_dir, *cache_dir;
	char **plugin_dirs;
	long long timeout; /* seconds */
	bool json;

	int timeout_ms;
	struct cnic *cnic;
	bool loaded; /* there is a default network */
	char trouble[CNIC_ERROR_MESSAGE_MAX]; /* of loading; "" */
};

extern const struct command cmd_add, cmd_del, cmd_check; /* attach.c */
extern const struct command cmd_list, cmd_status, cmd_gc; /* list.c */

/* Says what failed, and what was wrong with the configuration when that may be why. EXIT_FAILURE. */
int failed(const struct tool *t, int r, const struct cnic_error *err);

#endif
