/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out of the store: a layer or a container's changes as a tar, an image as an OCI layout. Layers are
 * written uncompressed, as they were before somebody compressed them; with them comes a manifest of
 * its own, unless the image's names just these. The configuration, and with it the image's id, stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cbase/digest.h>
#include <cbase/io.h>
#include "cstore_tool.h"

#define JSON_FILE_MAX (4u << 20)
#define LAYERS_MAX 500

static const char *opt_output;
static bool opt_from_directory;

struct export {
	struct tool *t;
	struct work work;
	const char *dir;
	const char *bar;	/* name of what is being written */
	uint64_t bar_size;
	struct cstore_error err;
};

static void show(void *user, uint64_t bytes)
{
	struct export *e = user;

	work_show(&e->work, e->bar, bytes, e->bar_size > bytes ? e->bar_size : bytes);
}

static int write_layer(struct export *e, const struct object *o, int fd)
{
	const struct cstore_diff_options options = {
		.size = sizeof(options),
		.from_directory = opt_from_directory,
		.progress = show,
		.user = e,
		.cancel = &e->work.cancel,
	};

	e->bar = o->id;
	return o->kind == KIND_CONTAINER ? cstore_container_diff(e->t->store, o->id, &options, fd, &e->err)
					 : cstore_layer_diff(e->t->store, o->layer, &options, fd, &e->err);
}

/* To standard output, or a file that is there only when it is whole. */
static int export_archive(struct export *e, const struct object *o)
{
	_cleanup_free_ char *temp = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (!opt_output || streq(opt_output, "-")) {
		if (isatty(STDOUT_FILENO)) {
			complain("an archive is not for a terminal: use -o FILE or a pipe");
			return EXIT_USAGE;
		}
		r = write_layer(e, o, STDOUT_FILENO);
		return r ? failed(r, &e->err) : 0;
	}
	temp = strf("%s.part", opt_output);
	fd = temp ? open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	if (fd < 0) {
		complain("%s: %s", temp ? temp : opt_output, strerror(errno));
		return EXIT_FAILURE;
	}
	r = write_layer(e, o, fd);
	if (r) {
		unlink(temp);
		return failed(r, &e->err);
	}
	if (fsync(fd) < 0 || rename(temp, opt_output) < 0) {
		complain("%s: %s", opt_output, strerror(errno));
		return EXIT_FAILURE;
	}
	return 0;
}

/* ---- layouts ---- */

static int make_dir(const char *dir, const char *below)
{
	_cleanup_free_ char *path = strf("%s%s", dir, below);
	int r = path ? mkdir_p(path, 0755) : -ENOMEM;

	if (r)
		complain("%s%s: %s", dir, below, strerror(-r));
	return r ? EXIT_FAILURE : 0;
}

static int put_file(const char *dir, const char *name, const struct str *text)
{
	_cleanup_free_ char *path = strf("%s/%s", dir, name);
	int r = path && !str_failed(text) ? write_file(path, 0644, text->data, text->len, 0) : -ENOMEM;

	if (r)
		complain("%s/%s: %s", dir, name, strerror(-r));
	return r ? EXIT_FAILURE : 0;
}

static int put_blob(const char *dir, const char *p, size_t len, char digest[DIGEST_STR_MAX])
{
	struct str text = { .data = (char *)(uintptr_t)p, .len = len };
	_cleanup_free_ char *name = NULL;

	digest_sha256(p, len, digest);
	name = strf("blobs/sha256/%s", digest_hex(digest));
	return name ? put_file(dir, name, &text) : EXIT_FAILURE;
}

/* Layers of an image from the top down. */
static int find_chain(struct export *e, const char *top, struct cstore_layer ***ret, size_t *ret_count)
{
	struct cstore_layer **chain = calloc(LAYERS_MAX, sizeof(struct cstore_layer *));
	int r = chain ? 0 : -ENOMEM;

	*ret = chain;
	for (const char *id = top; *id && !r && *ret_count < LAYERS_MAX;) {
		r = cstore_layer_lookup(e->t->store, id, &chain[*ret_count], &e->err);
		if (!r)
			id = cstore_layer_parent(chain[(*ret_count)++]);
	}
	return r ? failed(r, &e->err) : 0;
}

static int export_layer(struct export *e, const struct cstore_layer *l, struct str *list)
{
	const char *digest = cstore_layer_diff_digest(l);
	const struct cstore_diff_options options = {
		.size = sizeof(options), .progress = show, .user = e, .cancel = &e->work.cancel,
	};
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (!digest_valid(digest)) {
		complain("layer %s has no digest", cstore_layer_id(l));
		return EXIT_FAILURE;
	}
	path = strf("%s/blobs/sha256/%s", e->dir, digest_hex(digest));
	fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	if (fd < 0) {
		complain("%s: %s", path ? path : e->dir, strerror(errno));
		return EXIT_FAILURE;
	}
	e->bar = digest;
	e->bar_size = (uint64_t)cstore_layer_diff_size(l);
	r = cstore_layer_diff(e->t->store, cstore_layer_id(l), &options, fd, &e->err);
	if (r) {
		unlink(path);
		return failed(r, &e->err);
	}
	str_appendf(list, "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%lld}",
		    list->len ? "," : "", digest, (long long)lseek(fd, 0, SEEK_CUR));
	return 0;
}

