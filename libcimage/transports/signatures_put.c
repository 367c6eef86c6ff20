/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing signatures of an image in a registry, see signatures.c for where they are. What is there
 * already stays, but for a lookaside store, which has exactly what it was given: so others do it too.
 * Sigstore's go nowhere but to attachments; where those are not switched on that is an error, because
 * nobody would find them elsewhere.
 */
#include <cbase/digest.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include <fcntl.h>
#include "client.h"
#include "signature.h"

#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"

/* ---- bytes as a stream ---- */

struct memory {
	struct cimage_stream stream;
	const char *p;
	size_t left;
};

static int memory_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		       struct cimage_error *err)
{
	struct memory *m = (struct memory *)s;

	*ret_n = n < m->left ? n : m->left;
	memcpy(p, m->p, *ret_n);
	m->p += *ret_n;
	m->left -= *ret_n;
	return 0;
}

static void memory_close(struct cimage_stream *s)
{
}

static int put_bytes(struct client *cl, const char *p, size_t n, const char *media_type,
		     char digest[DIGEST_STR_MAX], struct cimage_error *err)
{
	struct memory m = { { memory_read, memory_close }, p, n };
	struct cimage_put b = { .kind = CIMAGE_BLOB_CONFIG,
				.digest = digest,
				.size = (int64_t)n,
				.media_type = media_type };
	bool there = false;
	int r;

	digest_sha256(p, n, digest);
	r = client_has_blob(cl, digest, &there, err);
	return r || there ? r : client_put_blob(cl, &b, &m.stream, err);
}

/* ---- attachments ---- */

/* The manifest of attachments that there is, and its config; new ones when there is none. */
static int get_attachments(struct client *cl, const char *tag, struct json_doc **ret_manifest,
			   struct json_doc **ret_config, struct cimage_error *err)
{
	_cleanup_free_ char *text = NULL, *type = NULL, *config = NULL;
	size_t n = 0;
	int r = client_manifest(cl, tag, &text, &n, &type, err);

	if (r && r != CIMAGE_E_NOT_FOUND)
		return r;
	if (r) {
		*ret_manifest = json_doc_new();
		*ret_config = json_doc_new();
		return *ret_manifest && *ret_config ? 0 : err_oom(err);
	}
	if (json_parse(text, n, JSON_UNIQUE_KEYS, ret_manifest, NULL))
		return err_set(err, CIMAGE_E_INVALID, "%s: not JSON", tag);
	r = client_small_blob(cl, json_get(json_root(*ret_manifest), "config"), &config, &n, err);
	if (r)
		return r;
	if (json_parse(config, n, JSON_UNIQUE_KEYS, ret_config, NULL))
		return err_set(err, CIMAGE_E_INVALID, "%s: its config is not JSON", tag);
	return 0;
}

static bool same_annotations(const struct json *a, char *const *b)
{
	size_t i, n = strv_len(b) / 2;

	if (!a ? n : a->type != JSON_OBJECT || a->count != n)
		return false;
	for (i = 0; i < n; i++) {
		const char *value = json_get_string(a, b[2 * i]);

		if (!value || !streq(value, b[2 * i + 1]))
			return false;
	}
	return true;
}

static bool is_there(const struct json *layers, const struct signature *s, const char *digest)
{
	json_foreach(layer, layers) {
		const char *d = json_get_string(layer, "digest");
		const char *type = json_get_string(layer, "mediaType");

		if (d && streq(d, digest) && type && streq(type, s->media_type) &&
		    same_annotations(json_get(layer, "annotations"), s->annotations))
			return true;
	}
	return false;
}

