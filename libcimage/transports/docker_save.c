/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What "docker save" writes and "docker load" reads: a tar archive of manifest.json with a list of
 * images, their configs, and layers as plain tar files.
 *
 * Such an archive has no image manifest: a schema 2 one is made of what is there. Layers go through
 * files, since an archive has to say how large a member is before its content.
 */
#include <cbase/digest.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include "docker_save.h"

#define LIST_MAX (1u << 20)
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"

/* ---- reading ---- */

struct member {
	char *name;
	char digest[DIGEST_STR_MAX];
	int64_t size;
	const char *media_type;
};

struct cimage_source {
	struct cimage_context *ctx;
	struct archive_index index;
	char *config;
	size_t config_len;
	struct member config_member, *layers;
	size_t count;
};

void saved_close(struct cimage_source *s)
{
	while (s->count--)
		free(s->layers[s->count].name);
	free(s->layers);
	free(s->config_member.name);
	free(s->config);
	archive_index_done(&s->index);
	free(s);
}

static int read_list(const struct archive_index *x, struct json_doc **ret, struct cimage_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = archive_read_member(x, "manifest.json", LIST_MAX, &text, &n, err);

	if (r)
		return r;
	if (json_parse(text, n, 0, ret, NULL))
		return err_set(err, CIMAGE_E_INVALID, "manifest.json of the archive is not JSON");
	if (json_root(*ret)->type != JSON_ARRAY || !json_root(*ret)->count)
		return err_set(err, CIMAGE_E_INVALID, "manifest.json of the archive lists no image");
	return 0;
}

/* Names in archives may be short ("busybox:latest"). */
static bool is_called(const struct json *image, const struct cimage_ref *ref)
{
	bool same = false;

	json_foreach(item, json_get(image, "RepoTags")) {
		struct cimage_ref *own = NULL;

		if (json_string(item) && !cimage_ref_parse(json_string(item), 1, &own, NULL))
			same |= streq(cimage_ref_string(own), cimage_ref_string(ref));
		cimage_ref_free(own);
	}
	return same;
}

static int choose(const struct json *list, const struct cimage_ref *ref, const char *name,
		  const struct json **ret, struct cimage_error *err)
{
	long long wanted = -1, at = 0;

	if (name && (str_to_i64(name + 1, &wanted) || wanted < 0))
		return err_set(err, CIMAGE_E_INVALID, "\"%s\" is no number of an image", SHOW(name));
	if (!ref && !name && list->count > 1)
		return err_set(err, CIMAGE_E_INVALID,
			       "there are %zu images in the archive: say which, with \":NAME\" or \":@N\"",
			       list->count);
	json_foreach(item, list)
		if ((!ref && !name) || (ref && is_called(item, ref)) || at++ == wanted) {
			*ret = item;
			return 0;
		}
	return err_set(err, CIMAGE_E_NOT_FOUND, "there is no such image in the archive");
}

/* Of a compressed layer, digest and size are not known before it is read. */
static int measure(struct cimage_source *s, struct member *m, const char *diff_id,
		   struct cimage_error *err)
{
	const struct archive_member *member = archive_find(&s->index, m->name);
	_cleanup_(digest_stream_freep) struct digest_stream *d = NULL;
	struct cimage_stream *stream;
	unsigned char buf[32768];
	bool gzip = false, zstd = false;
	size_t n = 1;
	int r = archive_stream(&s->index, m->name, &stream, err);

	if (r)
		return r;
	if (digest_stream_new("sha256", &d))
		r = err_oom(err);
	for (m->size = 0; !r && n; m->size += (int64_t)n) {
		r = stream->read(stream, buf, sizeof(buf), &n, err);
		if (r)
			break;
		if (!m->size && n >= 4) {
			gzip = buf[0] == 0x1f && buf[1] == 0x8b;
			zstd = !memcmp(buf, "\x28\xb5\x2f\xfd", 4);
			if (!gzip && !zstd && diff_id && digest_valid(diff_id)) {
				strcpy(m->digest, diff_id); /* checked when it is read */
				m->size = member->size;
				break;
			}
		}
		digest_stream_update(d, buf, n);
	}
	stream->close(stream);
	m->media_type = gzip ? DOCKER_LAYER ".gzip" : zstd ? DOCKER_LAYER ".zstd" : DOCKER_LAYER;
	if (!r && !m->digest[0])
		digest_stream_final(d, m->digest);
	return r;
}

