/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containers-storage.so: the store of podman, buildah, CRI-O and crid, through libcstorage.
 *
 * A store keeps manifests as they came, but layers only unpacked: as a source it has each layer as
 * the tar it was, which is another blob than the manifest names. So the layers of a copy are
 * compressed again, or not, as the destination likes it.
 */
#include <cbase/digest.h>
#include <cbase/json.h>
#include <fcntl.h>
#include <pthread.h>
#include "containers_storage.h"

#define SIGNATURES_MAX_BYTES (16u << 20)

int storage_error(int r, const struct cstore_error *from, struct cimage_error *err)
{
	static const int codes[] = {
		[CSTORE_E_NOT_FOUND] = CIMAGE_E_NOT_FOUND, [CSTORE_E_AMBIGUOUS] = CIMAGE_E_INVALID,
		[CSTORE_E_EXISTS] = CIMAGE_E_INVALID,	   [CSTORE_E_IN_USE] = CIMAGE_E_INVALID,
		[CSTORE_E_DAMAGED] = CIMAGE_E_INVALID,	   [CSTORE_E_INVALID] = CIMAGE_E_INVALID,
		[CSTORE_E_DIGEST] = CIMAGE_E_DIGEST,	   [CSTORE_E_LIMIT] = CIMAGE_E_LIMIT,
		[CSTORE_E_CANCELLED] = CIMAGE_E_CANCELLED,
	};

	if (r > 0)
		r = (size_t)r < ARRAY_SIZE(codes) && codes[r] ? codes[r] : CIMAGE_E_INVALID;
	if (r && err) {
		*err = (struct cimage_error){ .code = r > 0 ? r : 0, .sys_errno = from->sys_errno };
		snprintf(err->message, sizeof(err->message), "%s", from->message);
	}
	return r;
}

/* ---- places ---- */

/* "[[DRIVER@]ROOT[+RUNROOT][:OPTION,OPTION]]" without the outer brackets. */
static int set_store(struct cstore_options *o, const char *spec, struct cimage_error *err)
{
	_cleanup_free_ char *copy = strdup(spec);
	_cleanup_strv_ char **options = NULL;
	char *root = copy, *driver = NULL, *run_root = NULL, *list = NULL, *p, **option;
	int r = copy ? 0 : -ENOMEM;

	if (!r && (p = strchr(root, '@'))) {
		*p = '\0';
		driver = root;
		root = p + 1;
	}
	if (!r && (p = strchr(root, ':'))) {
		*p = '\0';
		list = p + 1;
	}
	if (!r && (p = strchr(root, '+'))) {
		*p = '\0';
		run_root = p + 1;
	}
	if (!r && driver && *driver)
		r = cstore_options_set_driver(o, driver);
	if (!r && *root)
		r = cstore_options_set_graph_root(o, root);
	if (!r && run_root && *run_root)
		r = cstore_options_set_run_root(o, run_root);
	if (!r && list)
		r = strv_split(list, ',', &options);
	for (option = options; !r && option && *option; option++)
		r = cstore_options_add_driver_option(o, *option);
	if (r == -ENOMEM)
		return err_oom(err);
	return r ? err_set(err, CIMAGE_E_INVALID, "\"[%s]\" names no store", SHOW(spec)) : 0;
}

int storage_open(const struct cimage_place *place, struct cstore **ret, struct cimage_error *err)
{
	struct cstore_error se = { 0 };
	struct cstore_options *o;
	int r;

	if (cstore_options_new(&o))
		return err_oom(err);
	r = cstore_options_load(o, NULL, &se);
	if (r)
		r = storage_error(r, &se, err);
	if (!r && cimage_place_path(place))
		r = set_store(o, cimage_place_path(place), err);
	if (!r) {
		r = cstore_open(o, ret, &se);
		r = storage_error(r, &se, err);
	}
	cstore_options_free(o);
	return r;
}