static int add_attachment(struct client *cl, struct json_doc *manifest, struct json_doc *config,
			  const struct signature *s, struct cimage_error *err)
{
	struct json *layers = json_child_array(manifest, json_root(manifest), "layers");
	struct json *rootfs = json_child_object(config, json_root(config), "rootfs");
	struct json *layer, *annotations;
	char digest[DIGEST_STR_MAX];
	size_t i;
	int r = put_bytes(cl, s->bytes, s->len, s->media_type, digest, err);

	if (r || is_there(layers, s, digest))
		return r;
	layer = json_new_object(manifest);
	json_set_string(manifest, layer, "mediaType", s->media_type);
	json_set_string(manifest, layer, "digest", digest);
	json_set_int(manifest, layer, "size", (int64_t)s->len);
	annotations = json_set_object(manifest, layer, "annotations");
	for (i = 0; s->annotations && s->annotations[i]; i += 2)
		json_set_string(manifest, annotations, s->annotations[i], s->annotations[i + 1]);
	json_append(manifest, layers, layer);
	json_set_string(config, rootfs, "type", "layers");
	json_append_string(config, json_child_array(config, rootfs, "diff_ids"), digest);
	return json_failed(manifest) || json_failed(config) ? err_oom(err) : 0;
}

static int put_attachments(struct client *cl, const char *tag, struct json_doc *manifest,
			   struct json_doc *config, struct cimage_error *err)
{
	_cleanup_str_ struct str config_text = STR_INIT, text = STR_INIT;
	struct json *root = json_root(manifest), *d;
	char digest[DIGEST_STR_MAX];
	int r;

	if (!json_get(json_root(config), "architecture"))
		json_set_string(config, json_root(config), "architecture", "");
	if (!json_get(json_root(config), "os"))
		json_set_string(config, json_root(config), "os", "");
	if (json_format(config, json_root(config), 0, &config_text))
		return err_oom(err);
	r = put_bytes(cl, config_text.data, config_text.len, OCI_CONFIG, digest, err);
	if (r)
		return r;
	json_set_int(manifest, root, "schemaVersion", 2);
	json_set_string(manifest, root, "mediaType", OCI_MANIFEST);
	d = json_set_object(manifest, root, "config");
	json_set_string(manifest, d, "mediaType", OCI_CONFIG);
	json_set_string(manifest, d, "digest", digest);
	json_set_int(manifest, d, "size", (int64_t)config_text.len);
	if (json_format(manifest, root, 0, &text))
		return err_oom(err);
	return client_put_manifest(cl, tag, text.data, text.len, OCI_MANIFEST, err);
}

static int write_attachments(struct client *cl, const char *digest, const struct signature *list,
			     size_t n, struct cimage_error *err)
{
	_cleanup_free_ char *tag = signatures_tag(digest);
	_cleanup_json_ struct json_doc *manifest = NULL, *config = NULL;
	size_t i;
	int r;

	if (!tag)
		return err_oom(err);
	r = get_attachments(cl, tag, &manifest, &config, err);
	for (i = 0; i < n && !r; i++)
		if (list[i].kind == SIGNATURE_SIGSTORE)
			r = add_attachment(cl, manifest, config, &list[i], err);
	if (!r)
		r = put_attachments(cl, tag, manifest, config, err);
	return err_ctx(err, r, "%s", tag);
}

/* ---- simple signatures ---- */

static int put_extension(struct client *cl, const char *digest, const struct signature *s,
			 struct cimage_error *err)
{
	_cleanup_free_ char *url = client_extension_url(cl, digest), *name = NULL;
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	_cleanup_str_ struct str content = STR_INIT, body = STR_INIT;
	char unique[33];
	struct call c;
	int r;

	str_append_base64(&content, s->bytes, s->len);
	r = random_hex(16, unique);
	name = r ? NULL : strf("%s@%s", digest, unique);
	if (!url || !doc || !name || str_failed(&content))
		return err_oom(err);
	json_set_int(doc, json_root(doc), "schemaVersion", 2);
	json_set_string(doc, json_root(doc), "name", name);
	json_set_string(doc, json_root(doc), "type", "atomic");
	json_set_string(doc, json_root(doc), "content", content.data);
	if (json_format(doc, json_root(doc), 0, &body))
		return err_oom(err);
	r = call_init_in_repository(cl, &c, url, err);
	if (!r) {
		c.method = "PUT";
		c.body = body.data;
		c.body_len = body.len;
		c.content_type = "application/json";
		c.limit = ERROR_BODY_MAX;
		r = client_drive(cl, &c, 1, err);
	}
	call_done(cl, &c);
	return r;
}

