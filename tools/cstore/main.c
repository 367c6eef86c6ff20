/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cstore: containers, images and layers of a containers/storage store by hand: the one that crid, CRI-O,
 * podman, buildah and skopeo have in common.
 */
#include <cbase/io.h>
#include "cstore_tool.h"

static const struct command *const commands[] = {
	&cmd_images, &cmd_layers, &cmd_containers, &cmd_import, &cmd_export, &cmd_create,
	&cmd_mount,  &cmd_umount, &cmd_diff,	   &cmd_tag,	&cmd_untag,  &cmd_rm,
	&cmd_gc,     &cmd_du,	  &cmd_check,	   &cmd_repair, &cmd_info,   NULL,
};

static struct tool tool;

static const struct opt options[] = {
	{ 'c', "conf", OPT_STRING, &tool.conf, "FILE",
	  "read FILE instead of storage.conf and its drop-ins" },
	{ 0, "root", OPT_STRING, &tool.root, "PATH", "graph root: where the store is" },
	{ 0, "runroot", OPT_STRING, &tool.run_root, "PATH", "run root: what is gone after a reboot" },
	{ 0, "storage-driver", OPT_STRING, &tool.driver, "NAME", "overlay or vfs" },
	{ 0, "imagestore", OPT_STRING, &tool.image_store, "PATH",
	  "where images are, when not in the graph root" },
	{ 0, "storage-opt", OPT_LIST, &tool.options, "KEY=VALUE",
	  "option of the driver; may be repeated" },
	{ 0, "json", OPT_FLAG, &tool.json, NULL, "print JSON" },
	{ 'q', "quiet", OPT_FLAG, &tool.quiet, NULL, "print only ids" },
	{ 0 },
};

int failed(int r, const struct cstore_error *err)
{
	complain("%s", *err->message ? err->message : strerror(r < 0 ? -r : EINVAL));
	if (r == CSTORE_E_AMBIGUOUS)
		complain("give more digits of the id");
	if (r == CSTORE_E_DAMAGED)
		complain("\"cstore check\" tells what is damaged, \"cstore repair\" mends it");
	if (r == CSTORE_E_READ_ONLY)
		complain("use --root with the store that the object is in");
	if (r == -EACCES || r == -EPERM)
		complain("the store belongs to root: be root, or name your own with --root and --runroot");
	return EXIT_FAILURE;
}

static int set(int r, const char *option, const char *value)
{
	if (!r)
		return 0;
	complain("%s %s: %s", option, value,
		 r == -EOPNOTSUPP ? "is not supported" : r == -ENOMEM ? "out of memory" : "is invalid");
	return EXIT_USAGE;
}

static int take_options(struct tool *t, struct cstore_options *o)
{
	int r = 0;

	if (t->root)
		r = set(cstore_options_set_graph_root(o, t->root), "--root", t->root);
	if (!r && t->run_root)
		r = set(cstore_options_set_run_root(o, t->run_root), "--runroot", t->run_root);
	if (!r && t->driver)
		r = set(cstore_options_set_driver(o, t->driver), "--storage-driver", t->driver);
	if (!r && t->image_store)
		r = set(cstore_options_set_image_store(o, t->image_store), "--imagestore",
			t->image_store);
	for (size_t i = 0; i < strv_len(t->options) && !r; i++)
		r = set(cstore_options_add_driver_option(o, t->options[i]), "--storage-opt",
			t->options[i]);
	return r;
}

static int open_store(void *user)
{
	struct cstore_error err = { 0 };
	struct cstore_options *o = NULL;
	struct tool *t = user;
	int r;

	if (cstore_options_new(&o)) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	r = cstore_options_load(o, t->conf, &err);
	if (r)
		r = failed(r, &err);
	if (!r)
		r = take_options(t, o);
	if (!r) {
		r = cstore_open(o, &t->store, &err);
		if (r)
			r = failed(r, &err);
	}
	cstore_options_free(o);
	return r;
}

/* ---- long work ---- */

int work_start(struct work *w, const char *left_behind)
{
	*w = (struct work){ .fd = -1 };
	return interrupt_init(&w->fd, left_behind);
}

void work_show(struct work *w, const char *name, uint64_t done, uint64_t size)
{
	int64_t now = mono_ns() / 1000000;

	if (interrupted())
		w->cancel = 1;
	bars_set(&w->bars, name, (int64_t)done, (int64_t)size);
	if (bars_on_terminal() && now - w->shown >= 100) {
		w->shown = now;
		bars_show(&w->bars, false);
	}
}

void work_done(struct work *w)
{
	if (w->bars.n && bars_on_terminal())
		bars_show(&w->bars, true);
	bars_done(&w->bars);
}

int main(int argc, char **argv)
{
	const struct program program = {
		.name = "cstore",
		.version = CSTORE_VERSION,
		.commands = commands,
		.options = options,
		.prepare = open_store,
		.user = &tool,
	};
	int r = program_main(&program, argc, argv);

	cstore_free(tool.store);
	strv_free(tool.options);
	return r;
}
