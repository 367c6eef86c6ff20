/* SPDX-License-Identifier: Apache-2.0 */
/* Words on the command line: ids, their beginnings, and names of containers, images and layers. */
#include <cbase/io.h>
#include "cstore_tool.h"

bool opt_container, opt_image, opt_layer;

const char *kind_name(enum kind k)
{
	static const char *const names[] = { "object", "container", "image", "layer" };

	return names[k];
}

static void fill(struct object *o, enum kind kind, const char *id, const char *layer,
		 const char *const *names)
{
	*o = (struct object){ .kind = kind };
	snprintf(o->id, sizeof(o->id), "%s", id);
	snprintf(o->layer, sizeof(o->layer), "%s", layer);
	snprintf(o->name, sizeof(o->name), "%s", names[0] ? names[0] : "");
}

static int find_container(struct tool *t, const char *word, struct object *ret,
			  struct cstore_error *err)
{
	struct cstore_container *c = NULL;
	int r = cstore_container_lookup(t->store, word, &c, err);

	if (!r)
		fill(ret, KIND_CONTAINER, cstore_container_id(c), cstore_container_layer(c),
		     cstore_container_names(c));
	cstore_container_free(c);
	return r;
}

static int find_exact_image(struct tool *t, const char *word, struct object *ret,
			    struct cstore_error *err)
{
	struct cstore_image *i = NULL;
	int r = cstore_image_lookup(t->store, word, &i, err);

	if (!r)
		fill(ret, KIND_IMAGE, cstore_image_id(i), cstore_image_top_layer(i),
		     cstore_image_names(i));
	cstore_image_free(i);
	return r;
}

/* "busybox" also means the names that other programs make of it. */
static int find_image(struct tool *t, const char *word, struct object *ret, struct cstore_error *err)
{
	static const char *const forms[] = {
		"%s", "%s:latest", "localhost/%s", "localhost/%s:latest", "docker.io/library/%s",
		"docker.io/library/%s:latest", "docker.io/%s", "docker.io/%s:latest",
	};
	struct cstore_error first = { 0 };
	int r = CSTORE_E_NOT_FOUND;

	for (size_t i = 0; i < ARRAY_SIZE(forms) && r == CSTORE_E_NOT_FOUND; i++) {
		_cleanup_str_ struct str name = STR_INIT;
		const char *at = strstr(forms[i], "%s");

		str_append_mem(&name, forms[i], (size_t)(at - forms[i]));
		str_append(&name, word);
		str_append(&name, at + 2);
		if (str_failed(&name))
			return -ENOMEM;
		r = find_exact_image(t, name.data, ret, i ? err : &first);
	}
	if (r && err)
		*err = first;
	return r;
}

static int find_layer(struct tool *t, const char *word, struct object *ret, struct cstore_error *err)
{
	struct cstore_layer *l = NULL;
	int r = cstore_layer_lookup(t->store, word, &l, err);

	if (!r)
		fill(ret, KIND_LAYER, cstore_layer_id(l), cstore_layer_id(l),
		     cstore_layer_names(l));
	cstore_layer_free(l);
	return r;
}

int object_find(struct tool *t, const char *word, struct object *ret)
{
	bool any = !opt_container && !opt_image && !opt_layer;
	struct cstore_error err = { 0 };
	int r = CSTORE_E_NOT_FOUND;

	if (any || opt_container)
		r = find_container(t, word, ret, &err);
	if (r == CSTORE_E_NOT_FOUND && (any || opt_image))
		r = find_image(t, word, ret, &err);
	if (r == CSTORE_E_NOT_FOUND && (any || opt_layer))
		r = find_layer(t, word, ret, &err);
	if (r == CSTORE_E_NOT_FOUND && any) {
		complain("no container, image or layer is called %s; \"cstore containers\", "
			 "\"cstore images\" and \"cstore layers\" list what there is", word);
		return EXIT_FAILURE;
	}
	return r ? failed(r, &err) : 0;
}

void append_names(struct str *out, const char *const *names)
{
	if (!names[0])
		str_append(out, "<none>");
	for (size_t i = 0; names[i]; i++) {
		if (i)
			str_append(out, ",");
		text_append_safe(out, names[i], false);
	}
}

void json_set_names(struct json_doc *doc, struct json *o, const char *key, const char *const *names)
{
	struct json *array = json_set_array(doc, o, key);

	for (size_t i = 0; names[i]; i++)
		json_append_string(doc, array, names[i]);
}

void json_set_time(struct json_doc *doc, struct json *o, const char *key, int64_t ns)
{
	char text[TIME_MAX_LEN];

	time_format(ns, text);
	json_set_string(doc, o, key, text);
}
