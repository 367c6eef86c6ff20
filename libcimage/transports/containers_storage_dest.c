/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as a destination. Layers are extracted side by side into its staging while they come, and
 * published in order at the commit: layers, image record, name. What the config calls the layers
 * (diff ids) decides what goes where; a layer that the store has on another parent is taken from
 * there.
 */
#include <cbase/digest.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include <fcntl.h>
#include <pthread.h>
#include "containers_storage.h"

struct signature_set {
	char digest[DIGEST_STR_MAX];
	struct str bytes, sizes; /* sizes: "1,2,3" */
};

struct cimage_destination {
	struct cimage_context *ctx;
	const struct cimage_place *place;
	struct cstore *store;
	struct cstore_staging *staging;
	pthread_mutex_t lock;
	struct cstore_staged **staged;	/* under the lock; NULL: published */
	size_t count;
	char *config, *manifest;
	size_t config_len, manifest_len;
	char config_digest[DIGEST_STR_MAX], manifest_digest[DIGEST_STR_MAX];
	struct signature_set signatures;
};

static void dest_close(struct cimage_destination *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		cstore_staged_free(d->staged[i]);
	free(d->staged);
	cstore_staging_free(d->staging);
	cstore_free(d->store);
	free(d->config);
	free(d->manifest);
	str_done(&d->signatures.bytes);
	str_done(&d->signatures.sizes);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static int dest_open(struct cimage_context *c, const struct cimage_place *place,
		     struct cimage_destination **ret, struct cimage_error *err)
{
	struct cimage_destination *d = calloc(1, sizeof(*d));
	struct cstore_error se = { 0 };
	int r;

	if (!d)
		return err_oom(err);
	d->ctx = c;
	d->place = place;
	pthread_mutex_init(&d->lock, NULL);
	r = storage_open(place, &d->store, err);
	if (!r) {
		r = cstore_staging_new(d->store, &d->staging, &se);
		r = storage_error(r, &se, err);
	}
	if (r)
		dest_close(d);
	else
		*ret = d;
	return r;
}

static int dest_flags(const struct cimage_destination *d)
{
	const struct cimage_ref *ref = cimage_place_ref(d->place);

	return CIMAGE_DEST_KEEPS_FORM | CIMAGE_DEST_SIGNATURES |
	       (ref && cimage_ref_digest(ref) ? CIMAGE_DEST_DIGESTED : 0);
}

static const char *const *dest_types(const struct cimage_destination *d)
{
	static const char *const types[] = {
		"application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.v2+json",
		NULL,
	};

	return types;
}

static int dest_has(struct cimage_destination *d, const struct cimage_put *b, int *ret,
		    struct cimage_error *err)
{
	_cleanup_free_ char *id = NULL;
	int r = 0;

	if (b->kind == CIMAGE_BLOB_LAYER && b->diff_id)
		r = storage_find_diff(d->store, b->diff_id, &id, err);
	*ret = id != NULL;
	return r;
}

/* ---- layers ---- */

/* From a stream to the descriptor that the store wants. */
struct feed {
	struct cimage_stream *from;
	int fd;
	int result;
	struct cimage_error err;
};

static void *run_feed(void *user)
{
	struct feed *f = user;
	char buf[65536];
	size_t n = 1;
	int r = 0;

	while (!r && n) {
		r = f->from->read(f->from, buf, sizeof(buf), &n, &f->err);
		if (!r && n && write_all(f->fd, buf, n))
			break; /* whoever reads says why */
	}
	f->result = r;
	f->fd = close_fd(f->fd);
	return NULL;
}

static int keep_staged(struct cimage_destination *d, struct cstore_staged *l, struct cimage_error *err)
{
	struct cstore_staged **grown;

	pthread_mutex_lock(&d->lock);
	grown = realloc(d->staged, (d->count + 1) * sizeof(struct cstore_staged *));
	if (grown) {
		d->staged = grown;
		grown[d->count++] = l;
	}
	pthread_mutex_unlock(&d->lock);
	if (grown)
		return 0;
	cstore_staged_free(l);
	return err_oom(err);
}

/* Its digest: known before only when nothing changed the blob on its way. */
static int stage(struct cimage_destination *d, const char *diff_id, const char *digest, int64_t size,
		 struct cimage_stream *s, struct cimage_error *err)
{
	struct cstore_apply_options o = { .size = sizeof(o), .blob_size = size };
	struct feed f = { .from = s };
	struct cstore_staged *staged = NULL;
	struct cstore_error se = { 0 };
	pthread_t thread;
	int ends[2], r;

	o.blob_digest = digest;
	o.diff_id = diff_id;
	if (pipe2(ends, O_CLOEXEC))
		return err_sys(err, "make a pipe");
	(void)fcntl(ends[1], F_SETPIPE_SZ, 256 << 10);
	f.fd = ends[1];
	r = pthread_create(&thread, NULL, run_feed, &f);
	if (r) {
		close_fd(ends[0]);
		close_fd(ends[1]);
		return err_sysr(err, -r, "start a thread");
	}
	r = cstore_staging_apply(d->staging, ends[0], &o, &staged, &se);
	close_fd(ends[0]);
	pthread_join(thread, NULL);
	if (f.result) {
		cstore_staged_free(staged);
		if (err)
			*err = f.err;
		return f.result;
	}
	return r ? storage_error(r, &se, err) : keep_staged(d, staged, err);
}

static int put_config(struct cimage_destination *d, const struct cimage_put *b,
		      struct cimage_stream *s, struct cimage_error *err)
{
	struct str bytes = STR_INIT;
	char buf[16384];
	size_t n = 1;
	int r = 0;

	while (!r && n) {
		r = s->read(s, buf, sizeof(buf), &n, err);
		if (!r)
			str_append_mem(&bytes, buf, n);
		if (!r && bytes.len > CIMAGE_MANIFEST_MAX)
			r = err_set(err, CIMAGE_E_LIMIT, "the config is larger than %u bytes",
				    CIMAGE_MANIFEST_MAX);
	}
	if (!r) {
		free(d->config);
		d->config = str_take(&bytes, &d->config_len);
		snprintf(d->config_digest, sizeof(d->config_digest), "%s", b->digest);
		r = d->config ? 0 : err_oom(err);
	}
	str_done(&bytes);
	return r;
}

static int dest_put(struct cimage_destination *d, const struct cimage_put *b, struct cimage_stream *s,
		    struct cimage_error *err)
{
	if (b->kind == CIMAGE_BLOB_CONFIG)
		return put_config(d, b, s, err);
	return stage(d, b->diff_id, b->digest, b->size, s, err);
}

static int dest_manifest(struct cimage_destination *d, const char *bytes, size_t n,
			 const char *media_type, const char *instance, struct cimage_error *err)
{
	free(d->manifest);
	d->manifest = malloc(n + 1);
	if (!d->manifest)
		return err_oom(err);
	memcpy(d->manifest, bytes, n);
	d->manifest_len = n;
	digest_sha256(bytes, n, d->manifest_digest);
	return 0;
}

static int dest_signatures(struct cimage_destination *d, const struct cimage_signatures *s,
			   const char *instance, struct cimage_error *err)
{
	struct signature_set *to = &d->signatures;
	size_t i;

	str_reset(&to->bytes);
	str_reset(&to->sizes);
	for (i = 0; i < s->count; i++) {
		str_append_mem(&to->bytes, s->items[i].bytes, s->items[i].len);
		str_appendf(&to->sizes, "%s%zu", i ? "," : "", s->items[i].len);
	}
	return str_failed(&to->bytes) || str_failed(&to->sizes) ? err_oom(err) : 0;
}

/* ---- commit ---- */

/* What was staged for a diff id; once more from the store, when it is there, or was published already. */
static int take_staged(struct cimage_destination *d, const char *diff_id, struct cstore_staged **ret,
		       struct cimage_error *err)
{
	_cleanup_free_ char *other = NULL;
	struct cimage_stream *s;
	size_t i;
	int r;

	for (i = 0; i < d->count; i++)
		if (d->staged[i] && streq(cstore_staged_diff_id(d->staged[i]), diff_id)) {
			*ret = take(d->staged[i]);
			return 0;
		}
	r = storage_find_diff(d->store, diff_id, &other, err);
	if (!r && !other)
		r = err_set(err, CIMAGE_E_DIGEST,
			    "no layer of the image has the diff id %s that its config names", diff_id);
	if (!r)
		r = storage_layer_stream(d->store, other, &s, err);
	if (r)
		return r;
	r = stage(d, diff_id, NULL, -1, s, err);
	s->close(s);
	if (!r)
		*ret = take(d->staged[d->count - 1]);
	return r;
}

static int publish_layer(struct cimage_destination *d, const char *diff_id, const char *parent,
			 char id[65], struct cimage_error *err)
{
	struct cstore_error se = { 0 };
	struct cstore_staged *staged;
	int there = 0, r;

	if (!digest_valid(diff_id) || cstore_layer_chain_id(parent, diff_id, id))
		return err_set(err, CIMAGE_E_INVALID, "image config: \"%s\" is not a diff id",
			       SHOW(diff_id));
	r = cstore_layer_exists(d->store, id, &there, &se);
	if (r || there)
		return storage_error(r, &se, err);
	r = take_staged(d, diff_id, &staged, err);
	if (r)
		return r;
	r = cstore_staging_publish(d->staging, staged, id, parent, &se);
	return storage_error(r, &se, err);
}

static int publish_layers(struct cimage_destination *d, const struct json *diff_ids, char top[65],
			  struct cimage_error *err)
{
	char id[65];
	int r;

	*top = '\0';
	json_foreach(item, diff_ids) {
		const char *diff_id = json_string(item);

		r = publish_layer(d, diff_id ? diff_id : "", *top ? top : NULL, id, err);
		if (r)
			return r;
		strcpy(top, id);
	}
	return 0;
}

static int64_t created_of(const struct json *config)
{
	const char *text = json_get_string(config, "created");
	int64_t ns = 0;

	return text && !time_parse(text, &ns) && ns != TIME_ZERO_NS ? ns : 0;
}

static int put_image(struct cimage_destination *d, const struct json *config, const char *top,
		     const char *list, size_t list_len, struct cimage_error *err)
{
	const struct cimage_ref *ref = cimage_place_ref(d->place);
	const char *names[] = { ref ? cimage_ref_string(ref) : NULL, NULL };
	const struct signature_set *s = &d->signatures;
	char list_digest[DIGEST_STR_MAX] = "";
	_cleanup_free_ char *key = strf("manifest-%s", d->manifest_digest), *list_key = NULL,
			    *signature_key = strf("signature-%s", digest_hex(d->manifest_digest)),
			    *metadata = strf("{\"signatures-sizes\":{\"%s\":[%s]}}", d->manifest_digest,
					     s->sizes.data ? s->sizes.data : "");
	struct cstore_error se = { 0 };
	struct cstore_blob data[5];
	struct cstore_image_spec spec = {
		.size = sizeof(spec),
		.id = digest_hex(d->config_digest),
		.digest = d->manifest_digest,
		.metadata = metadata,
		.top_layer = *top ? top : NULL,
		.created = created_of(config),
		.names = names,
		.data = data,
	};
	int r;

	if (list)
		digest_sha256(list, list_len, list_digest);
	list_key = strf("manifest-%s", list_digest);
	if (!key || !list_key || !signature_key || !metadata)
		return err_oom(err);
	data[spec.data_count++] = (struct cstore_blob){ d->config_digest, d->config, d->config_len,
							d->config_digest };
	if (list) {
		data[spec.data_count++] =
			(struct cstore_blob){ list_key, list, list_len, list_digest };
		spec.digest = list_digest;
	}
	data[spec.data_count++] =
		(struct cstore_blob){ key, d->manifest, d->manifest_len, d->manifest_digest };
	if (s->bytes.len)
		data[spec.data_count++] =
			(struct cstore_blob){ signature_key, s->bytes.data, s->bytes.len, NULL };
	data[spec.data_count++] =
		(struct cstore_blob){ "manifest", d->manifest, d->manifest_len, d->manifest_digest };
	r = cstore_image_put(d->store, &spec, &se);
	return storage_error(r, &se, err);
}

static int dest_commit(struct cimage_destination *d, const char *list, size_t n,
		       struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	struct cstore_error se = { 0 };
	char top[65];
	int r;

	if (!d->config || !d->manifest ||
	    json_parse(d->config, d->config_len, JSON_REPAIR, &doc, NULL))
		return err_set(err, CIMAGE_E_ARTIFACT,
			       "the store takes images of containers, and this is none");
	r = cstore_staging_sync(d->staging, &se);
	if (r)
		return storage_error(r, &se, err);
	r = publish_layers(d, json_path(json_root(doc), "rootfs", "diff_ids", NULL), top, err);
	return r ? r : put_image(d, json_root(doc), top, list, n, err);
}

const struct cimage_destination_ops storage_destination = {
	.open = dest_open,
	.close = dest_close,
	.flags = dest_flags,
	.manifest_types = dest_types,
	.has_blob = dest_has,
	.put_blob = dest_put,
	.put_manifest = dest_manifest,
	.put_signatures = dest_signatures,
	.commit = dest_commit,
};
