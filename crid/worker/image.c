/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain of digests is walked again here, in the process that has the rights to write: name ->
 * manifest (or index -> manifest) -> config -> diff ids -> content of the layers. A process that
 * was taken over through the network can therefore choose among images for a tag, and no more: it
 * cannot give an image another image's id or put a layer under another's name.
 */
#include "image.h"

#include <string.h>
#include <cbase/io.h>
#include "errors.h"

#define LAYER_SIZE_MAX (INT64_C(1) << 50)

void image_done(struct image *i)
{
	json_doc_free(i->manifest_doc);
	json_doc_free(i->config_doc);
	free(i->manifest);
	free(i->list);
	free(i->config);
	free(i->signatures);
	free(i->layers);
	*i = (struct image){ 0 };
}

const char *image_id(const struct image *i)
{
	return digest_hex(i->config_digest);
}

const char *image_digest(const struct image *i)
{
	return i->list ? i->list_digest : i->manifest_digest;
}

static int copy_document(const struct wire_bytes *from, char **ret, size_t *ret_len)
{
	char *p = malloc(from->len + 1);

	if (!p)
		return -ENOMEM;
	memcpy(p, from->p, from->len);
	p[from->len] = '\0';
	*ret = p;
	*ret_len = from->len;
	return 0;
}

/* The claimed digest, once the bytes were seen to have it. */
static int check_digest(const struct wire_bytes *claimed, const struct wire_bytes *bytes,
			char out[DIGEST_STR_MAX], const char *what, struct cb_error *err)
{
	if (claimed->len >= DIGEST_STR_MAX)
		return err_set(err, E_FAILED, "%s: malformed digest", what);
	memcpy(out, claimed->p, claimed->len);
	out[claimed->len] = '\0';
	if (!digest_matches(out, bytes->p, bytes->len))
		return err_set(err, E_FAILED, "%s: content does not match its digest", what);
	return 0;
}

static int parse(const char *bytes, size_t len, int flags, const char *what, struct json_doc **ret,
		 struct cb_error *err)
{
	struct cb_error why;
	int r = json_parse(bytes, len, JSON_UNIQUE_KEYS | flags, ret, &why);

	if (r == -EINVAL)
		return err_set(err, E_INVALID, "%s: %s", what, why.message);
	if (r)
		return err_oom(err);
	return 0;
}

/* An index names its manifests by digest: ours must be among them. */
static int check_in_list(const struct image *i, struct cb_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	int r = parse(i->list, i->list_len, 0, "index", &doc, err);

	if (r)
		return r;
	json_foreach(m, json_get(json_root(doc), "manifests")) {
		const char *digest = json_get_string(m, "digest");

		if (digest && streq(digest, i->manifest_digest))
			return 0;
	}
	return err_set(err, E_FAILED, "manifest %s is not in the index", i->manifest_digest);
}

/* Nothing is said about them here: whoever wants to believe them checks them. */
static int take_signatures(struct image *i, const struct wire_image *w, struct cb_error *err)
{
	size_t sum = 0;

	if (!w->signature_sizes.len && !w->signatures.len)
		return 0;
	i->n_signatures = w->signature_sizes.len / sizeof(uint32_t);
	if (w->signature_sizes.len % sizeof(uint32_t))
		return err_set(err, E_FAILED, "signatures: malformed sizes");
	memcpy(i->signature_sizes, w->signature_sizes.p, w->signature_sizes.len);
	for (size_t n = 0; n < i->n_signatures; n++)
		sum += i->signature_sizes[n];
	if (sum != w->signatures.len)
		return err_set(err, E_FAILED, "signatures: their sizes do not fit");
	return copy_document(&w->signatures, &i->signatures, &i->signatures_len) ? err_oom(err) : 0;
}

static int take_documents(struct image *i, const struct wire_image *w, const char *wanted,
			  struct cb_error *err)
{
	int r;

	r = check_digest(&w->manifest_digest, &w->manifest, i->manifest_digest, "manifest", err);
	if (!r && w->list.len)
		r = check_digest(&w->list_digest, &w->list, i->list_digest, "index", err);
	if (r)
		return r;
	if (copy_document(&w->manifest, &i->manifest, &i->manifest_len) ||
	    copy_document(&w->config, &i->config, &i->config_len) ||
	    (w->list.len && copy_document(&w->list, &i->list, &i->list_len)))
		return err_oom(err);
	if (i->list)
		r = check_in_list(i, err);
	if (!r && wanted && !streq(wanted, image_digest(i)))
		return err_set(err, E_FAILED, "got %s instead of %s", image_digest(i), wanted);
	return r;
}

static int take_config(struct image *i, struct cb_error *err)
{
	const struct json *root = json_root(i->manifest_doc);
	const char *created;
	int r;

	i->config_digest = json_get_string(json_get(root, "config"), "digest");
	/* The image's id is 64 digits: other algorithms cannot name one in this store. */
	if (!i->config_digest || !digest_valid(i->config_digest) ||
	    !str_starts(i->config_digest, "sha256:"))
		return err_set(err, E_INVALID, "manifest: the config has no sha256 digest");
	if (!digest_matches(i->config_digest, i->config, i->config_len))
		return err_set(err, E_FAILED, "config: content does not match its digest");
	r = parse(i->config, i->config_len, JSON_REPAIR, "config", &i->config_doc, err);
	if (r)
		return r;
	created = json_get_string(json_root(i->config_doc), "created");
	if (!created || time_parse(created, &i->created) || i->created == TIME_ZERO_NS)
		i->created = now_ns();
	return 0;
}