static int read_image(struct cimage_source *s, const struct json *image, struct cimage_error *err)
{
	const char *config = json_get_string(image, "Config");
	const struct json *layers = json_get(image, "Layers"), *diff_id;
	_cleanup_json_ struct json_doc *doc = NULL;
	int r;

	if (!config || (layers && layers->type != JSON_ARRAY))
		return err_set(err, CIMAGE_E_INVALID, "manifest.json of the archive is malformed");
	r = archive_read_member(&s->index, config, CIMAGE_MANIFEST_MAX, &s->config, &s->config_len, err);
	if (r)
		return r;
	if (json_parse(s->config, s->config_len, JSON_REPAIR, &doc, NULL))
		return err_set(err, CIMAGE_E_INVALID, "the image's config is not JSON");
	digest_sha256(s->config, s->config_len, s->config_member.digest);
	s->layers = calloc((layers ? layers->count : 0) + 1, sizeof(*s->layers));
	if (!s->layers)
		return err_oom(err);
	diff_id = json_path(json_root(doc), "rootfs", "diff_ids", NULL);
	diff_id = diff_id ? diff_id->first : NULL;
	json_foreach(item, layers) {
		struct member *m = &s->layers[s->count++];

		m->name = strdup(json_string(item) ? json_string(item) : "");
		r = m->name ? measure(s, m, diff_id ? json_string(diff_id) : NULL, err) : err_oom(err);
		if (r)
			return r;
		diff_id = diff_id ? diff_id->next : NULL;
	}
	return 0;
}

int saved_open(struct cimage_context *c, int fd, const struct cimage_ref *ref, const char *name,
	       struct cimage_source **ret, struct cimage_error *err)
{
	struct cimage_source *s = calloc(1, sizeof(*s));
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *image = NULL;
	int r;

	if (!s) {
		close_fd(fd);
		return err_oom(err);
	}
	s->ctx = c;
	s->index.fd = -1;
	r = archive_index_fd(fd, &s->index, err);
	if (!r)
		r = read_list(&s->index, &doc, err);
	if (!r)
		r = choose(json_root(doc), ref, name, &image, err);
	if (!r)
		r = read_image(s, image, err);
	if (r)
		saved_close(s);
	else
		*ret = s;
	return r;
}

static void add_descriptor(struct json_doc *doc, struct json *to, const char *type, int64_t size,
			   const char *digest)
{
	json_set_string(doc, to, "mediaType", type);
	json_set_int(doc, to, "size", size);
	json_set_string(doc, to, "digest", digest);
}

int saved_manifest(struct cimage_source *s, const char *digest, char **ret, size_t *ret_len,
			   char **ret_type, struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	_cleanup_str_ struct str out = STR_INIT;
	struct json *root, *list;
	size_t i;

	if (digest)
		return err_set(err, CIMAGE_E_NOT_FOUND, "an archive has no list of images");
	if (!doc)
		return err_oom(err);
	root = json_root(doc);
	json_set_int(doc, root, "schemaVersion", 2);
	json_set_string(doc, root, "mediaType", DOCKER_MANIFEST);
	add_descriptor(doc, json_set_object(doc, root, "config"), DOCKER_CONFIG,
		       (int64_t)s->config_len, s->config_member.digest);
	list = json_set_array(doc, root, "layers");
	for (i = 0; i < s->count; i++) {
		struct json *entry = json_new_object(doc);

		add_descriptor(doc, entry, s->layers[i].media_type, s->layers[i].size,
			       s->layers[i].digest);
		json_append(doc, list, entry);
	}
	if (json_failed(doc) || json_format(doc, root, 0, &out))
		return err_oom(err);
	*ret_type = strdup(DOCKER_MANIFEST);
	*ret = str_take(&out, ret_len);
	return *ret && *ret_type ? 0 : err_oom(err);
}

struct config_stream {
	struct cimage_stream base;
	const struct cimage_source *s;
	size_t at;
};

static int config_read(struct cimage_stream *stream, void *p, size_t n, size_t *ret_n,
		       struct cimage_error *err)
{
	struct config_stream *c = (struct config_stream *)stream;

	*ret_n = c->s->config_len - c->at < n ? c->s->config_len - c->at : n;
	memcpy(p, c->s->config + c->at, *ret_n);
	c->at += *ret_n;
	return 0;
}

static void config_close(struct cimage_stream *stream)
{
	free(stream);
}

static int open_blob(void *user, const char *digest, struct cimage_stream **ret,
		     struct cimage_error *err)
{
	struct cimage_source *s = user;
	struct config_stream *c;
	size_t i;

	for (i = 0; i < s->count; i++)
		if (streq(s->layers[i].digest, digest))
			return archive_stream(&s->index, s->layers[i].name, ret, err);
	c = streq(digest, s->config_member.digest) ? malloc(sizeof(*c)) : NULL;
	if (!c)
		return err_set(err, CIMAGE_E_NOT_FOUND, "the archive has no blob %s", digest);
	*c = (struct config_stream){ { config_read, config_close }, s, 0 };
	*ret = &c->base;
	return 0;
}

int saved_blobs(struct cimage_source *s, struct cimage_blob_request *r, size_t n,
			struct cimage_error *err)
{
	return local_blobs(s->ctx, r, n, open_blob, s, err);
}

int saved_names(int fd, char ***ret, struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_strv_ char **v = calloc(1, sizeof(*v));
	struct archive_index x;
	int r = archive_index_fd(fd, &x, err);

	if (r)
		return r;
	r = read_list(&x, &doc, err);
	archive_index_done(&x);
	if (r)
		return r;
	if (!v)
		return err_oom(err);
	json_foreach(image, json_root(doc))
		json_foreach(tag, json_get(image, "RepoTags"))
			if (json_string(tag) && strv_push(&v, json_string(tag)))
				return err_oom(err);
	*ret = take(v);
	return 0;
}

