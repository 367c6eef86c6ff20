/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the store: images, layers, containers, and the store itself. */
#include <cbase/io.h>
#include "cstore_tool.h"

/* One kind of thing as a table, JSON or ids: what differs is a row of functions. */
struct listing {
	size_t columns;
	const char *const *header;
	size_t (*count)(const void *list);
	const char *(*id)(const void *list, size_t i);
	void (*row)(struct tool *t, struct table *table, const void *list, size_t i);
	void (*object)(struct tool *t, struct json_doc *doc, struct json *o, const void *list, size_t i);
};

static int print_json(struct tool *t, const struct listing *l, const void *list)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct json *array;

	if (!doc) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	array = json_new_array(doc);
	json_set_root(doc, array);
	for (size_t i = 0; i < l->count(list); i++) {
		struct json *o = json_new_object(doc);

		json_set_string(doc, o, "id", l->id(list, i));
		l->object(t, doc, o, list, i);
		json_append(doc, array, o);
	}
	return json_print(doc);
}

static int print_list(struct tool *t, const struct listing *l, const void *list)
{
	struct table table;

	if (t->json)
		return print_json(t, l, list);
	if (t->quiet) {
		for (size_t i = 0; i < l->count(list); i++)
			puts(l->id(list, i));
		return EXIT_SUCCESS;
	}
	table_init(&table, l->columns, l->header);
	for (size_t i = 0; i < l->count(list); i++)
		l->row(t, &table, list, i);
	return table_print(&table, stdout);
}

static void add_age(struct table *table, int64_t created)
{
	_cleanup_str_ struct str age = STR_INIT;

	text_age(created, now_ns(), &age);
	table_add(table, age.data ? age.data : "");
}

static void add_size(struct table *table, int64_t bytes)
{
	_cleanup_str_ struct str size = STR_INIT;

	if (bytes >= 0)
		text_size((uint64_t)bytes, &size);
	table_add(table, size.data ? size.data : "-");
}

static void add_names(struct table *table, const char *const *names)
{
	_cleanup_str_ struct str text = STR_INIT;

	append_names(&text, names);
	table_add(table, text.data ? text.data : "");
}

static void add_id(struct table *table, const char *id)
{
	char text[14];

	table_add(table, *id ? text_short_id(id, text) : "-");
}

/* ---- images ---- */

static const struct cstore_image *image_at(const void *list, size_t i)
{
	return cstore_image_list_get(list, i);
}

static size_t image_count(const void *list)
{
	return cstore_image_list_count(list);
}

static const char *image_id(const void *list, size_t i)
{
	return cstore_image_id(image_at(list, i));
}

static int64_t image_size(struct tool *t, const struct cstore_image *i)
{
	uint64_t size;

	return cstore_image_size(t->store, cstore_image_id(i), &size, NULL) ? -1 : (int64_t)size;
}

static void image_row(struct tool *t, struct table *table, const void *list, size_t i)
{
	const struct cstore_image *image = image_at(list, i);

	add_id(table, cstore_image_id(image));
	add_names(table, cstore_image_names(image));
	add_id(table, cstore_image_top_layer(image));
	add_size(table, image_size(t, image));
	add_age(table, cstore_image_created(image));
	table_add(table, cstore_image_read_only(image) ? "ro" : "rw");
}

static void image_object(struct tool *t, struct json_doc *doc, struct json *o, const void *list,
			 size_t i)
{
	const struct cstore_image *image = image_at(list, i);

	json_set_names(doc, o, "names", cstore_image_names(image));
	json_set_names(doc, o, "namesHistory", cstore_image_names_history(image));
	json_set_string(doc, o, "digest", cstore_image_digest(image));
	json_set_names(doc, o, "digests", cstore_image_digests(image));
	json_set_string(doc, o, "layer", cstore_image_top_layer(image));
	json_set_names(doc, o, "data", cstore_image_data_keys(image));
	json_set_string(doc, o, "metadata", cstore_image_metadata(image));
	json_set_int(doc, o, "size", image_size(t, image));
	json_set_time(doc, o, "created", cstore_image_created(image));
	json_set_bool(doc, o, "readOnly", cstore_image_read_only(image));
}

static int run_images(void *user, int argc, char **argv)
{
	static const char *const header[] = { "ID", "NAMES", "LAYER", "SIZE", "CREATED", "STORE" };
	static const struct listing listing = {
		ARRAY_SIZE(header), header, image_count, image_id, image_row, image_object,
	};
	struct cstore_image_list *list = NULL;
	struct cstore_error err = { 0 };
	struct tool *t = user;
	int r = cstore_image_list(t->store, &list, &err);

	r = r ? failed(r, &err) : print_list(t, &listing, list);
	cstore_image_list_free(list);
	return r;
}

/* ---- layers ---- */

static const struct cstore_layer *layer_at(const void *list, size_t i)
{
	return cstore_layer_list_get(list, i);
}

static size_t layer_count(const void *list)
{
	return cstore_layer_list_count(list);
}

static const char *layer_id(const void *list, size_t i)
{
	return cstore_layer_id(layer_at(list, i));
}