static int export_layers(struct export *e, const char *top, struct str *list)
{
	struct cstore_layer **chain = NULL;
	size_t n = 0;
	int r = find_chain(e, top, &chain, &n);

	for (size_t i = n; i-- > 0 && !r;)
		r = export_layer(e, chain[i], list);
	for (size_t i = 0; i < n; i++)
		cstore_layer_free(chain[i]);
	free(chain);
	return r;
}

/* Whether the image's own manifest fits: it names the layers as they are written. */
static bool manifest_fits(const char *manifest, size_t len, const char *layers)
{
	_cleanup_json_ struct json_doc *doc = NULL;

	if (json_parse(manifest, len, 0, &doc, NULL))
		return false;
	json_foreach(layer, json_get(json_root(doc), "layers")) {
		const char *digest = json_get_string(layer, "digest");

		if (!digest || !strstr(layers, digest))
			return false;
	}
	return json_get(json_root(doc), "layers") != NULL;
}

static int put_manifest(struct export *e, const struct object *o, const char *config, size_t config_len,
			const char *layers)
{
	_cleanup_str_ struct str made = STR_INIT, index = STR_INIT, layout = STR_INIT;
	char config_digest[DIGEST_STR_MAX], digest[DIGEST_STR_MAX];
	const char *type = "application/vnd.oci.image.manifest.v1+json";
	_cleanup_free_ char *own = NULL;
	size_t len = 0;
	int r = put_blob(e->dir, config, config_len, config_digest);

	if (r)
		return r;
	cstore_image_data(e->t->store, o->id, "manifest", JSON_FILE_MAX, &own, &len, NULL);
	if (!own || !manifest_fits(own, len, layers)) {
		str_appendf(&made, "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{\"mediaType\":"
			    "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}",
			    type, config_digest, config_len, layers);
		free(take(own));
		own = str_take(&made, &len);
	} else if (strstr(own, "vnd.docker.distribution.manifest.v2")) {
		type = "application/vnd.docker.distribution.manifest.v2+json";
	}
	r = own ? put_blob(e->dir, own, len, digest) : EXIT_FAILURE;
	if (r)
		return r;
	str_appendf(&index, "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu",
		    type, digest, len);
	if (*o->name) {
		str_append(&index, ",\"annotations\":{\"org.opencontainers.image.ref.name\":");
		json_quote(&index, o->name, strlen(o->name), 0);
		str_append(&index, "}");
	}
	str_append(&index, "}]}");
	str_append(&layout, "{\"imageLayoutVersion\":\"1.0.0\"}");
	r = put_file(e->dir, "index.json", &index);
	return r ? r : put_file(e->dir, "oci-layout", &layout);
}

static int export_layout(struct export *e, const struct object *o)
{
	_cleanup_str_ struct str layers = STR_INIT;
	_cleanup_free_ char *key = strf("sha256:%s", o->id), *config = NULL;
	size_t len = 0;
	int r;

	if (!opt_output) {
		complain("an image is exported to a directory: use -o DIRECTORY");
		return EXIT_USAGE;
	}
	e->dir = opt_output;
	r = key ? cstore_image_data(e->t->store, o->id, key, JSON_FILE_MAX, &config, &len, &e->err) : -ENOMEM;
	if (r)
		return failed(r, &e->err);
	r = make_dir(e->dir, "/blobs/sha256");
	if (!r)
		r = export_layers(e, o->layer, &layers);
	if (!r && layers.failed)
		r = EXIT_FAILURE;
	return r ? r : put_manifest(e, o, config, len, layers.data ? layers.data : "");
}

static int run_export(void *user, int argc, char **argv)
{
	struct export e = { .t = user };
	struct object o;
	int r = object_find(e.t, argv[0], &o);

	if (!r)
		r = work_start(&e.work, "what was written stays");
	if (r)
		return r;
	r = o.kind == KIND_IMAGE ? export_layout(&e, &o) : export_archive(&e, &o);
	work_done(&e.work);
	return r;
}

static const struct opt export_options[] = {
	{ 'o', "output", OPT_STRING, &opt_output, "PATH", "file for an archive, directory for an image" },
	{ 0, "from-directory", OPT_FLAG, &opt_from_directory, NULL,
	  "make an archive of what is in the layer's directory, also when the one it came from can be made again" },
	OBJECT_OPTIONS,
	{ 0 },
};

const struct command cmd_export = {
	.name = "export", .args = "CONTAINER|IMAGE|LAYER", .summary = "write an image as OCI layout, a layer as tar",
	.details = "A layer that came as an archive comes out as the same, byte by byte; a container's layer as a tar of its\n"
		   "changes, with whiteouts. An image becomes an OCI layout with uncompressed layers.",
	.options = export_options, .min_args = 1, .max_args = 1, .run = run_export,
};
