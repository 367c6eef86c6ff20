/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that look at one place, or remove what is there: inspect, list-tags, delete, manifest-digest. */
#include <errno.h>
#include <cbase/io.h>
#include "cimage_tool.h"

static struct side side;
static struct {
	bool raw, config, no_tags;
} options;

static int open_place(const char *text, struct cimage_context **c, struct cimage_place **p)
{
	int r = setup_context(&side, c);

	if (!r)
		r = setup_place(*c, text, p);
	return r ? r : watch_interrupt();
}

static int print_bytes(const char *bytes, size_t n)
{
	if (fwrite(bytes, 1, n, stdout) != n)
		return EXIT_FAILURE; /* finish() complains */
	return 0;
}

/* ---- inspect ---- */

static void copy_member(struct json_doc *to, const char *name, const struct json *from)
{
	json_set(to, json_root(to), name, from ? json_copy(to, from) : json_new_null(to));
}

/* v2s1 has no config: its newest history entry is one. */
static void add_layers(struct json_doc *doc, const struct json *manifest)
{
	struct json *names = json_set_array(doc, json_root(doc), "Layers");
	struct json *data = json_set_array(doc, json_root(doc), "LayersData");
	const struct json *list = json_get(manifest, "layers");

	json_foreach(item, list ? list : json_get(manifest, "fsLayers")) {
		const char *digest = json_get_string(item, list ? "digest" : "blobSum");
		const char *type = json_get_string(item, "mediaType");
		const struct json *annotations = json_get(item, "annotations");
		struct json *entry = json_new_object(doc);

		json_append_string(doc, names, digest ? digest : "");
		json_set_string(doc, entry, "MIMEType", type ? type : "");
		json_set_string(doc, entry, "Digest", digest ? digest : "");
		json_set_int(doc, entry, "Size", json_get_int(item, "size", -1));
		json_set(doc, entry, "Annotations",
			 annotations ? json_copy(doc, annotations) : json_new_null(doc));
		json_append(doc, data, entry);
	}
}

static void add_config(struct json_doc *doc, const struct json *config)
{
	static const char *const members[][2] = { { "Created", "created" },
						  { "DockerVersion", "docker_version" },
						  { "Architecture", "architecture" },
						  { "Os", "os" } };
	struct json *root = json_root(doc);
	const char *text;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(members); i++) {
		text = json_get_string(config, members[i][1]);
		json_set_string(doc, root, members[i][0], text ? text : "");
		if (i == 1)
			copy_member(doc, "Labels", json_path(config, "config", "Labels", NULL));
	}
}

static void add_tags(struct json_doc *doc, struct cimage_context *c, const struct cimage_place *p)
{
	struct json *list = json_set_array(doc, json_root(doc), "RepoTags");
	char **tags = NULL, **t;

	if (options.no_tags || cimage_list_tags(c, p, &tags, NULL))
		return;
	for (t = tags; *t; t++)
		json_append_string(doc, list, *t);
	cimage_strv_free(tags);
}

static int print_summary(struct cimage_context *c, const struct cimage_place *p,
			 const struct cimage_inspection *i)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new(), *manifest = NULL, *config = NULL;
	const struct cimage_ref *ref = cimage_place_ref(p);
	struct json *root;

	if (!doc || json_parse(i->manifest, i->manifest_len, 0, &manifest, NULL) ||
	    (i->config && json_parse(i->config, i->config_len, JSON_REPAIR, &config, NULL))) {
		complain("%s: the config is not JSON", cimage_place_string(p));
		return EXIT_FAILURE;
	}
	root = json_root(doc);
	if (ref)
		json_set_string(doc, root, "Name", cimage_ref_name(ref));
	json_set_string(doc, root, "Digest", i->manifest_digest);
	add_tags(doc, c, p);
	add_config(doc, config ? json_root(config) : NULL);
	add_layers(doc, json_root(manifest));
	copy_member(doc, "Env", config ? json_path(json_root(config), "config", "Env", NULL) : NULL);
	return json_print(doc);
}

static int inspect_raw(struct cimage_context *c, const struct cimage_place *p)
{
	_cleanup_free_ char *bytes = NULL;
	struct cimage_error err = { 0 };
	size_t n;
	int r = cimage_read_manifest(c, p, NULL, &bytes, &n, NULL, NULL, &err);

	return r ? complain_error(r, &err) : print_bytes(bytes, n);
}