static void layer_row(struct tool *t, struct table *table, const void *list, size_t i)
{
	const struct cstore_layer *l = layer_at(list, i);

	add_id(table, cstore_layer_id(l));
	add_names(table, cstore_layer_names(l));
	add_id(table, cstore_layer_parent(l));
	add_size(table, cstore_layer_diff_size(l));
	add_age(table, cstore_layer_created(l));
	table_addf(table, "%lld", (long long)cstore_layer_mount_count(l));
}

static void layer_object(struct tool *t, struct json_doc *doc, struct json *o, const void *list,
			 size_t i)
{
	const struct cstore_layer *l = layer_at(list, i);

	json_set_names(doc, o, "names", cstore_layer_names(l));
	json_set_string(doc, o, "parent", cstore_layer_parent(l));
	json_set_string(doc, o, "diffDigest", cstore_layer_diff_digest(l));
	json_set_int(doc, o, "diffSize", cstore_layer_diff_size(l));
	json_set_string(doc, o, "blobDigest", cstore_layer_blob_digest(l));
	json_set_int(doc, o, "blobSize", cstore_layer_blob_size(l));
	json_set_string(doc, o, "compression", cstore_layer_compression(l));
	json_set_time(doc, o, "created", cstore_layer_created(l));
	json_set_int(doc, o, "mounts", cstore_layer_mount_count(l));
	json_set_bool(doc, o, "readOnly", cstore_layer_read_only(l));
	json_set_bool(doc, o, "volatile", cstore_layer_is_volatile(l));
}

static int run_layers(void *user, int argc, char **argv)
{
	static const char *const header[] = { "ID", "NAMES", "PARENT", "SIZE", "CREATED", "MOUNTS" };
	static const struct listing listing = {
		ARRAY_SIZE(header), header, layer_count, layer_id, layer_row, layer_object,
	};
	struct cstore_layer_list *list = NULL;
	struct cstore_error err = { 0 };
	struct tool *t = user;
	int r = cstore_layer_list(t->store, &list, &err);

	r = r ? failed(r, &err) : print_list(t, &listing, list);
	cstore_layer_list_free(list);
	return r;
}

/* ---- containers ---- */

static const struct cstore_container *container_at(const void *list, size_t i)
{
	return cstore_container_list_get(list, i);
}

static size_t container_count(const void *list)
{
	return cstore_container_list_count(list);
}

static const char *container_id(const void *list, size_t i)
{
	return cstore_container_id(container_at(list, i));
}

static void container_row(struct tool *t, struct table *table, const void *list, size_t i)
{
	const struct cstore_container *c = container_at(list, i);

	add_id(table, cstore_container_id(c));
	add_names(table, cstore_container_names(c));
	add_id(table, cstore_container_image(c));
	add_id(table, cstore_container_layer(c));
	add_age(table, cstore_container_created(c));
	table_add(table, cstore_container_is_volatile(c) ? "volatile" : "stable");
}

static void json_set_map(struct json_doc *doc, struct json *o, const char *key,
			 const struct cstore_id_range *ranges, size_t n)
{
	struct json *array = json_set_array(doc, o, key);

	for (size_t i = 0; i < n; i++) {
		struct json *range = json_new_object(doc);

		json_set_int(doc, range, "containerId", ranges[i].container_id);
		json_set_int(doc, range, "hostId", ranges[i].host_id);
		json_set_int(doc, range, "size", ranges[i].count);
		json_append(doc, array, range);
	}
}

static void container_object(struct tool *t, struct json_doc *doc, struct json *o, const void *list,
			     size_t i)
{
	const struct cstore_container *c = container_at(list, i);
	const struct cstore_id_range *ranges;
	size_t n;

	json_set_names(doc, o, "names", cstore_container_names(c));
	json_set_string(doc, o, "image", cstore_container_image(c));
	json_set_string(doc, o, "layer", cstore_container_layer(c));
	json_set_string(doc, o, "metadata", cstore_container_metadata(c));
	json_set_names(doc, o, "data", cstore_container_data_keys(c));
	json_set_time(doc, o, "created", cstore_container_created(c));
	json_set_bool(doc, o, "volatile", cstore_container_is_volatile(c));
	n = cstore_container_uid_map(c, &ranges);
	json_set_map(doc, o, "uidMap", ranges, n);
	n = cstore_container_gid_map(c, &ranges);
	json_set_map(doc, o, "gidMap", ranges, n);
}

static int run_containers(void *user, int argc, char **argv)
{
	static const char *const header[] = { "ID", "NAMES", "IMAGE", "LAYER", "CREATED", "RECORD" };
	static const struct listing listing = {
		ARRAY_SIZE(header), header, container_count, container_id, container_row,
		container_object,
	};
	struct cstore_container_list *list = NULL;
	struct cstore_error err = { 0 };
	struct tool *t = user;
	int r = cstore_container_list(t->store, &list, &err);

	r = r ? failed(r, &err) : print_list(t, &listing, list);
	cstore_container_list_free(list);
	return r;
}

const struct command cmd_images = {
	.name = "images", .args = "", .summary = "list images", .run = run_images,
};
const struct command cmd_layers = {
	.name = "layers", .args = "", .summary = "list layers", .run = run_layers,
};
const struct command cmd_containers = {
	.name = "containers", .args = "", .summary = "list containers", .run = run_containers,
};
