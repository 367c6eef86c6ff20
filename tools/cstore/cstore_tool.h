/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of cstore. */
#ifndef CSTORE_TOOL_H
#define CSTORE_TOOL_H

#include <cstorage.h>
#include "tool.h"

struct tool {
	const char *conf, *root, *run_root, *driver, *image_store;
	char **options;
	bool json, quiet;
	struct cstore *store; /* open in every command */
};

/* Complains, with what to do next where that is known; EXIT_FAILURE. */
int failed(int r, const struct cstore_error *err);

/* ---- object.c: what a word on the command line names ---- */

enum kind { KIND_ANY, KIND_CONTAINER, KIND_IMAGE, KIND_LAYER };

struct object {
	enum kind kind;
	char id[65];
	char layer[65]; /* its own, or the top one; "" when it has none */
	char name[256]; /* the first, or "" */
};

extern bool opt_container, opt_image, opt_layer; /* set by OBJECT_OPTIONS */
#define OBJECT_OPTIONS \
	{ 0, "container", OPT_FLAG, &opt_container, NULL, "the argument is a container" }, \
	{ 0, "image", OPT_FLAG, &opt_image, NULL, "... an image" }, \
	{ 0, "layer", OPT_FLAG, &opt_layer, NULL, "... a layer" }

/* Containers, then images, then layers, unless an option says which. Exit status. */
int object_find(struct tool *t, const char *word, struct object *ret);
const char *kind_name(enum kind k);
/* The names of a record, each safe for a terminal, with commas between; "<none>" for none. */
void append_names(struct str *out, const char *const *names);

/* ---- JSON: out of memory shows when it is printed ---- */

void json_set_names(struct json_doc *doc, struct json *o, const char *key, const char *const *names);
void json_set_time(struct json_doc *doc, struct json *o, const char *key, int64_t ns);

/* ---- work that takes long ---- */

/* SIGINT asks it to end; cancel is what the library is to be given. */
struct work {
	struct bars bars;
	int cancel, fd;
	int64_t shown; /* ms */
};

int work_start(struct work *w, const char *left_behind);
/* Sets a bar and draws them, ten times a second at most. */
void work_show(struct work *w, const char *name, uint64_t done, uint64_t size);
void work_done(struct work *w);

extern const struct command cmd_images, cmd_layers, cmd_containers, cmd_info, cmd_du, cmd_import,
	cmd_export, cmd_create, cmd_mount, cmd_umount, cmd_diff, cmd_tag, cmd_untag, cmd_rm, cmd_gc,
	cmd_check, cmd_repair;

#endif