/*
 * policy.json names stores by "[DRIVER@ROOT]", before the image's name; "[ROOT]" is any driver. The
 * place of the default store says nothing about where that is.
 */
static int add_scopes(struct cimage_place_parts *p, const char *name)
{
	const char *at = p->path ? strchr(p->path, '@') : NULL;
	_cleanup_free_ char *copy = p->path ? strdup(at ? at + 1 : p->path) : NULL, *part = NULL;
	char *cut;
	int r = 0;

	if (!p->path)
		return 0;
	part = strdup(name);
	if (!copy || !part)
		return -ENOMEM;
	copy[strcspn(copy, "+:")] = '\0';
	while (!r && *part) {
		r = strv_pushf(&p->scopes, "[overlay@%s]%s", copy, part);
		cut = strrchr(part, '@');
		if (!cut && (cut = strrchr(part, ':')) && strchr(cut, '/'))
			cut = NULL;
		if (!cut)
			cut = strrchr(part, '/');
		*(cut ? cut : part) = '\0';
	}
	if (!r)
		r = strv_pushf(&p->scopes, "[overlay@%s]", copy);
	return r ? r : strv_pushf(&p->scopes, "[%s]", copy);
}

static int storage_parse(struct cimage_context *c, const char *text, struct cimage_place_parts *ret,
			 struct cimage_error *err)
{
	const char *rest = text, *end;
	int r;

	if (*text == '[') {
		end = strchr(text, ']');
		if (!end)
			return err_set(err, CIMAGE_E_INVALID, "the ']' of the store is missing");
		ret->path = strndup(text + 1, (size_t)(end - text) - 1);
		if (!ret->path)
			return err_oom(err);
		rest = end + 1;
	}
	if (*rest == '@')
		rest++;
	if (strspn(rest, "0123456789abcdef") == strlen(rest) && strlen(rest) == 64) {
		ret->name = strdup(rest);
		return ret->name && !add_scopes(ret, "") ? 0 : err_oom(err);
	}
	r = cimage_ref_parse(rest, 1, &ret->ref, err);
	if (r)
		return r;
	ret->text = ret->path ? strf("containers-storage:[%s]%s", ret->path, cimage_ref_string(ret->ref))
			      : strf("containers-storage:%s", cimage_ref_string(ret->ref));
	return ret->text && !add_scopes(ret, cimage_ref_string(ret->ref)) ? 0 : err_oom(err);
}

/* ---- layers as streams ---- */

struct layer_stream {
	struct cimage_stream base;
	struct cstore *store;
	int fd, writing;
	pthread_t thread;
	bool joined;
	int cancel, result;
	struct cstore_error err;
	char id[65];
};

static void *write_layer(void *user)
{
	struct layer_stream *l = user;
	const struct cstore_diff_options o = { .size = sizeof(o), .cancel = &l->cancel };

	l->result = cstore_layer_diff(l->store, l->id, &o, l->writing, &l->err);
	l->writing = close_fd(l->writing);
	return NULL;
}

static int layer_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		      struct cimage_error *err)
{
	struct layer_stream *l = (struct layer_stream *)s;
	ssize_t k;

	do
		k = read(l->fd, p, n);
	while (k < 0 && errno == EINTR);
	if (k < 0)
		return err_sys(err, "read layer %s", l->id);
	*ret_n = (size_t)k;
	if (k)
		return 0;
	if (!l->joined)
		pthread_join(l->thread, NULL);
	l->joined = true;
	return storage_error(l->result, &l->err, err);
}

static void layer_close(struct cimage_stream *s)
{
	struct layer_stream *l = (struct layer_stream *)s;

	__atomic_store_n(&l->cancel, 1, __ATOMIC_RELAXED);
	close_fd(l->fd);
	if (!l->joined)
		pthread_join(l->thread, NULL);
	free(l);
}

int storage_layer_stream(struct cstore *s, const char *layer_id, struct cimage_stream **ret,
			 struct cimage_error *err)
{
	struct layer_stream *l = calloc(1, sizeof(*l));
	int ends[2], r;

