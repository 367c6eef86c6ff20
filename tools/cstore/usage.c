/* SPDX-License-Identifier: Apache-2.0 */
/* Where the store is, what it holds, and what that takes on disk. */
#include <cbase/io.h>
#include "cstore_tool.h"

struct lists {
	struct cstore_image_list *images;
	struct cstore_layer_list *layers;
	struct cstore_container_list *containers;
};

static int lists_load(struct tool *t, struct lists *l)
{
	struct cstore_error err = { 0 };
	int r = cstore_image_list(t->store, &l->images, &err);

	if (!r)
		r = cstore_layer_list(t->store, &l->layers, &err);
	if (!r)
		r = cstore_container_list(t->store, &l->containers, &err);
	return r ? failed(r, &err) : 0;
}

static void lists_done(struct lists *l)
{
	cstore_image_list_free(l->images);
	cstore_layer_list_free(l->layers);
	cstore_container_list_free(l->containers);
}

static int run_info(void *user, int argc, char **argv)
{
	_cleanup_(lists_done) struct lists l = { NULL };
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct tool *t = user;
	struct json *o;
	int r = lists_load(t, &l);

	if (r)
		return r;
	if (!doc) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	o = json_root(doc);
	json_set_string(doc, o, "driver", cstore_driver(t->store));
	json_set_string(doc, o, "graphRoot", cstore_graph_root(t->store));
	json_set_string(doc, o, "runRoot", cstore_run_root(t->store));
	json_set_int(doc, o, "images", (int64_t)cstore_image_list_count(l.images));
	json_set_int(doc, o, "layers", (int64_t)cstore_layer_list_count(l.layers));
	json_set_int(doc, o, "containers", (int64_t)cstore_container_list_count(l.containers));
	if (t->json)
		return json_print(doc);
	json_foreach(item, o)
		printf("%-11s %s\n", item->key, item->string);
	return EXIT_SUCCESS;
}

/* ---- du ---- */

struct total {
	uint64_t bytes, inodes;
};

static void put_row(struct table *table, const char *what, const char *id, const char *name,
		    const struct total *u)
{
	_cleanup_str_ struct str size = STR_INIT, safe = STR_INIT;
	char short_id[14];

	text_size(u->bytes, &size);
	text_append_safe(&safe, name, false);
	table_add(table, what);
	table_add(table, *id ? text_short_id(id, short_id) : "");
	table_add(table, safe.data ? safe.data : "");
	table_add(table, size.data ? size.data : "");
	table_addf(table, "%llu", (unsigned long long)u->inodes);
}

static void put_object(struct json_doc *doc, struct json *array, const char *id, const char *name,
		       const struct total *u)
{
	struct json *o = json_new_object(doc);

	json_set_string(doc, o, "id", id);
	json_set_string(doc, o, "name", name);
	json_set_int(doc, o, "bytes", (int64_t)u->bytes);
	json_set_int(doc, o, "inodes", (int64_t)u->inodes);
	json_append(doc, array, o);
}

struct report {
	struct tool *t;
	struct table table;
	struct json_doc *doc;
	struct json *array;
	struct total images, containers;
};

static int du_layers(struct report *p, const struct lists *l)
{
	struct cstore_error err = { 0 };
	struct total u;

	p->array = json_set_array(p->doc, json_root(p->doc), "layers");
	for (size_t i = 0; i < cstore_layer_list_count(l->layers); i++) {
		const struct cstore_layer *layer = cstore_layer_list_get(l->layers, i);
		const char *name = cstore_layer_names(layer)[0];
		int r = cstore_layer_usage(p->t->store, cstore_layer_id(layer), &u.bytes, &u.inodes, &err);

		if (r == CSTORE_E_NOT_FOUND || r == -ENOENT) /* deleted meanwhile */
			continue;
		if (r)
			return failed(r, &err);
		put_row(&p->table, "layer", cstore_layer_id(layer), name ? name : "", &u);
		put_object(p->doc, p->array, cstore_layer_id(layer), name ? name : "", &u);
	}
	return 0;
}

static int du_containers(struct report *p, const struct lists *l)
{
	struct cstore_error err = { 0 };
	struct total u;

	p->array = json_set_array(p->doc, json_root(p->doc), "containers");
	for (size_t i = 0; i < cstore_container_list_count(l->containers); i++) {
		const struct cstore_container *c = cstore_container_list_get(l->containers, i);
		const char *name = cstore_container_names(c)[0];
		int r = cstore_container_usage(p->t->store, cstore_container_id(c), &u.bytes,
					       &u.inodes, &err);

		if (r == CSTORE_E_NOT_FOUND || r == -ENOENT)
			continue;
		if (r)
			return failed(r, &err);
		p->containers.bytes += u.bytes;
		p->containers.inodes += u.inodes;
		put_row(&p->table, "container", cstore_container_id(c), name ? name : "", &u);
		put_object(p->doc, p->array, cstore_container_id(c), name ? name : "", &u);
	}
	return 0;
}

static void du_totals(struct report *p)
{
	struct json *o = json_set_object(p->doc, json_root(p->doc), "total");

	put_row(&p->table, "all images", "", "", &p->images);
	put_row(&p->table, "all containers", "", "", &p->containers);
	json_set_int(p->doc, o, "imageBytes", (int64_t)p->images.bytes);
	json_set_int(p->doc, o, "imageInodes", (int64_t)p->images.inodes);
	json_set_int(p->doc, o, "containerBytes", (int64_t)p->containers.bytes);
	json_set_int(p->doc, o, "containerInodes", (int64_t)p->containers.inodes);
}

/* All images first: what is measured for them is known when each layer is asked for. */
static int du_all(struct report *p, const struct lists *l)
{
	struct cstore_error err = { 0 };
	int r = cstore_image_usage(p->t->store, &p->images.bytes, &p->images.inodes, &err);

	r = r ? failed(r, &err) : du_layers(p, l);
	if (!r)
		r = du_containers(p, l);
	if (!r)
		du_totals(p);
	return r;
}

static int run_du(void *user, int argc, char **argv)
{
	static const char *const header[] = { "WHAT", "ID", "NAME", "SIZE", "INODES" };
	_cleanup_(lists_done) struct lists l = { NULL };
	struct report p = { .t = user, .doc = json_doc_new() };
	int r = lists_load(user, &l);

	if (!p.doc) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	table_init(&p.table, ARRAY_SIZE(header), header);
	if (!r)
		r = du_all(&p, &l);
	if (!r && p.t->json)
		r = json_print(p.doc);
	if (!r && !p.t->json)
		r = table_print(&p.table, stdout);
	else
		table_done(&p.table);
	json_doc_free(p.doc);
	return r;
}

const struct command cmd_info = {
	.name = "info", .args = "", .summary = "tell where the store is and what it holds", .run = run_info,
};
const struct command cmd_du = {
	.name = "du", .args = "", .summary = "tell what layers and containers take on disk",
	.details = "Blocks and inodes of each layer without those below it. A container's are those of its\n"
		   "writable layer, which is in the list of layers, too.",
	.run = run_du,
};
