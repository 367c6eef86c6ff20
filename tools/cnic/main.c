/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cnic: CNI networks by hand, with the cache that container engines use: what an engine attached can
 * be looked at, checked and detached, and the other way round.
 */
#include "cnic_tool.h"

#define DEFAULT_TIMEOUT 300 /* s; that of kubelet's callers */

static const struct command *const commands[] = {
	&cmd_add, &cmd_del, &cmd_check, &cmd_status, &cmd_gc, &cmd_list, NULL,
};

static struct tool tool = { .timeout = DEFAULT_TIMEOUT };

static const struct opt options[] = {
	{ 'c', "conf-dir", OPT_STRING, &tool.conf_dir, "PATH",
	  "configurations (NETCONFPATH; /etc/cni/net.d)" },
	{ 'p', "plugin-dir", OPT_LIST, &tool.plugin_dirs, "PATH",
	  "where the plugins are; may be repeated (CNI_PATH; /opt/cni/bin and /usr/lib/cni)" },
	{ 0, "cache-dir", OPT_STRING, &tool.cache_dir, "PATH",
	  "what is attached (/var/lib/cni/results)" },
	{ 't', "timeout", OPT_INT, &tool.timeout, "SECONDS", "for all plugins together (300)" },
	{ 0, "json", OPT_FLAG, &tool.json, NULL, "print JSON" },
	{ 0 },
};

int failed(const struct tool *t, int r, const struct cnic_error *err)
{
	complain("%s", err->message);
	if (r == CNIC_E_NO_NETWORK && *t->trouble && !streq(t->trouble, err->message))
		complain("%s: %s", t->conf_dir, t->trouble);
	if (r == CNIC_E_NO_NETWORK)
		complain("\"cnic list\" shows what is loaded; --conf-dir and --plugin-dir say where to look");
	return EXIT_FAILURE;
}

/* Variables that cnitool goes by come after options. */
static int defaults(struct tool *t)
{
	const char *conf = getenv("NETCONFPATH"), *path = getenv("CNI_PATH");
	int r = 0;

	if (!t->conf_dir)
		t->conf_dir = conf && *conf ? conf : "/etc/cni/net.d";
	if (!t->plugin_dirs && path && *path)
		r = strv_split(path, ':', &t->plugin_dirs);
	if (!r && !t->plugin_dirs &&
	    (strv_push(&t->plugin_dirs, "/opt/cni/bin") || strv_push(&t->plugin_dirs, "/usr/lib/cni")))
		r = -ENOMEM;
	return r;
}

static int set_options(const struct tool *t, struct cnic_options *o, int interrupt_fd)
{
	if (cnic_options_set_conf_dir(o, t->conf_dir)) {
		complain("--conf-dir must be an absolute path, not \"%s\"", t->conf_dir);
		return EXIT_USAGE;
	}
	if (t->cache_dir && cnic_options_set_cache_dir(o, t->cache_dir)) {
		complain("--cache-dir must be an absolute path, not \"%s\"", t->cache_dir);
		return EXIT_USAGE;
	}
	for (char **d = t->plugin_dirs; *d; d++)
		if (cnic_options_add_plugin_dir(o, *d)) {
			complain("--plugin-dir must be an absolute path without ':', not \"%s\"", *d);
			return EXIT_USAGE;
		}
	cnic_options_set_cancel_fd(o, interrupt_fd);
	return 0;
}

static int load(struct tool *t)
{
	struct cnic_error err = { 0 };
	int r = cnic_reload(t->cnic, &err);

	if (r < 0) {
		complain("%s", err.message);
		return EXIT_FAILURE;
	}
	t->loaded = r == 0;
	utf8_copy(t->trouble, sizeof(t->trouble), err.message);
	return 0;
}

static int prepare(void *user)
{
	struct tool *t = user;
	struct cnic_options *o = NULL;
	int fd, r;

	if (t->timeout < 0 || t->timeout > 1000000) {
		complain("--timeout takes seconds from 0 (no limit) to 1000000");
		return EXIT_USAGE;
	}
	t->timeout_ms = t->timeout ? (int)t->timeout * 1000 : -1;
	r = interrupt_init(&fd, "what was being attached may stay; \"cnic list --attachments\" shows what is");
	if (r)
		return r;
	if (defaults(t) || cnic_options_new(&o)) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	r = set_options(t, o, fd);
	if (!r && cnic_new(o, &t->cnic)) {
		complain("out of memory");
		r = EXIT_FAILURE;
	}
	cnic_options_free(o);
	return r ? r : load(t);
}

int main(int argc, char **argv)
{
	const struct program program = {
		.name = "cnic",
		.version = CNIC_VERSION,
		.commands = commands,
		.options = options,
		.prepare = prepare,
		.user = &tool,
	};
	int r = program_main(&program, argc, argv);

	cnic_free(tool.cnic);
	strv_free(tool.plugin_dirs);
	return r;
}
