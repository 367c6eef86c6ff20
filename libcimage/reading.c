/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a source. The transport only moves bytes; here is decided what they are worth: a manifest
 * that was asked for by digest, or chosen from a list, must have that digest and size, and so must a
 * blob. Nothing that a manifest says is acted upon before the policy has accepted it, but for lists,
 * which only lead to one.
 */
#include "context.h"
#include "digest_module.h"
#include "module.h"
#include "reading.h"
#include "trust.h"

int reading_open(struct reading *r, struct cimage_context *c, const struct cimage_place *place,
		 const struct cimage_ref *ref, bool judge, struct cimage_error *err)
{
	const struct document none = { 0 };
	int k;

	*r = (struct reading){ .ctx = c, .place = place, .transport = place_ops(place) };
	r->ref = ref ? ref : cimage_place_ref(place);
	r->unjudged = !judge;
	if ((k = reading_judge(r, &none, err)) || (k = module_digest(c, &r->digests, err)))
		return k;
	if (r->transport->abi > 1 && r->transport->open_place)
		return r->transport->open_place(c, place, &r->source, err);
	if (!r->transport->open || !r->ref)
		return err_set(err, CIMAGE_E_UNSUPPORTED, "images cannot be read from %s:",
			       r->transport->name);
	return r->transport->open(c, r->ref, &r->source, err);
}

void reading_close(struct reading *r)
{
	if (r->source)
		r->transport->close(r->source);
	r->source = NULL;
}

/* ---- manifests ---- */

/* Of v2s1 with signatures in it, the digest is not that of all its bytes. */
static int digest_manifest(struct reading *r, const char *wanted, struct document *d,
			   struct cimage_error *err)
{
	_cleanup_free_ char *part = NULL;
	const char *bytes = d->bytes;
	size_t len = d->len;
	int k;

	k = manifest_signed_part(d->bytes, d->len, &part, &len);
	if (k == -ENOMEM)
		return err_oom(err);
	if (k)
		return err_set(err, CIMAGE_E_INVALID, "manifest: its signatures are malformed");
	if (part)
		bytes = part;
	else
		len = d->len;
	if (!wanted) {
		r->digests->sha256(bytes, len, d->digest);
		return 0;
	}
	strcpy(d->digest, wanted);
	if (r->digests->matches(wanted, bytes, len))
		return 0;
	return err_set(err, CIMAGE_E_DIGEST,
		       "manifest: the content does not match the digest %s", wanted);
}

int reading_manifest(struct reading *r, const char *digest, int64_t size, struct document *ret,
		     char **ret_type, struct cimage_error *err)
{
	const char *wanted = digest ? digest : r->ref ? cimage_ref_digest(r->ref) : NULL;
	struct document d = { 0 };
	char *type = NULL;
	int k;

	if (cimage_context_cancelled(r->ctx))
		return err_set(err, CIMAGE_E_CANCELLED, "cancelled");
	k = r->transport->manifest(r->source, digest, &d.bytes, &d.len, &type, err);
	if (k)
		return k;
	if (d.len > CIMAGE_MANIFEST_MAX)
		k = err_set(err, CIMAGE_E_LIMIT, "manifest: larger than %u bytes",
			    CIMAGE_MANIFEST_MAX);
	if (!k)
		k = digest_manifest(r, wanted, &d, err);
	if (!k && size >= 0 && (uint64_t)size != d.len)
		k = err_set(err, CIMAGE_E_DIGEST, "manifest %s: %zu bytes instead of %lld", digest,
			    d.len, (long long)size);
	if (k) {
		free(type);
		free(d.bytes);
		return k;
	}
	*ret = d;
	*ret_type = type;
	return 0;
}

int reading_signatures(struct reading *r, const struct document *manifest,
		       struct cimage_signatures *ret, struct cimage_error *err)
{
	*ret = (struct cimage_signatures){ 0 };
	if (r->transport->abi < 2 || !r->transport->signatures)
		return 0;
	return r->transport->signatures(r->source, manifest->digest, ret, err);
}

struct judged {
	struct reading *reading;
	const struct document *manifest;
};

static int on_signatures(void *user, struct cimage_signatures *ret, struct cimage_error *err)
{
	struct judged *j = user;

	return reading_signatures(j->reading, j->manifest, ret, err);
}

