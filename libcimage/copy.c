/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying from any place to any other: opens both ends, decides whether it is about one image or a
 * list, and commits at the end. What a list names is copied one image after the other (their layers in
 * parallel), then the list itself, changed where an image had to change.
 */
#include "blob_cache.h"
#include "context.h"
#include "copy.h"
#include "digest_module.h"
#include "module.h"
#include "sigpipe.h"

/* ---- options ---- */

PUBLIC int cimage_copy_options_new(struct cimage_copy_options **ret)
{
	struct cimage_copy_options *o = ret ? calloc(1, sizeof(*o)) : NULL;

	if (!o)
		return ret ? -ENOMEM : -EINVAL;
	o->parallel = COPY_PARALLEL;
	*ret = o;
	return 0;
}

PUBLIC struct cimage_copy_options *cimage_copy_options_free(struct cimage_copy_options *o)
{
	if (!o)
		return NULL;
	strv_free(o->instances);
	free(o->compression);
	free(o->sign_identity);
	free(o);
	return NULL;
}

PUBLIC int cimage_copy_options_set_format(struct cimage_copy_options *o, const char *format)
{
	if (!o || (format && !streq(format, "oci") && !streq(format, "v2s2")))
		return -EINVAL;
	o->format = !format ? MANIFEST_NONE : streq(format, "oci") ? MANIFEST_OCI : MANIFEST_DOCKER;
	return 0;
}

PUBLIC int cimage_copy_options_add_instance(struct cimage_copy_options *o, const char *digest)
{
	return o && digest && digest_valid(digest) ? strv_push(&o->instances, digest) : -EINVAL;
}

static int replace(char **where, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		return -ENOMEM;
	free(*where);
	*where = copy;
	return 0;
}

PUBLIC int cimage_copy_options_set_compression(struct cimage_copy_options *o, const char *algorithm,
					       int level)
{
	if (!o || level < 0 || level > 22 ||
	    (algorithm && !streq(algorithm, "gzip") && !streq(algorithm, "zstd") &&
	     !streq(algorithm, "none")) ||
	    (algorithm && streq(algorithm, "gzip") && level > 9))
		return -EINVAL;
	o->level = level;
	return replace(&o->compression, algorithm);
}

PUBLIC int cimage_copy_options_set_sign_identity(struct cimage_copy_options *o, const char *reference)
{
	return o ? replace(&o->sign_identity, reference) : -EINVAL;
}

PUBLIC int cimage_copy_options_set_parallel(struct cimage_copy_options *o, int n)
{
	if (!o || n < 1 || n > COPY_PARALLEL_MAX)
		return -EINVAL;
	o->parallel = n;
	return 0;
}

PUBLIC int cimage_copy_options_set_progress(struct cimage_copy_options *o,
					    void (*progress)(void *user,
							     const struct cimage_progress *p),
					    void *user)
{
	if (!o)
		return -EINVAL;
	o->progress = progress;
	o->progress_user = user;
	return 0;
}

#define SET_FLAG(name)                                                                             \
	PUBLIC int cimage_copy_options_set_##name(struct cimage_copy_options *o, int value)        \
	{                                                                                          \
		if (o)                                                                             \
			o->name = value;                                                           \
		return o ? 0 : -EINVAL;                                                            \
	}

SET_FLAG(all)
SET_FLAG(preserve_digests)
SET_FLAG(remove_signatures)

void copy_progress(struct copy *c, int event, int kind, const char *digest, uint64_t done,
		   int64_t size)
{
	const struct cimage_progress p = { event, kind, digest, done, size };

	if (!c->options->progress)
		return;
	pthread_mutex_lock(&c->lock);
	c->options->progress(c->options->progress_user, &p);
	pthread_mutex_unlock(&c->lock);
}

/* ---- lists ---- */

static int copy_instance(struct copy *c, const struct json *entry, struct made_manifest *ret,
			 struct cimage_error *err)
{
	_cleanup_(manifest_freep) struct manifest *parsed = NULL;
	const char *digest = json_get_string(entry, "digest");
	_cleanup_free_ char *type = NULL;
	struct document d = { 0 };
	int r;