static int take_layer(const struct json *manifest, const struct json *diff_id,
		      struct image_layer *l, size_t n, struct cb_error *err)
{
	l->digest = json_get_string(manifest, "digest");
	l->diff_id = json_string(diff_id);
	l->size = json_get_int(manifest, "size", -1);
	if (!l->digest || !digest_valid(l->digest))
		return err_set(err, E_INVALID, "manifest: layer %zu has no valid digest", n);
	if (!l->diff_id || !digest_valid(l->diff_id) || !str_starts(l->diff_id, "sha256:"))
		return err_set(err, E_INVALID, "config: layer %zu has no sha256 diff id", n);
	if (l->size < 0 || l->size > LAYER_SIZE_MAX)
		return err_set(err, E_INVALID, "manifest: layer %zu has no valid size", n);
	return 0;
}

static int take_layers(struct image *i, struct cb_error *err)
{
	const struct json *layers = json_get(json_root(i->manifest_doc), "layers");
	const struct json *diff_ids =
		json_path(json_root(i->config_doc), "rootfs", "diff_ids", NULL);
	const struct json *d = diff_ids ? diff_ids->first : NULL;
	size_t n = layers ? layers->count : 0;
	const char *parent = NULL;
	int r;

	if (!layers || layers->type != JSON_ARRAY || n != (diff_ids ? diff_ids->count : 0))
		return err_set(err, E_INVALID,
			       "manifest and config do not have the same number of layers");
	if (n > WIRE_LAYERS_MAX)
		return err_set(err, E_LIMIT, "the image has %zu layers, more than %d", n,
			       WIRE_LAYERS_MAX);
	i->layers = calloc(n + 1, sizeof(*i->layers));
	if (!i->layers)
		return err_oom(err);
	json_foreach(l, layers) {
		struct image_layer *to = &i->layers[i->n_layers];

		r = take_layer(l, d, to, i->n_layers, err);
		if (r)
			return r;
		r = cstore_layer_chain_id(parent, to->diff_id, to->id);
		if (r)
			return err_set(err, E_INVALID,
				       "config: layer %zu has a diff id that names no layer",
				       i->n_layers);
		parent = to->id;
		d = d->next;
		i->n_layers++;
	}
	return 0;
}

int image_derive(const struct wire_image *w, const char *wanted, struct image *ret,
		 struct cb_error *err)
{
	struct image i = { 0 };
	int r;

	r = take_documents(&i, w, wanted, err);
	if (!r)
		r = take_signatures(&i, w, err);
	if (!r)
		r = parse(i.manifest, i.manifest_len, 0, "manifest", &i.manifest_doc, err);
	if (!r)
		r = take_config(&i, err);
	if (!r)
		r = take_layers(&i, err);
	if (r) {
		image_done(&i);
		return r;
	}
	*ret = i;
	return 0;
}

/* As containers/image writes it: the sizes once more where the manifest was not chosen from an index. */
static char *metadata(const struct image *i)
{
	_cleanup_str_ struct str sizes = STR_INIT;
	const char *list;

	for (size_t n = 0; n < i->n_signatures; n++)
		str_appendf(&sizes, "%s%u", n ? "," : "", i->signature_sizes[n]);
	if (str_failed(&sizes))
		return NULL;
	list = sizes.data ? sizes.data : "";
	if (i->list || !i->n_signatures)
		return strf("{\"signatures-sizes\":{\"%s\":[%s]}}", i->manifest_digest, list);
	return strf("{\"signature-sizes\":[%s],\"signatures-sizes\":{\"%s\":[%s]}}", list,
		    i->manifest_digest, list);
}

int image_put(const struct image *i, struct cstore *store, const char *name, struct cb_error *err)
{
	_cleanup_free_ char *list_key = strf("manifest-%s", i->list_digest);
	_cleanup_free_ char *key = strf("manifest-%s", i->manifest_digest);
	_cleanup_free_ char *meta = metadata(i);
	const char *names[] = { name, NULL };
	_cleanup_free_ char *signatures_key = strf("signature-%s", digest_hex(i->manifest_digest));
	char signatures_digest[DIGEST_STR_MAX];
	struct cstore_blob data[6];
	struct cstore_image_spec spec = {
		.size = sizeof(spec),
		.id = image_id(i),
		.digest = image_digest(i),
		.metadata = meta,
		.top_layer = i->n_layers ? i->layers[i->n_layers - 1].id : NULL,
		.created = i->created,
		.names = names,
		.data = data,
	};
	struct cstore_error se = { 0 };
	size_t n = 0;
	int r;

	if (!list_key || !key || !meta || !signatures_key)
		return err_oom(err);
	data[n++] = (struct cstore_blob){ i->config_digest, i->config, i->config_len,
					  i->config_digest };
	if (i->list)
		data[n++] = (struct cstore_blob){ list_key, i->list, i->list_len, i->list_digest };
	data[n++] = (struct cstore_blob){ key, i->manifest, i->manifest_len, i->manifest_digest };
	data[n++] = (struct cstore_blob){ "manifest", i->manifest, i->manifest_len,
					  i->manifest_digest };
	if (i->n_signatures) {
		digest_sha256(i->signatures, i->signatures_len, signatures_digest);
		if (!i->list)
			data[n++] = (struct cstore_blob){ "signatures", i->signatures,
							  i->signatures_len, signatures_digest };
		data[n++] = (struct cstore_blob){ signatures_key, i->signatures,
						  i->signatures_len, signatures_digest };
	}
	spec.data_count = n;
	r = cstore_image_put(store, &spec, &se);
	return err_from_cstore(err, r, &se);
}
