/* SPDX-License-Identifier: Apache-2.0 */
/* Names and removal. */
#include "cstore_tool.h"

static int run_tag(void *user, int argc, char **argv)
{
	struct cstore_error err = { 0 };
	struct tool *t = user;
	struct object o;
	int r;

	opt_image = true;
	r = object_find(t, argv[0], &o);
	for (int i = 1; i < argc && !r; i++) {
		r = cstore_image_add_name(t->store, o.id, argv[i], &err);
		if (r)
			r = failed(r, &err);
	}
	return r;
}

static int run_untag(void *user, int argc, char **argv)
{
	struct cstore_error err = { 0 };
	struct tool *t = user;
	struct object o;
	int r = 0;

	opt_image = true;
	for (int i = 0; i < argc && !r; i++) {
		r = object_find(t, argv[i], &o);
		if (!r && cstore_image_remove_name(t->store, o.id, argv[i], &err))
			r = failed(EXIT_FAILURE, &err);
	}
	return r;
}

static int remove_one(struct tool *t, const struct object *o)
{
	struct cstore_error err = { 0 };
	int r = o->kind == KIND_CONTAINER ? cstore_container_delete(t->store, o->id, &err)
		: o->kind == KIND_IMAGE	  ? cstore_image_delete(t->store, o->id, &err)
					  : cstore_layer_delete(t->store, o->id, &err);

	if (r)
		return failed(r, &err);
	puts(o->id);
	return 0;
}

/* All of them, also when one cannot be removed. */
static int run_rm(void *user, int argc, char **argv)
{
	struct object o;
	int first = 0;

	for (int i = 0; i < argc; i++) {
		int r = object_find(user, argv[i], &o);

		r = r ? r : remove_one(user, &o);
		first = first ? first : r;
	}
	return first;
}

static int run_gc(void *user, int argc, char **argv)
{
	struct cstore_error err = { 0 };
	struct tool *t = user;
	int r = cstore_collect_garbage(t->store, &err);

	return r ? failed(r, &err) : 0;
}

static const struct opt rm_options[] = { OBJECT_OPTIONS, { 0 } };

const struct command cmd_tag = {
	.name = "tag", .args = "IMAGE NAME...", .summary = "give an image more names",
	.details = "A name is taken away from the image that has it.", .min_args = 2, .max_args = -1, .run = run_tag,
};
const struct command cmd_untag = {
	.name = "untag", .args = "NAME...", .summary = "take names away from images; these stay",
	.min_args = 1, .max_args = -1, .run = run_untag,
};
const struct command cmd_rm = {
	.name = "rm", .args = "CONTAINER|IMAGE|LAYER...", .summary = "remove containers, images, layers",
	.details = "An image that a container uses stays, and a layer that others stand on. The layers of an image go\n"
		   "with it unless something else needs them.",
	.options = rm_options, .min_args = 1, .max_args = -1, .run = run_rm,
};
const struct command cmd_gc = {
	.name = "gc", .args = "", .summary = "remove what programs that died left behind", .run = run_gc,
};