	if (!digest || !digest_valid(digest))
		return err_set(err, CIMAGE_E_INVALID, "manifest: bad or unsupported digest");
	if (c->options->instances && !strv_has(c->options->instances, digest))
		return 0;
	r = reading_manifest(&c->from, digest, json_get_int(entry, "size", -1), &d, &type, err);
	if (!r)
		r = reading_judge(&c->from, &d, err);
	if (!r)
		r = manifest_parse_any(d.bytes, d.len, type, &parsed, err);
	if (!r && manifest_is_list(parsed))
		r = err_set(err, CIMAGE_E_UNSUPPORTED,
			    "manifest: an index inside an index is not supported");
	if (!r)
		r = copy_image(c, &d, parsed, true, ret, err);
	free(d.bytes);
	return r ? err_ctx(err, r, "image %s", digest) : 0;
}

/* The list as it shall be: other entries, another type, or neither. */
static int finish_list(struct copy *c, const struct document *list, const struct manifest *parsed,
		       struct made_manifest *made, struct made_manifest *ret,
		       struct cimage_error *err)
{
	bool changed = false;
	size_t i = 0;

	ret->type = parsed->type;
	if (c->options->format)
		ret->type = c->options->format == MANIFEST_OCI ? MANIFEST_OCI_INDEX
							       : MANIFEST_DOCKER_LIST;
	if (!copy_takes(c, ret->type))
		ret->type = ret->type == MANIFEST_OCI_INDEX ? MANIFEST_DOCKER_LIST
							    : MANIFEST_OCI_INDEX;
	json_foreach(entry, json_get(json_root(parsed->doc), "manifests")) {
		const char *digest = json_get_string(entry, "digest");

		if (made[i].doc.bytes && !streq(made[i].doc.digest, digest))
			changed = true;
		else
			free(take(made[i].doc.bytes)); /* as it was */
		i++;
	}
	if (changed || ret->type != parsed->type) {
		int r = list_make(parsed, ret->type, made, &ret->doc.bytes, &ret->doc.len, err);

		if (!r)
			c->from.digests->sha256(ret->doc.bytes, ret->doc.len, ret->doc.digest);
		return r;
	}
	ret->doc = *list;
	ret->doc.bytes = malloc(list->len + 1);
	if (!ret->doc.bytes)
		return err_oom(err);
	memcpy(ret->doc.bytes, list->bytes, list->len);
	ret->doc.bytes[list->len] = '\0';
	return 0;
}

static int copy_list(struct copy *c, const struct document *list, const struct manifest *parsed,
		     struct made_manifest *ret, struct cimage_error *err)
{
	const struct json *entries = json_get(json_root(parsed->doc), "manifests");
	struct cimage_signatures signatures = { 0 };
	struct made_manifest *made;
	size_t i = 0;
	int r;

	if (!(c->flags & CIMAGE_DEST_LISTS))
		return err_set(err, CIMAGE_E_UNSUPPORTED,
			       "%s holds one image, not a list of them",
			       cimage_place_string(c->to));
	made = calloc(entries->count + 1, sizeof(*made));
	if (!made)
		return err_oom(err);
	r = copy_signatures(c, list, &signatures, err);
	json_foreach(entry, entries)
		if (!r)
			r = copy_instance(c, entry, &made[i++], err);
	if (!r)
		r = finish_list(c, list, parsed, made, ret, err);
	if (!r && !streq(ret->doc.digest, list->digest) &&
	    (signatures.count || c->options->preserve_digests || c->flags & CIMAGE_DEST_DIGESTED))
		r = err_set(err, CIMAGE_E_UNSUPPORTED,
			    "the list would have to change, but it is signed, or its digest is to "
			    "be preserved");
	if (!r)
		r = c->ops->put_manifest(c->dest, ret->doc.bytes, ret->doc.len,
					 manifest_type_name(ret->type), NULL, err);
	if (!r)
		r = copy_put_signatures(c, &signatures, &ret->doc, false, err);
	for (i = 0; i < entries->count; i++)
		free(made[i].doc.bytes);
	free(made);
	cimage_signatures_done(&signatures);
	return r;
}