int reading_judge(struct reading *r, const struct document *manifest, struct cimage_error *err)
{
	struct judged j = { r, manifest };
	const struct trust_image image = {
		.place = r->place,
		.ref = r->ref,
		.manifest = manifest->bytes,
		.manifest_len = manifest->len,
		.manifest_digest = manifest->digest,
		.signatures = on_signatures,
		.user = &j,
	};

	return r->unjudged ? 0 : trust_check(r->ctx, &image, err);
}

int reading_chosen(struct reading *r, const struct manifest *list, bool any, struct document *ret,
		   struct manifest **ret_parsed, struct cimage_error *err)
{
	_cleanup_(manifest_freep) struct manifest *parsed = NULL;
	_cleanup_free_ char *type = NULL;
	struct platform platform;
	struct descriptor chosen;
	int k;

	platform_init(&platform, r->ctx->os, r->ctx->arch, r->ctx->variant);
	platform.prefer_gzip = r->ctx->prefer_gzip;
	if ((k = manifest_choose(list, &platform, &chosen, err)) ||
	    (k = reading_manifest(r, chosen.digest, chosen.size, ret, &type, err)) ||
	    (k = reading_judge(r, ret, err)))
		return k;
	k = any ? manifest_parse_any(ret->bytes, ret->len, type, &parsed, err)
		: manifest_parse(ret->bytes, ret->len, type, &parsed, err);
	if (k)
		return k;
	if (manifest_is_list(parsed))
		return err_set(err, CIMAGE_E_UNSUPPORTED,
			       "manifest: an index inside an index is not supported");
	if (*chosen.media_type && manifest_type_of(chosen.media_type) != parsed->type)
		return err_set(err, CIMAGE_E_INVALID,
			       "manifest %s: the index calls it \"%s\", and it is %s",
			       chosen.digest, SHOW(chosen.media_type),
			       manifest_type_name(parsed->type));
	*ret_parsed = take(parsed);
	return 0;
}

/* ---- small blobs ---- */

struct small_blob {
	struct str bytes;
	size_t limit;
	const char *digest;
	struct cimage_error *err;
};

static int on_small_data(void *user, const void *p, size_t n)
{
	struct small_blob *b = user;

	if (n > b->limit - b->bytes.len)
		return err_set(b->err, CIMAGE_E_DIGEST, "blob %s: longer than its %zu bytes",
			       b->digest, b->limit);
	str_append_mem(&b->bytes, p, n);
	return str_failed(&b->bytes) ? err_oom(b->err) : 0;
}

static int on_small_done(void *user, int result)
{
	return result;
}

int reading_blob(struct reading *r, const char *digest, int64_t size, struct document *ret,
		 struct cimage_error *err)
{
	struct small_blob b = { .digest = digest, .err = err };
	struct cimage_blob_request request = {
		.digest = digest,
		.size = size,
		.user = &b,
		.resume_fd = -1,
		.data = on_small_data,
		.done = on_small_done,
	};
	int k = 0;

	if (cimage_context_cancelled(r->ctx))
		return err_set(err, CIMAGE_E_CANCELLED, "cancelled");
	if (size > (int64_t)CIMAGE_MANIFEST_MAX)
		return err_set(err, CIMAGE_E_LIMIT, "blob %s: %lld bytes, more than %u", digest,
			       (long long)size, CIMAGE_MANIFEST_MAX);
	b.limit = size >= 0 ? (size_t)size : CIMAGE_MANIFEST_MAX;
	k = reading_transfer(r, &request, 1, err);
	if (!k && size >= 0 && b.bytes.len != (size_t)size)
		k = err_set(err, CIMAGE_E_DIGEST, "blob %s: %zu bytes instead of %lld", digest,
			    b.bytes.len, (long long)size);
	if (!k && !r->digests->matches(digest, b.bytes.data ? b.bytes.data : "", b.bytes.len))
		k = err_set(err, CIMAGE_E_DIGEST, "blob %s: the content has another digest", digest);
	if (!k) {
		strcpy(ret->digest, digest);
		ret->bytes = str_take(&b.bytes, &ret->len);
		k = ret->bytes ? 0 : err_oom(err);
	}
	str_done(&b.bytes);
	return k;
}

int reading_transfer(struct reading *r, struct cimage_blob_request *requests, size_t n,
		     struct cimage_error *err)
{
	struct cimage_error why = { 0 };
	int k;

	if (err)
		err->message[0] = '\0';
	k = r->transport->blobs(r->source, requests, n, &why);
	if (k && err && !err->message[0])
		*err = why;
	return k;
}
