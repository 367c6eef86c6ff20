/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures of an image in a registry. Simple signatures are given by the registry itself where it
 * says that it can (X-Registry-Supports-Signatures), else they lie in a lookaside store: numbered
 * files from 1 on, up to the first that is missing. Those of sigstore are layers of an image in the
 * same repository, tagged after the digest that they sign; they are looked for where registries.d
 * says so.
 *
 * A store that is elsewhere sees no credentials of the registry. What comes from it may come over
 * plain HTTP: a signature proves itself.
 */
#include <cbase/digest.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include "client.h"
#include "signature.h"

#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"

/* "sha256-HEX.sig"; NULL when out of memory. */
char *signatures_tag(const char *digest)
{
	return strf("%.*s-%s.sig", (int)strcspn(digest, ":"), digest, digest_hex(digest));
}

/* What is at the end of base for this manifest: number N of a store begins at 1. */
static char *store_url(const char *base, const char *digest, unsigned int n)
{
	return strf("%s@%.*s=%s/signature-%u", base, (int)strcspn(digest, ":"), digest,
		    digest_hex(digest), n);
}

/* Every kind is checked to be one before it is handed on. */
static int add(struct cimage_signatures *l, const char *bytes, size_t n, struct cimage_error *err)
{
	struct signature parsed;
	int r;

	if (l->count >= SIGNATURES_MAX)
		return err_set(err, CIMAGE_E_LIMIT, "more than %d signatures", SIGNATURES_MAX);
	r = signature_parse(bytes, n, &parsed, err);
	if (r)
		return r;
	signature_done(&parsed);
	return cimage_signatures_add(l, bytes, n) ? err_oom(err) : 0;
}

/* ---- the registry's extension ---- */

static int read_extension(const char *text, size_t n, struct cimage_signatures *ret,
			  struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *list;
	int r = json_parse(text, n, 0, &doc, NULL);

	if (r == -ENOMEM)
		return err_oom(err);
	list = doc ? json_get(json_root(doc), "signatures") : NULL;
	if (r || (list && list->type != JSON_ARRAY && list->type != JSON_NULL))
		return err_set(err, CIMAGE_E_INVALID, "the answer is no list of signatures");
	r = 0;
	json_foreach(item, list) {
		const char *type = json_get_string(item, "type");
		const char *content = json_get_string(item, "content");
		_cleanup_free_ char *bytes = NULL;
		size_t len;

		if (r || json_get_int(item, "schemaVersion", 0) != 2 || !type ||
		    !streq(type, "atomic") || !content)
			continue;
		if (base64_decode(content, strlen(content), &bytes, &len))
			return err_set(err, CIMAGE_E_INVALID, "a signature is not base64");
		r = add(ret, bytes, len, err);
	}
	return r;
}

char *client_extension_url(struct client *cl, const char *digest)
{
	return strf("%.*sextensions/v2/%s/signatures/%s",
		    (int)(strlen(cl->base.text) - strlen("v2/")), cl->base.text,
		    cimage_ref_path(cimage_endpoint_ref(cl->endpoint)), digest);
}

static int get_extension(struct client *cl, const char *digest, struct cimage_signatures *ret,
			 struct cimage_error *err)
{
	_cleanup_free_ char *url = client_extension_url(cl, digest), *body = NULL;
	size_t n;
	int r;

	if (!url)
		return err_oom(err);
	r = client_get(cl, AUTH_REGISTRY, url, SIGNATURE_BYTES_MAX, &body, &n, err);
	if (!r)
		r = read_extension(body, n, ret, err);
	return err_ctx(err, r, "signatures of the registry");
}

/* ---- lookaside stores ---- */

/*
 * A store that may not be read has nothing for this process: a policy that asks for signatures then
 * refuses the image, and one that does not should not fail for them.
 */
static int get_file(const char *path, char **ret, size_t *ret_len, struct cimage_error *err)
{
	int r = read_file(path, SIGNATURE_BYTES_MAX, ret, ret_len);

	if (r == -ENOENT || r == -ENOTDIR || r == -EACCES)
		return CIMAGE_E_NOT_FOUND;
	return r ? err_sysr(err, r, "read %s", path) : 0;
}

static int get_stored(struct client *cl, const char *url, char **ret, size_t *ret_len,
		      struct cimage_error *err)
{
	if (str_starts(url, "file:///"))
		return get_file(url + strlen("file://"), ret, ret_len, err);
	if (str_starts(url, "http://") || str_starts(url, "https://"))
		return client_get(cl, AUTH_NONE, url, SIGNATURE_BYTES_MAX, ret, ret_len, err);
	return err_set(err, CIMAGE_E_UNSUPPORTED,
		       "registries.d: \"%s\" is neither file:///, http:// nor https://", SHOW(url));
}

static int get_lookaside(struct client *cl, const char *base, const char *digest,
			 struct cimage_signatures *ret, struct cimage_error *err)
{
	unsigned int i;
	int r = 0;