static int run_inspect(void *unused, int argc, char **argv)
{
	_cleanup_(cimage_context_freep) struct cimage_context *c = NULL;
	_cleanup_(cimage_place_freep) struct cimage_place *p = NULL;
	struct cimage_inspection i = { 0 };
	struct cimage_error err = { 0 };
	int r = open_place(argv[0], &c, &p);

	if (r)
		return r;
	if (options.raw && !options.config)
		return inspect_raw(c, p);
	r = cimage_inspect(c, p, &i, &err);
	if (r)
		return complain_error(r, &err);
	if (!options.config)
		r = print_summary(c, p, &i);
	else if (i.config)
		r = print_bytes(i.config, i.config_len);
	else
		complain("%s has no config: its manifest is of schema 1", argv[0]);
	if (options.config && !options.raw && i.config)
		putchar('\n');
	cimage_inspection_done(&i);
	return r;
}

static const struct opt inspect_options[] = {
	{ 0, "raw", OPT_FLAG, &options.raw, NULL, "print the manifest or list as it is" },
	{ 0, "config", OPT_FLAG, &options.config, NULL, "print the image's config" },
	{ 'n', "no-tags", OPT_FLAG, &options.no_tags, NULL, "do not ask for the other tags" },
	SIDE_OPTIONS(side, "", ""),
	{ 0 },
};

const struct command cmd_inspect = {
	.name = "inspect",
	.args = "PLACE",
	.summary = "say what an image is, as JSON",
	.options = inspect_options,
	.min_args = 1,
	.max_args = 1,
	.run = run_inspect,
};

/* ---- list-tags ---- */

static int run_list_tags(void *unused, int argc, char **argv)
{
	_cleanup_(cimage_context_freep) struct cimage_context *c = NULL;
	_cleanup_(cimage_place_freep) struct cimage_place *p = NULL;
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct cimage_error err = { 0 };
	struct json *list;
	char **tags, **t;
	int r = open_place(argv[0], &c, &p);

	if (r)
		return r;
	r = cimage_list_tags(c, p, &tags, &err);
	if (r)
		return complain_error(r, &err);
	if (doc) {
		if (cimage_place_ref(p))
			json_set_string(doc, json_root(doc), "Repository",
					cimage_ref_name(cimage_place_ref(p)));
		list = json_set_array(doc, json_root(doc), "Tags");
		for (t = tags; *t; t++)
			json_append_string(doc, list, *t);
	}
	cimage_strv_free(tags);
	return json_print(doc);
}

static const struct opt side_options[] = { SIDE_OPTIONS(side, "", ""), { 0 } };

const struct command cmd_list_tags = {
	.name = "list-tags",
	.args = "PLACE",
	.summary = "list the tags of a repository, or the images of an archive, as JSON",
	.options = side_options,
	.min_args = 1,
	.max_args = 1,
	.run = run_list_tags,
};

/* ---- delete ---- */

static int run_delete(void *unused, int argc, char **argv)
{
	_cleanup_(cimage_context_freep) struct cimage_context *c = NULL;
	_cleanup_(cimage_place_freep) struct cimage_place *p = NULL;
	struct cimage_error err = { 0 };
	int r = open_place(argv[0], &c, &p);

	if (r)
		return r;
	r = cimage_remove(c, p, &err);
	return r ? complain_error(r, &err) : 0;
}

const struct command cmd_delete = {
	.name = "delete",
	.args = "PLACE",
	.summary = "remove an image",
	.details = "A registry frees the space only when its own garbage collection runs.",
	.options = side_options,
	.min_args = 1,
	.max_args = 1,
	.run = run_delete,
};

/* ---- manifest-digest ---- */

static int run_manifest_digest(void *unused, int argc, char **argv)
{
	_cleanup_(cimage_context_freep) struct cimage_context *c = NULL;
	_cleanup_free_ char *bytes = NULL, *digest = NULL;
	struct cimage_error err = { 0 };
	size_t n;
	int r = setup_context(NULL, &c);

	if (r)
		return r;
	r = streq(argv[0], "-") ? read_fd(0, CIMAGE_MANIFEST_MAX, &bytes, &n)
				: read_file(argv[0], CIMAGE_MANIFEST_MAX, &bytes, &n);
	if (r) {
		complain("read %s: %s", argv[0], strerror(-r));
		return EXIT_FAILURE;
	}
	r = cimage_manifest_digest(c, bytes, n, &digest, &err);
	if (r)
		return complain_error(r, &err);
	puts(digest);
	return 0;
}

const struct command cmd_manifest_digest = {
	.name = "manifest-digest",
	.args = "FILE",
	.summary = "print the digest of a manifest",
	.min_args = 1,
	.max_args = 1,
	.run = run_manifest_digest,
};