	if (!l)
		return err_oom(err);
	if (pipe2(ends, O_CLOEXEC)) {
		r = err_sys(err, "make a pipe");
		free(l);
		return r;
	}
	*l = (struct layer_stream){ { layer_read, layer_close }, s, ends[0], ends[1] };
	snprintf(l->id, sizeof(l->id), "%s", layer_id);
	r = pthread_create(&l->thread, NULL, write_layer, l);
	if (r) {
		close_fd(ends[0]);
		close_fd(ends[1]);
		free(l);
		return err_sysr(err, -r, "start a thread");
	}
	*ret = &l->base;
	return 0;
}

int storage_find_diff(struct cstore *s, const char *diff_id, char **ret, struct cimage_error *err)
{
	struct cstore_error se = { 0 };
	struct cstore_layer_list *all;
	size_t i;
	int r = cstore_layer_list(s, &all, &se);

	if (r)
		return storage_error(r, &se, err);
	*ret = NULL;
	for (i = 0; i < cstore_layer_list_count(all) && !*ret && !r; i++) {
		const struct cstore_layer *l = cstore_layer_list_get(all, i);

		if (streq(cstore_layer_diff_digest(l), diff_id) &&
		    !(*ret = strdup(cstore_layer_id(l))))
			r = err_oom(err);
	}
	cstore_layer_list_free(all);
	return r;
}

/* ---- reading ---- */

struct chain_layer {
	char *id, *diff_id;
	int64_t size;
};

struct cimage_source {
	struct cimage_context *ctx;
	struct cstore *store;
	struct cstore_image *image;
	struct cimage_ref *ref;		/* as asked for, or NULL */
	struct chain_layer *chain;	/* base first */
	size_t count;
};

static void storage_close(struct cimage_source *s)
{
	while (s->count--) {
		free(s->chain[s->count].id);
		free(s->chain[s->count].diff_id);
	}
	free(s->chain);
	cimage_ref_free(s->ref);
	cstore_image_free(s->image);
	cstore_free(s->store);
	free(s);
}

/* From the top layer down, then turned round. */
static int read_chain(struct cimage_source *s, struct cimage_error *err)
{
	_cleanup_free_ char *next = strdup(cstore_image_top_layer(s->image));
	struct cstore_error se = { 0 };
	size_t i;

	while (next && *next) {
		struct chain_layer *grown = realloc(s->chain, (s->count + 1) * sizeof(*grown));
		struct cstore_layer *l;
		int r;

		if (!grown)
			return err_oom(err);
		s->chain = grown;
		r = cstore_layer_lookup(s->store, next, &l, &se);
		if (r)
			return storage_error(r, &se, err);
		grown[s->count++] = (struct chain_layer){ strdup(cstore_layer_id(l)),
							  strdup(cstore_layer_diff_digest(l)),
							  cstore_layer_diff_size(l) };
		free(next);
		next = strdup(cstore_layer_parent(l));
		cstore_layer_free(l);
		if (!grown[s->count - 1].id || !grown[s->count - 1].diff_id)
			return err_oom(err);
	}
	for (i = 0; i < s->count / 2; i++) {
		struct chain_layer swap = s->chain[i];

		s->chain[i] = s->chain[s->count - 1 - i];
		s->chain[s->count - 1 - i] = swap;
	}
	return next ? 0 : err_oom(err);
}

static bool has_digest(const struct cstore_image *i, const char *digest)
{
	const char *const *d;

	for (d = cstore_image_digests(i); d && *d; d++)
		if (streq(*d, digest))
			return true;
	return streq(cstore_image_digest(i), digest);
}

/* NAME@DIGEST: an image of that name's repository with that digest. */
static int find_by_digest(struct cstore *store, const struct cimage_ref *ref,
			  struct cstore_image **ret, struct cstore_error *se)
{
	struct cstore_image_list *all;
	size_t i, n = strlen(cimage_ref_name(ref));
	int r = cstore_image_list(store, &all, se);