/* ---- the whole ---- */

static int open_destination(struct copy *c, struct cimage_error *err)
{
	const struct cimage_transport *t = place_ops(c->to);
	int r;

	c->ops = t->abi > 1 ? t->destination : NULL;
	if (!c->ops)
		return err_set(err, CIMAGE_E_UNSUPPORTED, "images cannot be written to %s:", t->name);
	r = c->ops->open(c->to_context, c->to, &c->dest, err);
	if (r)
		return r;
	c->flags = c->ops->flags(c->dest);
	c->types = c->ops->manifest_types(c->dest);
	return 0;
}

static int copy_one(struct copy *c, struct document *top, struct manifest *parsed, bool is_list,
		    struct made_manifest *ret, struct cimage_error *err)
{
	_cleanup_(manifest_freep) struct manifest *chosen = NULL;
	struct document d = { 0 };
	int r;

	if (!is_list) {
		r = reading_judge(&c->from, top, err);
		return r ? r : copy_image(c, top, parsed, false, ret, err);
	}
	r = reading_chosen(&c->from, parsed, true, &d, &chosen, err);
	if (!r)
		r = copy_image(c, &d, chosen, false, ret, err);
	free(d.bytes);
	return r;
}

static int run(struct copy *c, struct cimage_context *from_context, const struct cimage_place *from,
	       struct made_manifest *made, struct cimage_error *err)
{
	_cleanup_(manifest_freep) struct manifest *parsed = NULL;
	_cleanup_free_ char *type = NULL;
	struct document top = { 0 };
	bool is_list = false, all = c->options->all || c->options->instances;
	int r;

	r = reading_open(&c->from, from_context, from, NULL, true, err);
	if (!r)
		r = reading_manifest(&c->from, NULL, -1, &top, &type, err);
	if (!r)
		r = manifest_parse_any(top.bytes, top.len, type, &parsed, err);
	if (r) {
		free(top.bytes);
		return err_ctx(err, r, "read %s", cimage_place_string(from));
	}
	r = open_destination(c, err);
	if (!r) {
		is_list = manifest_is_list(parsed);
		r = is_list && all ? copy_list(c, &top, parsed, made, err)
				   : copy_one(c, &top, parsed, is_list, made, err);
	}
	if (!r && cimage_context_cancelled(c->to_context))
		r = err_set(err, CIMAGE_E_CANCELLED, "cancelled");
	if (!r)
		r = c->ops->commit(c->dest, is_list && !all ? top.bytes : NULL, top.len, err);
	free(top.bytes);
	return r ? err_ctx(err, r, "copy %s to %s", cimage_place_string(from),
			   cimage_place_string(c->to))
		 : 0;
}

PUBLIC int cimage_copy(struct cimage_context *from_context, const struct cimage_place *from,
		       struct cimage_context *to_context, const struct cimage_place *to,
		       const struct cimage_copy_options *o, char **ret_digest,
		       struct cimage_error *err)
{
	static const struct cimage_copy_options usual = { .parallel = COPY_PARALLEL };
	struct copy c = { .options = o ? o : &usual,
			  .to_context = to_context,
			  .to = to,
			  .lock = PTHREAD_MUTEX_INITIALIZER };
	struct made_manifest made = { 0 };
	_cleanup_free_ char *path = NULL;
	struct sigpipe held;
	int r;

	if (!from_context || !from || !to_context || !to)
		return -EINVAL;
	path = context_blob_cache(to_context);
	c.cache = path && *path ? blob_cache_load(path) : NULL;
	sigpipe_hold(&held);
	r = run(&c, from_context, from, &made, err);
	if (!r)
		blob_cache_save(c.cache);
	blob_cache_free(c.cache);
	if (c.dest)
		c.ops->close(c.dest);
	reading_close(&c.from);
	sigpipe_release(&held);
	if (!r && ret_digest && !(*ret_digest = strdup(made.doc.digest)))
		r = err_oom(err);
	free(made.doc.bytes);
	return r;
}
