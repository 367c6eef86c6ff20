/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer changes in those below it. */
#include "cstore_tool.h"

struct listing {
	struct tool *t;
	struct work work;
	struct json_doc *doc;
};

static int each(void *user, int kind, const char *path)
{
	static const char letters[] = "CAD";
	_cleanup_str_ struct str safe = STR_INIT;
	struct listing *l = user;

	if (interrupted())
		return 1;
	if (l->t->json) {
		struct json *o = json_new_object(l->doc);

		json_set_string(l->doc, o, "path", path);
		json_set_string(l->doc, o, "change", (const char *[]){ "modified", "added", "deleted" }[kind]);
		json_append(l->doc, json_root(l->doc), o);
		return json_failed(l->doc);
	}
	text_append_safe(&safe, path, false);
	printf("%c /%s\n", letters[kind], safe.data ? safe.data : "");
	return 0;
}

static int run_diff(void *user, int argc, char **argv)
{
	struct listing l = { .t = user, .doc = json_doc_new() };
	struct cstore_error err = { 0 };
	struct object o;
	int r = l.doc ? object_find(l.t, argv[0], &o) : EXIT_FAILURE;

	if (!r && !*o.layer) {
		complain("%s %s has no layer", kind_name(o.kind), argv[0]);
		r = EXIT_FAILURE;
	}
	if (!r)
		r = work_start(&l.work, "nothing is left behind");
	if (!r) {
		json_set_root(l.doc, json_new_array(l.doc));
		r = cstore_layer_changes(l.t->store, o.layer, &l.work.cancel, each, &l, &err);
		r = r ? failed(r, &err) : l.t->json ? json_print(l.doc) : EXIT_SUCCESS;
	}
	json_doc_free(l.doc);
	return r;
}

static const struct opt diff_options[] = { OBJECT_OPTIONS, { 0 } };

const struct command cmd_diff = {
	.name = "diff", .args = "CONTAINER|IMAGE|LAYER", .summary = "list what a layer adds, changes and deletes",
	.details = "Of a container its writable layer, of an image its top layer. A added, C changed, D deleted.\n"
		   "\"cstore export\" writes the same as an archive.",
	.options = diff_options, .min_args = 1, .max_args = 1, .run = run_diff,
};