	/* one more than there may be, to see that there are too many */
	for (i = 1; !r && i <= SIGNATURES_MAX + 1; i++) {
		_cleanup_free_ char *url = store_url(base, digest, i), *bytes = NULL;
		size_t n;

		r = url ? get_stored(cl, url, &bytes, &n, err) : err_oom(err);
		if (!r)
			r = err_ctx(err, add(ret, bytes, n, err), "%s", SHOW(url));
	}
	return r == CIMAGE_E_NOT_FOUND ? 0 : r;
}

/* ---- attachments ---- */

static int collect(void *user, const void *p, size_t n)
{
	struct str *s = user;

	if (n > SIGNATURE_BYTES_MAX - s->len)
		return CIMAGE_E_LIMIT;
	str_append_mem(s, p, n);
	return str_failed(s) ? -ENOMEM : 0;
}

static int collected(void *user, int result)
{
	(void)user;
	return result;
}

static int get_blob(struct client *cl, const struct json *layer, struct str *ret,
		    struct cimage_error *err)
{
	const char *digest = json_get_string(layer, "digest");
	struct cimage_blob_request request = {
		.digest = digest,
		.size = json_get_int(layer, "size", -1),
		.user = ret,
		.resume_fd = -1,
		.data = collect,
		.done = collected,
	};
	int r;

	if (!digest || !digest_valid(digest))
		return err_set(err, CIMAGE_E_INVALID, "a layer without a valid digest");
	r = client_blobs(cl, &request, 1, err);
	if (r == CIMAGE_E_LIMIT || r == -ENOMEM)
		return r < 0 ? err_oom(err)
			     : err_set(err, r, "a signature of more than %u bytes",
				       SIGNATURE_BYTES_MAX);
	if (!r && !digest_matches(digest, ret->data ? ret->data : "", ret->len))
		r = err_set(err, CIMAGE_E_DIGEST, "a signature does not match its digest");
	return r;
}

int client_small_blob(struct client *cl, const struct json *descriptor, char **ret, size_t *ret_len,
		      struct cimage_error *err)
{
	_cleanup_str_ struct str bytes = STR_INIT;
	int r = get_blob(cl, descriptor, &bytes, err);

	if (!r && !(*ret = str_take(&bytes, ret_len)))
		r = err_oom(err);
	return r;
}

static int add_attachment(struct client *cl, const struct json *layer,
			  struct cimage_signatures *ret, struct cimage_error *err)
{
	const struct json *annotations = json_get(layer, "annotations");
	const char *type = json_get_string(layer, "mediaType");
	_cleanup_str_ struct str payload = STR_INIT, out = STR_INIT;
	struct signature s = { .kind = SIGNATURE_SIGSTORE };
	int r = get_blob(cl, layer, &payload, err);

	if (r)
		return r;
	s.media_type = strdup(type ? type : "");
	r = s.media_type ? 0 : -ENOMEM;
	json_foreach(item, annotations && annotations->type == JSON_OBJECT ? annotations : NULL) {
		const char *value = json_string(item);

		if (!r && value && (strv_push(&s.annotations, item->key) ||
				    strv_push(&s.annotations, value)))
			r = -ENOMEM;
	}
	s.len = payload.len;
	s.bytes = str_take(&payload, NULL);
	if (r || !s.bytes || signature_format(&s, &out))
		r = err_oom(err);
	else
		r = add(ret, out.data, out.len, err);
	signature_done(&s);
	return r;
}

static int get_attachments(struct client *cl, const char *digest, struct cimage_signatures *ret,
			   struct cimage_error *err)
{
	_cleanup_free_ char *tag = signatures_tag(digest), *text = NULL, *type = NULL;
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *layers;
	size_t n;
	int r;

	if (!tag)
		return err_oom(err);
	r = client_manifest(cl, tag, &text, &n, &type, err);
	if (r)
		return r == CIMAGE_E_NOT_FOUND ? 0 : r;
	if (!type || strncmp(type, OCI_MANIFEST, sizeof(OCI_MANIFEST) - 1))
		return err_set(err, CIMAGE_E_INVALID, "%s: not an OCI image manifest", tag);
	r = json_parse(text, n, JSON_UNIQUE_KEYS, &doc, NULL);
	layers = r ? NULL : json_get(json_root(doc), "layers");
	if (r == -ENOMEM)
		return err_oom(err);
	if (!layers || layers->type != JSON_ARRAY || layers->count > SIGNATURES_MAX)
		return err_set(err, CIMAGE_E_INVALID, "%s: no manifest of signatures", tag);
	json_foreach(layer, layers) {
		r = add_attachment(cl, layer, ret, err);
		if (r)
			return err_ctx(err, r, "%s", tag);
	}
	return 0;
}

/* ---- all ---- */

int client_signatures(struct client *cl, const char *digest, struct cimage_signatures *ret,
		      struct cimage_error *err)
{
	_cleanup_free_ char *base = NULL;
	int attachments, r;

	r = cimage_context_signature_store(cl->ctx, cimage_endpoint_ref(cl->endpoint), 0, &base,
					   &attachments, err);
	if (r)
		return r;
	r = cl->has_extension ? get_extension(cl, digest, ret, err)
			      : get_lookaside(cl, base, digest, ret, err);
	if (!r && attachments)
		r = get_attachments(cl, digest, ret, err);
	if (r)
		cimage_signatures_done(ret);
	return err_ctx(err, r, "signatures");
}