	if (r)
		return r;
	r = CSTORE_E_NOT_FOUND;
	for (i = 0; i < cstore_image_list_count(all) && r == CSTORE_E_NOT_FOUND; i++) {
		const struct cstore_image *image = cstore_image_list_get(all, i);
		const char *const *name = cstore_image_names(image);

		for (; has_digest(image, cimage_ref_digest(ref)) && name && *name; name++)
			if (!strncmp(*name, cimage_ref_name(ref), n) && strchr(":@", (*name)[n])) {
				r = cstore_image_lookup(store, cstore_image_id(image), ret, se);
				break;
			}
	}
	cstore_image_list_free(all);
	if (r == CSTORE_E_NOT_FOUND)
		err_set(se, r, "image %s is not in the store", cimage_ref_string(ref));
	return r;
}

static int find_image(struct cstore *store, const struct cimage_place *place,
		      struct cstore_image **ret, struct cimage_error *err)
{
	const struct cimage_ref *ref = cimage_place_ref(place);
	struct cstore_error se = { 0 };
	int r = cstore_image_lookup(store, ref ? cimage_ref_string(ref) : cimage_place_name(place),
				    ret, &se);

	if (r == CSTORE_E_NOT_FOUND && ref && cimage_ref_digest(ref))
		r = find_by_digest(store, ref, ret, &se);
	return storage_error(r, &se, err);
}

static int storage_source(struct cimage_context *c, const struct cimage_place *place,
			  struct cimage_source **ret, struct cimage_error *err)
{
	const struct cimage_ref *ref = cimage_place_ref(place);
	struct cimage_source *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_oom(err);
	s->ctx = c;
	r = storage_open(place, &s->store, err);
	if (!r)
		r = find_image(s->store, place, &s->image, err);
	if (!r && ref)
		r = cimage_ref_parse(cimage_ref_string(ref), 1, &s->ref, err);
	if (!r)
		r = read_chain(s, err);
	if (r)
		storage_close(s);
	else
		*ret = s;
	return r;
}

static int get_data(struct cimage_source *s, const char *key, size_t limit, char **ret,
		    size_t *ret_len, struct cimage_error *err)
{
	struct cstore_error se = { 0 };
	int r = cstore_image_data(s->store, cstore_image_id(s->image), key, limit, ret, ret_len, &se);

	return storage_error(r, &se, err);
}

static int storage_manifest(struct cimage_source *s, const char *digest, char **ret, size_t *ret_len,
			    char **ret_type, struct cimage_error *err)
{
	_cleanup_free_ char *key = NULL;

	*ret_type = NULL;
	if (!digest && s->ref)
		digest = cimage_ref_digest(s->ref);
	if (!digest)
		return get_data(s, "manifest", CIMAGE_MANIFEST_MAX, ret, ret_len, err);
	key = strf("manifest-%s", digest);
	return key ? get_data(s, key, CIMAGE_MANIFEST_MAX, ret, ret_len, err) : err_oom(err);
}

static int storage_layers(struct cimage_source *s, const char *digest, struct cimage_layer *layers,
			  size_t n, int *ret, struct cimage_error *err)
{
	size_t i;

	if (n != s->count)
		return err_set(err, CIMAGE_E_INVALID,
			       "image %s: the manifest has %zu layers, the store %zu",
			       cstore_image_id(s->image), n, s->count);
	for (i = 0; i < n; i++) {
		const struct chain_layer *l = &s->chain[i];

		if (!digest_valid(l->diff_id))
			return err_set(err, CIMAGE_E_UNSUPPORTED,
				       "layer %s has no digest: it was not made from an image", l->id);
		layers[i].media_type = str_starts(layers[i].media_type, "application/vnd.docker.")
					       ? "application/vnd.docker.image.rootfs.diff.tar"
					       : "application/vnd.oci.image.layer.v1.tar";
		layers[i].digest = l->diff_id;
		layers[i].size = l->size;
	}
	*ret = n > 0;
	return 0;
}

