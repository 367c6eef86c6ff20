/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying one image: what its manifest and layers shall be at the destination, then layers, config,
 * manifest, signatures, in this order.
 *
 * A manifest stays bit for bit what it is when it is signed, when the destination names it by digest,
 * or when the caller wants so; what would change it is refused then. Otherwise it changes only where it
 * must: into a kind that the destination takes, or was asked for, and where layers get another form.
 */
#include "config.h"
#include "context.h"
#include "copy.h"
#include "crypt.h"
#include "digest_module.h"
#include "trust.h"

struct image_copy {
	struct copy *c;
	const struct document *manifest;
	const struct manifest *old;
	bool instance, fixed;
	const char *why_fixed;
	enum manifest_type type;	/* at the destination */
	struct copy_layer *layers;	/* as old->layers */
	struct document config, new_config;	/* bytes NULL: none; as it was */
	struct cimage_config *parsed_config;	/* NULL: not understood */
	struct cimage_signatures signatures;
};

/* ---- plan ---- */

bool copy_takes(const struct copy *c, enum manifest_type t)
{
	const char *const *p;

	for (p = c->types; p && *p; p++)
		if (streq(*p, manifest_type_name(t)))
			return true;
	return !c->types;
}

static bool is_v1(const struct manifest *m)
{
	return m->type == MANIFEST_V1 || m->type == MANIFEST_V1_SIGNED;
}

static int cannot_change(const struct image_copy *i, const char *what, struct cimage_error *err)
{
	return err_set(err, CIMAGE_E_UNSUPPORTED, "the manifest may not change, since %s, but %s",
		       i->why_fixed, what);
}

static void decide_fixed(struct image_copy *i)
{
	i->fixed = true;
	if (i->signatures.count)
		i->why_fixed = "it is signed (signatures can be left behind on request)";
	else if (i->c->options->preserve_digests)
		i->why_fixed = "digests are to be preserved";
	else if (!i->instance && (i->c->flags & CIMAGE_DEST_DIGESTED))
		i->why_fixed = "the destination names a digest";
	else
		i->fixed = false;
}

static bool wants_oci(const struct image_copy *i)
{
	const char *compression = i->c->options->compression;

	return crypt_can_encrypt(i->c->to_context) || (compression && streq(compression, "zstd"));
}

static int choose_type(struct image_copy *i, struct cimage_error *err)
{
	static const enum manifest_type tried[] = { MANIFEST_DOCKER, MANIFEST_OCI };
	enum manifest_type wanted = i->c->options->format, t = i->old->type;
	size_t k;

	if (!manifest_is_image(i->old)) {
		i->type = t; /* nothing to convert */
		return 0;
	}
	if (!wanted && t == MANIFEST_DOCKER && wants_oci(i) && copy_takes(i->c, MANIFEST_OCI))
		wanted = MANIFEST_OCI;
	if (wanted)
		t = wanted;
	for (k = 0; k < ARRAY_SIZE(tried) && !copy_takes(i->c, t); k++)
		t = tried[k];
	if (!copy_takes(i->c, t) || (wanted && t != wanted))
		return err_set(err, CIMAGE_E_UNSUPPORTED, "%s does not take manifests of type %s",
			       cimage_place_string(i->c->to),
			       manifest_type_name(wanted ? wanted : i->old->type));
	if (t != i->old->type && i->fixed)
		return cannot_change(i, "it would have to be of another type", err);
	i->type = t;
	return 0;
}

/* "gzip", "zstd", "none", or NULL for as it is. */
static const char *wished_form(const struct image_copy *i)
{
	if (i->c->flags & CIMAGE_DEST_UNCOMPRESSED)
		return "none";
	if (i->c->options->compression)
		return i->c->options->compression;
	return i->c->flags & CIMAGE_DEST_KEEPS_FORM || i->fixed ? NULL : "any";
}