/* ---- writing ---- */

struct cimage_destination {
	struct cimage_context *ctx;
	const struct cimage_place *place;
	struct local_scratch scratch;
	char *manifest;
	size_t len;
};

void saved_dest_close(struct cimage_destination *d)
{
	local_scratch_done(&d->scratch);
	free(d->manifest);
	free(d);
}

int saved_dest_new(struct cimage_context *c, const struct cimage_place *place,
		   struct cimage_destination **ret, struct cimage_error *err)
{
	const struct cimage_ref *ref = cimage_place_ref(place);
	struct cimage_destination *d;
	int r;

	if (cimage_place_name(place) || (ref && cimage_ref_digest(ref)))
		return err_set(err, CIMAGE_E_INVALID, "such an image is named by a tag");
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_oom(err);
	d->ctx = c;
	d->place = place;
	r = local_scratch_new(&d->scratch, err);
	if (r)
		saved_dest_close(d);
	else
		*ret = d;
	return r;
}

struct cimage_context *saved_context(const struct cimage_destination *d)
{
	return d->ctx;
}

const struct cimage_place *saved_place(const struct cimage_destination *d)
{
	return d->place;
}

int saved_flags(const struct cimage_destination *d)
{
	return CIMAGE_DEST_UNCOMPRESSED;
}

const char *const *saved_types(const struct cimage_destination *d)
{
	static const char *const types[] = { DOCKER_MANIFEST, NULL };

	return types;
}

int saved_has(struct cimage_destination *d, const struct cimage_put *b, int *ret,
		    struct cimage_error *err)
{
	*ret = !faccessat(d->scratch.fd, digest_hex(b->digest), F_OK, 0);
	return 0;
}

int saved_put(struct cimage_destination *d, const struct cimage_put *b, struct cimage_stream *s,
		    struct cimage_error *err)
{
	return local_put(d->scratch.fd, "", b, s, err);
}

int saved_put_manifest(struct cimage_destination *d, const char *bytes, size_t n,
			 const char *media_type, const char *instance, struct cimage_error *err)
{
	free(d->manifest);
	d->manifest = malloc(n + 1);
	if (!d->manifest)
		return err_oom(err);
	memcpy(d->manifest, bytes, n);
	d->len = n;
	return 0;
}

static const char *hex_of(const struct json *descriptor)
{
	const char *digest = json_get_string(descriptor, "digest");

	return digest && digest_valid(digest) ? digest_hex(digest) : NULL;
}

/* Adds a blob under HEX + suffix, once, and its name to the list (NULL: to image's Config). */
static int add_blob(struct cimage_destination *d, struct archive_writer *w, const char *hex,
		    const char *suffix, struct json_doc *list, struct json *image, struct json *layers,
		    struct cimage_error *err)
{
	_cleanup_free_ char *name = hex ? strf("%s%s", hex, suffix) : NULL;
	bool again = false;

	if (!name)
		return hex ? err_oom(err) : err_set(err, CIMAGE_E_INVALID, "manifest: bad digest");
	json_foreach(item, layers)
		again |= streq(json_string(item), name);
	if (layers)
		json_append_string(list, layers, name);
	else
		json_set_string(list, image, "Config", name);
	return again ? 0 : archive_add_file(w, name, d->scratch.fd, hex, err);
}

static int write_image(struct cimage_destination *d, struct archive_writer *w, struct cimage_error *err)
{
	const struct cimage_ref *ref = cimage_place_ref(d->place);
	_cleanup_json_ struct json_doc *manifest = NULL, *doc = json_doc_new();
	_cleanup_str_ struct str text = STR_INIT;
	struct json *list, *image, *tags, *layers;
	int r;

	if (!doc || !d->manifest || json_parse(d->manifest, d->len, 0, &manifest, NULL))
		return err_oom(err);
	list = json_new_array(doc);
	image = json_new_object(doc);
	json_append(doc, list, image);
	json_set_string(doc, image, "Config", "");
	tags = json_set_array(doc, image, "RepoTags");
	if (ref)
		json_append_string(doc, tags, cimage_ref_string(ref));
	layers = json_set_array(doc, image, "Layers");
	r = add_blob(d, w, hex_of(json_get(json_root(manifest), "config")), ".json", doc, image, NULL, err);
	json_foreach(item, json_get(json_root(manifest), "layers"))
		if (!r)
			r = add_blob(d, w, hex_of(item), ".tar", doc, image, layers, err);
	if (r)
		return r;
	if (json_failed(doc) || json_format(doc, list, 0, &text))
		return err_oom(err);
	return archive_add_bytes(w, "manifest.json", text.data, text.len, err);
}

int saved_write(struct cimage_destination *d, int fd, struct cimage_error *err)
{
	struct archive_writer *w;
	int r = archive_writer_new(fd, &w, err);

	if (r)
		return r;
	r = write_image(d, w, err);
	if (!r)
		r = archive_writer_finish(w, err);
	archive_writer_free(w);
	return r;
}