static bool has(const struct cimage_signatures *l, const struct signature *s)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		if (l->items[i].len == s->len && !memcmp(l->items[i].bytes, s->bytes, s->len))
			return true;
	return false;
}

static int write_extension(struct client *cl, const char *digest, const struct signature *list,
			   size_t n, struct cimage_error *err)
{
	struct cimage_signatures there = { 0 };
	size_t i;
	int r = client_signatures(cl, digest, &there, err);

	for (i = 0; i < n && !r; i++)
		if (list[i].kind == SIGNATURE_SIMPLE && !has(&there, &list[i]))
			r = put_extension(cl, digest, &list[i], err);
	cimage_signatures_done(&there);
	return r;
}

static int write_file_store(const char *dir, const struct signature *list, size_t n,
			    struct cimage_error *err)
{
	unsigned int number = 0;
	size_t i;
	int r = mkdir_p(dir, 0755);

	for (i = 0; i < n && !r; i++) {
		_cleanup_free_ char *path = NULL;

		if (list[i].kind != SIGNATURE_SIMPLE)
			continue;
		path = strf("%s/signature-%u", dir, ++number);
		r = path ? write_file(path, 0644, list[i].bytes, list[i].len, IO_DURABLE) : -ENOMEM;
	}
	if (r)
		return err_sysr(err, r, "write signatures to %s", dir);
	/* more than that were there before: the first that is missing ends the list */
	for (;;) {
		_cleanup_free_ char *path = strf("%s/signature-%u", dir, ++number);

		if (!path)
			return err_oom(err);
		if (unlink(path) < 0)
			return errno == ENOENT ? 0 : err_sys(err, "remove %s", path);
	}
}

static int write_lookaside(const char *base, const char *digest, const struct signature *list,
			   size_t n, struct cimage_error *err)
{
	_cleanup_free_ char *dir = NULL;

	if (!str_starts(base, "file:///"))
		return err_set(err, CIMAGE_E_UNSUPPORTED,
			       "signatures cannot be written to %s: registries.d needs a "
			       "lookaside-staging of file:///",
			       SHOW(base));
	dir = strf("%s@%.*s=%s", base + strlen("file://"), (int)strcspn(digest, ":"), digest,
		   digest_hex(digest));
	return dir ? write_file_store(dir, list, n, err) : err_oom(err);
}

/* ---- all ---- */

static int write_all_kinds(struct client *cl, const char *digest, const struct signature *list,
			   size_t n, struct cimage_error *err)
{
	_cleanup_free_ char *base = NULL;
	size_t simple = 0, i;
	int attachments, r;

	for (i = 0; i < n; i++)
		simple += list[i].kind == SIGNATURE_SIMPLE;
	r = cimage_context_signature_store(cl->ctx, cimage_endpoint_ref(cl->endpoint), 1, &base,
					   &attachments, err);
	if (!r && simple < n && !attachments)
		r = err_set(err, CIMAGE_E_UNSUPPORTED,
			    "writing sigstore attachments is disabled by configuration: registries.d "
			    "needs use-sigstore-attachments: true");
	if (!r && simple)
		r = cl->has_extension ? write_extension(cl, digest, list, n, err)
				      : write_lookaside(base, digest, list, n, err);
	if (!r && simple < n)
		r = write_attachments(cl, digest, list, n, err);
	return r;
}

int client_put_signatures(struct client *cl, const struct cimage_signatures *l, const char *digest,
			  struct cimage_error *err)
{
	struct signature *list = calloc(l->count + 1, sizeof(*list));
	size_t n = 0;
	int r = list ? 0 : err_oom(err);

	while (!r && n < l->count) {
		r = signature_parse(l->items[n].bytes, l->items[n].len, &list[n], err);
		n += !r;
	}
	if (!r && n)
		r = write_all_kinds(cl, digest, list, n, err);
	while (n)
		signature_done(&list[--n]);
	free(list);
	return err_ctx(err, r, "signatures");
}