static int plan_form(struct image_copy *i, struct copy_layer *l, struct cimage_error *err)
{
	const char *wish = wished_form(i);
	enum layer_form form = l->kind.form;

	if (!wish || form == FORM_UNKNOWN || (l->kind.encrypted && !l->decrypt))
		return 0;
	if (streq(wish, "none") && (form != FORM_PLAIN || i->c->flags & CIMAGE_DEST_UNCOMPRESSED)) {
		l->decompress = true;
		l->new_kind.form = FORM_PLAIN;
	} else if (streq(wish, "any") && form == FORM_PLAIN) {
		l->decompress = true; /* what says it is plain need not be */
		l->compress = "gzip";
		l->new_kind.form = FORM_GZIP;
	} else if (!streq(wish, "none") && !streq(wish, "any") &&
		   form != (streq(wish, "gzip") ? FORM_GZIP : FORM_ZSTD)) {
		l->decompress = true;
		l->compress = i->c->options->compression;
		l->new_kind.form = streq(wish, "gzip") ? FORM_GZIP : FORM_ZSTD;
	}
	return 0;
}

static int plan_layer(struct image_copy *i, struct copy_layer *l, struct cimage_error *err)
{
	struct copy *c = i->c;
	size_t k;
	int r;

	l->new_kind = l->kind;
	l->skip = l->d->empty || (l->kind.foreign && c->flags & CIMAGE_DEST_FOREIGN_LAYERS &&
				  json_get(l->d->node, "urls"));
	if (l->skip)
		return 0;
	l->decrypt = l->kind.encrypted && crypt_can_decrypt(c->from.ctx);
	if (l->decrypt)
		l->new_kind.encrypted = false;
	r = plan_form(i, l, err);
	if (r)
		return r;
	l->encrypt = !l->new_kind.encrypted && l->kind.form != FORM_UNKNOWN &&
		     crypt_can_encrypt(c->to_context);
	if (l->encrypt)
		l->new_kind.encrypted = true;
	l->wants_diff_id = is_v1(i->old) && i->type != i->old->type;
	for (k = 0; k < l->index && !l->encrypt; k++)
		if (streq(i->layers[k].digest, l->digest) && !i->layers[k].skip)
			l->same_as = i->layers[k].same_as ? i->layers[k].same_as : &i->layers[k];
	if (layer_changes(l) && i->fixed)
		return cannot_change(i, "its layers would have to get another form", err);
	return 0;
}

/* What the source has instead of what the manifest says. */
static int replaced_layers(struct image_copy *i, bool *ret_any, struct cimage_error *err)
{
	size_t n = i->old->layer_count, k;
	_cleanup_free_ struct cimage_layer *there = calloc(n + 1, sizeof(*there));
	const struct cimage_transport *t = i->c->from.transport;
	int any = 0, r;

	*ret_any = false;
	if (t->abi < 2 || !t->layers)
		return 0;
	if (!there)
		return err_oom(err);
	for (k = 0; k < n; k++)
		there[k] = (struct cimage_layer){ i->layers[k].digest, i->old->layers[k].media_type,
						  i->layers[k].size, i->layers[k].known_diff_id };
	r = t->layers(i->c->from.source, i->manifest->digest, there, n, &any, err);
	if (r || !any)
		return r;
	for (k = 0; k < n; k++) {
		i->layers[k].digest = there[k].digest;
		i->layers[k].size = there[k].size;
		i->layers[k].kind = layer_kind_of(there[k].media_type);
	}
	*ret_any = true;
	return 0;
}