struct data_stream {
	struct cimage_stream base;
	char *bytes;
	size_t at, len;
};

static int data_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		     struct cimage_error *err)
{
	struct data_stream *d = (struct data_stream *)s;

	*ret_n = d->len - d->at < n ? d->len - d->at : n;
	memcpy(p, d->bytes + d->at, *ret_n);
	d->at += *ret_n;
	return 0;
}

static void data_close(struct cimage_stream *s)
{
	free(((struct data_stream *)s)->bytes);
	free(s);
}

static int open_blob(void *user, const char *digest, struct cimage_stream **ret,
		     struct cimage_error *err)
{
	struct cimage_source *s = user;
	struct data_stream *d;
	size_t i;
	int r;

	for (i = 0; i < s->count; i++)
		if (streq(s->chain[i].diff_id, digest))
			return storage_layer_stream(s->store, s->chain[i].id, ret, err);
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_oom(err);
	d->base = (struct cimage_stream){ data_read, data_close };
	r = get_data(s, digest, CIMAGE_MANIFEST_MAX, &d->bytes, &d->len, err);
	if (r)
		free(d);
	else
		*ret = &d->base;
	return r;
}

static int storage_blobs(struct cimage_source *s, struct cimage_blob_request *r, size_t n,
			 struct cimage_error *err)
{
	return local_blobs(s->ctx, r, n, open_blob, s, err);
}

/* All signatures of a manifest are one piece of data; the metadata has their sizes. */
static int storage_signatures(struct cimage_source *s, const char *digest,
			      struct cimage_signatures *ret, struct cimage_error *err)
{
	const char *metadata = cstore_image_metadata(s->image);
	_cleanup_free_ char *key = strf("signature-%s", digest_hex(digest)), *all = NULL;
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *sizes;
	size_t len, at = 0;
	int64_t size;
	int r;

	if (!key)
		return err_oom(err);
	if (json_parse(metadata, strlen(metadata), 0, &doc, NULL))
		return 0;
	sizes = json_path(json_root(doc), "signatures-sizes", digest, NULL);
	if (!sizes) {
		sizes = json_get(json_root(doc), "signature-sizes");
		strcpy(key, "signatures");
	}
	if (!sizes || !sizes->count)
		return 0;
	r = get_data(s, key, SIGNATURES_MAX_BYTES, &all, &len, err);
	json_foreach(item, sizes) {
		if (!r && (json_int(item, &size) || size < 0 || (uint64_t)size > len - at))
			r = err_set(err, CIMAGE_E_INVALID, "signatures of image %s are damaged",
				    cstore_image_id(s->image));
		if (!r && cimage_signatures_add(ret, all + at, (size_t)size))
			r = err_oom(err);
		if (!r)
			at += (size_t)size;
	}
	if (r)
		cimage_signatures_done(ret);
	return r;
}

/* ---- removing ---- */

static int storage_remove(struct cimage_context *c, const struct cimage_place *place,
			  struct cimage_error *err)
{
	struct cstore_error se = { 0 };
	struct cstore_image *image;
	struct cstore *store;
	int r = storage_open(place, &store, err);

	if (r)
		return r;
	r = find_image(store, place, &image, err);
	if (!r) {
		r = cstore_image_delete(store, cstore_image_id(image), &se);
		r = storage_error(r, &se, err);
		cstore_image_free(image);
	}
	cstore_free(store);
	return r;
}

PUBLIC extern const struct cimage_transport cimage_transport_module;

const struct cimage_transport cimage_transport_module = {
	.abi = CIMAGE_TRANSPORT_ABI,
	.name = "containers-storage",
	.close = storage_close,
	.manifest = storage_manifest,
	.blobs = storage_blobs,
	.parse = storage_parse,
	.open_place = storage_source,
	.signatures = storage_signatures,
	.layers = storage_layers,
	.destination = &storage_destination,
	.remove = storage_remove,
};