static int plan(struct image_copy *i, bool *ret_replaced, struct cimage_error *err)
{
	const char *const *diff_ids = NULL;
	size_t n = i->old->layer_count, k;
	int r;

	i->layers = calloc(n + 1, sizeof(*i->layers));
	if (!i->layers)
		return err_oom(err);
	if (i->config.bytes && !cimage_config_parse(i->config.bytes, i->config.len,
						    &i->parsed_config, NULL))
		diff_ids = config_diff_ids(i->parsed_config);
	for (k = 0; k < n; k++) {
		struct copy_layer *l = &i->layers[k];

		l->d = &i->old->layers[k];
		l->digest = l->d->digest;
		l->size = l->d->size;
		l->kind = layer_kind_of(l->d->media_type);
		l->index = k;
		if (diff_ids && *diff_ids)
			l->known_diff_id = *diff_ids++;
		if (l->known_diff_id && !digest_valid(l->known_diff_id))
			l->known_diff_id = NULL;
	}
	r = replaced_layers(i, ret_replaced, err);
	if (!r && *ret_replaced && i->fixed)
		return cannot_change(i, "the source has its layers in another form", err);
	for (k = 0; !r && k < n; k++)
		r = plan_layer(i, &i->layers[k], err);
	return r;
}

/* ---- put ---- */

struct bytes_stream {
	struct cimage_stream base;
	const char *p;
	size_t left;
};

static int bytes_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		      struct cimage_error *err)
{
	struct bytes_stream *b = (struct bytes_stream *)s;

	*ret_n = b->left < n ? b->left : n;
	memcpy(p, b->p, *ret_n);
	b->p += *ret_n;
	b->left -= *ret_n;
	return 0;
}

static void bytes_close(struct cimage_stream *s)
{
}

static int put_config(struct image_copy *i, struct cimage_error *err)
{
	const struct document *d = i->new_config.bytes ? &i->new_config : &i->config;
	const struct cimage_put put = {
		.kind = CIMAGE_BLOB_CONFIG,
		.digest = d->digest,
		.size = (int64_t)d->len,
		.media_type = i->type == MANIFEST_DOCKER ? DOCKER_CONFIG_TYPE : OCI_CONFIG_TYPE,
	};
	struct bytes_stream s = { { bytes_read, bytes_close }, d->bytes, d->len };
	int there = 0, r;

	if (!d->bytes)
		return 0;
	r = i->c->ops->has_blob(i->c->dest, &put, &there, err);
	if (!r && !there)
		r = i->c->ops->put_blob(i->c->dest, &put, &s.base, err);
	if (!r)
		copy_progress(i->c, there ? CIMAGE_PROGRESS_REUSED : CIMAGE_PROGRESS_DONE,
			      CIMAGE_BLOB_CONFIG, d->digest, d->len, put.size);
	return r;
}

static int make_config(struct image_copy *i, struct cimage_error *err)
{
	struct document *d = &i->new_config;
	const char **diff_ids;
	size_t k, n = 0;
	int r = 0;

	if (i->type == i->old->type || !manifest_is_image(i->old))
		return 0;
	if (is_v1(i->old)) {
		diff_ids = calloc(i->old->layer_count + 1, sizeof(*diff_ids));
		if (!diff_ids)
			return err_oom(err);
		for (k = 0; k < i->old->layer_count; k++)
			if (!i->layers[k].skip)
				diff_ids[n++] = i->layers[k].diff_id;
		r = schema1_config(i->old, diff_ids, &d->bytes, &d->len, err);
		free(diff_ids);
		if (!r && i->type == MANIFEST_OCI) {
			struct document v2 = *d;

			d->bytes = NULL;
			r = config_to_oci(&v2, &d->bytes, &d->len, err);
			free(v2.bytes);
		}
	} else if (i->type == MANIFEST_OCI) {
		r = config_to_oci(&i->config, &d->bytes, &d->len, err);
	}
	if (!r && d->bytes)
		i->c->from.digests->sha256(d->bytes, d->len, d->digest);
	return r;
}

static bool manifest_changes(const struct image_copy *i, bool replaced)
{
	bool any = replaced || i->type != i->old->type;
	size_t k;

	for (k = 0; k < i->old->layer_count && !any; k++)
		any = layer_changes(&i->layers[k]);
	return any;
}

static int make_manifest(struct image_copy *i, bool replaced, struct made_manifest *ret,
			 struct cimage_error *err)
{
	struct document *d = &ret->doc;
	int r;

	ret->type = i->type;
	if (manifest_changes(i, replaced)) {
		r = manifest_make(i->c, i->old, i->type,
				  i->new_config.bytes ? &i->new_config : NULL, i->layers, &d->bytes,
				  &d->len, err);
		if (!r)
			i->c->from.digests->sha256(d->bytes, d->len, d->digest);
		return r;
	}
	d->bytes = malloc(i->manifest->len + 1);
	if (!d->bytes)
		return err_oom(err);
	memcpy(d->bytes, i->manifest->bytes, i->manifest->len);
	d->bytes[i->manifest->len] = '\0';
	d->len = i->manifest->len;
	strcpy(d->digest, i->manifest->digest);
	return 0;
}

/* ---- signatures ---- */

int copy_signatures(struct copy *c, const struct document *manifest, struct cimage_signatures *ret,
		    struct cimage_error *err)
{
	int r;

	if (c->options->remove_signatures)
		return 0;
	r = reading_signatures(&c->from, manifest, ret, err);
	if (r || !ret->count || c->flags & CIMAGE_DEST_SIGNATURES)
		return r;
	return err_set(err, CIMAGE_E_UNSUPPORTED,
		       "%s cannot store the image's %zu signatures; they can be left behind on request",
		       cimage_place_string(c->to), ret->count);
}

int copy_put_signatures(struct copy *c, struct cimage_signatures *s, const struct document *manifest,
			bool instance, struct cimage_error *err)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *named = NULL;
	const struct cimage_ref *ref = cimage_place_ref(c->to);
	int r = 0;

	if (c->options->sign_identity) {
		r = cimage_ref_parse(c->options->sign_identity, 1, &named, err);
		ref = named;
	}
	if (!r)
		r = trust_sign(c->to_context, ref, manifest->bytes, manifest->len, manifest->digest,
			       s, err);
	if (r || !s->count)
		return r;
	if (!c->ops->put_signatures || !(c->flags & CIMAGE_DEST_SIGNATURES))
		return err_set(err, CIMAGE_E_UNSUPPORTED, "%s cannot store signatures",
			       cimage_place_string(c->to));
	return c->ops->put_signatures(c->dest, s, instance ? manifest->digest : NULL, err);
}

/* ---- the whole ---- */

static int run(struct image_copy *i, struct made_manifest *ret, struct cimage_error *err)
{
	struct copy *c = i->c;
	const struct descriptor *config = &i->old->config;
	bool replaced = false;
	int r;

	r = copy_signatures(c, i->manifest, &i->signatures, err);
	if (r)
		return r;
	decide_fixed(i);
	r = choose_type(i, err);
	if (!r && config->digest)
		r = reading_blob(&c->from, config->digest, config->size, &i->config, err);
	if (!r)
		r = plan(i, &replaced, err);
	if (!r)
		r = copy_layers(c, i->layers, i->old->layer_count, err);
	if (!r)
		r = make_config(i, err);
	if (!r)
		r = put_config(i, err);
	if (!r)
		r = make_manifest(i, replaced, ret, err);
	if (!r)
		r = c->ops->put_manifest(c->dest, ret->doc.bytes, ret->doc.len,
					 manifest_type_name(ret->type),
					 i->instance ? ret->doc.digest : NULL, err);
	if (!r)
		r = copy_put_signatures(c, &i->signatures, &ret->doc, i->instance, err);
	return r;
}

int copy_image(struct copy *c, const struct document *manifest, const struct manifest *parsed,
	       bool instance, struct made_manifest *ret, struct cimage_error *err)
{
	struct image_copy i = { .c = c, .manifest = manifest, .old = parsed, .instance = instance };
	size_t k;
	int r;

	r = run(&i, ret, err);
	for (k = 0; i.layers && k < parsed->layer_count; k++)
		crypt_free(i.layers[k].encryption);
	free(i.layers);
	free(i.config.bytes);
	free(i.new_config.bytes);
	cimage_config_free(i.parsed_config);
	cimage_signatures_done(&i.signatures);
	return r;
}
