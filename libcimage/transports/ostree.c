/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ostree.so: images in an OSTree repository, as containers/image laid them out there. Every blob is a commit of its own
 * on the branch ociimage/HEX: of a layer the files, with its tar-split among the commit's metadata; of a config one
 * file, "content". The image is a commit on ociimage/NAME with the manifest in its metadata and the
 * signatures as files.
 *
 * As from containers-storage, layers come uncompressed, whatever the manifest says they were.
 */
#include <cbase/digest.h>
#include <cbase/json.h>
#include "ostree_image.h"
#include "tar_split.h"

#define DEFAULT_REPO "/ostree/repo"
#define SIGNATURES_MAX 128
#define SIGNATURE_MAX (4u << 20)

/* ---- the repository ---- */

int ostree_error(GError *e, const char *what, struct cimage_error *err)
{
	bool missing = g_error_matches(e, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
	int r = err_set(err, missing ? CIMAGE_E_NOT_FOUND : CIMAGE_E_INVALID, "%s: %s", what,
			SHOW(e->message));

	g_error_free(e);
	return r;
}

int ostree_open(const char *path, OstreeRepo **ret, struct cimage_error *err)
{
	g_autoptr(GFile) file = g_file_new_for_path(path);
	g_autoptr(OstreeRepo) repo = ostree_repo_new(file);
	GError *e = NULL;

	if (!ostree_repo_open(repo, NULL, &e))
		return ostree_error(e, "open the OSTree repository", err);
	*ret = g_steal_pointer(&repo);
	return 0;
}

char *ostree_branch(const char *image)
{
	struct str s = STR_INIT;
	const char *p;

	str_append(&s, OSTREE_PREFIX);
	for (p = image; *p; p++)
		if (g_ascii_isalnum(*p) || *p == '.' || *p == '-')
			str_append_mem(&s, p, 1);
		else
			str_appendf(&s, "_%02X", (unsigned char)*p);
	return str_take(&s, NULL);
}

int ostree_metadata(OstreeRepo *repo, const char *branch, const char *key, char **ret,
		    struct cimage_error *err)
{
	g_autoptr(GVariant) commit = NULL, metadata = NULL, value = NULL;
	g_autofree char *rev = NULL;
	GError *e = NULL;

	*ret = NULL;
	if (!ostree_repo_resolve_rev(repo, branch, TRUE, &rev, &e))
		return ostree_error(e, branch, err);
	if (!rev)
		return 0;
	if (!ostree_repo_load_variant(repo, OSTREE_OBJECT_TYPE_COMMIT, rev, &commit, &e))
		return ostree_error(e, branch, err);
	metadata = g_variant_get_child_value(commit, 0);
	value = g_variant_lookup_value(metadata, key, G_VARIANT_TYPE_STRING);
	if (!value)
		return 0;
	*ret = strdup(g_variant_get_string(value, NULL));
	return *ret ? 0 : err_oom(err);
}

/* As above, of the blob with that digest. */
static int blob_metadata(OstreeRepo *repo, const char *digest, const char *key, char **ret,
			 struct cimage_error *err)
{
	_cleanup_free_ char *branch = strf(OSTREE_PREFIX "%s", digest_hex(digest));

	return branch ? ostree_metadata(repo, branch, key, ret, err) : err_oom(err);
}

/* ---- files of commits as streams ---- */

struct file_stream {
	struct cimage_stream base;
	GInputStream *in;
};

static int file_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		     struct cimage_error *err)
{
	struct file_stream *f = (struct file_stream *)s;
	GError *e = NULL;
	gssize k = g_input_stream_read(f->in, p, n, NULL, &e);

	if (k < 0)
		return ostree_error(e, "read from the OSTree repository", err);
	*ret_n = (size_t)k;
	return 0;
}

static void file_close(struct cimage_stream *s)
{
	g_object_unref(((struct file_stream *)s)->in);
	free(s);
}

static int file_stream(GFile *root, const char *name, struct cimage_stream **ret,
		       struct cimage_error *err)
{
	g_autoptr(GFile) file = g_file_resolve_relative_path(root, name);
	struct file_stream *f = malloc(sizeof(*f));
	GError *e = NULL;

	if (!f)
		return err_oom(err);
	f->base = (struct cimage_stream){ file_read, file_close };
	f->in = (GInputStream *)g_file_read(file, NULL, &e);
	if (!f->in) {
		free(f);
		return ostree_error(e, SHOW(name), err);
	}
	*ret = &f->base;
	return 0;
}

static int read_commit(OstreeRepo *repo, const char *branch, GFile **ret, struct cimage_error *err)
{
	GError *e = NULL;

	return ostree_repo_read_commit(repo, branch, ret, NULL, NULL, &e)
		       ? 0
		       : ostree_error(e, branch, err);
}

/* ---- places ---- */

/* "REPO:NAME:TAG", then without tag, then ever shorter. */
static int add_scopes(struct cimage_place_parts *p)
{
	_cleanup_free_ char *name = strdup(p->name);
	char *cut;
	int r = name ? strv_pushf(&p->scopes, "%s:%s", p->path, name) : -ENOMEM;

	for (cut = name ? strchr(name, ':') : NULL; !r && cut; cut = strrchr(name, '/')) {
		*cut = '\0';
		r = strv_pushf(&p->scopes, "%s:%s", p->path, name);
	}
	return r;
}

/* "NAME[:TAG][@/REPO]"; the name is kept as it was written. */
static int image_parse(struct cimage_context *c, const char *text, struct cimage_place_parts *ret,
		       struct cimage_error *err)
{
	const char *at = strstr(text, "@/");
	_cleanup_free_ char *image = at ? strndup(text, (size_t)(at - text)) : strdup(text);
	struct cimage_ref *ref = NULL;
	int r;

	if (!image)
		return err_oom(err);
	r = cimage_ref_parse(image, 0, &ref, err);
	if (r)
		return r;
	ret->name = cimage_ref_tag(ref) || cimage_ref_digest(ref) ? take(image) : strf("%s:latest", image);
	cimage_ref_free(ref);
	r = local_path(at ? at + 1 : DEFAULT_REPO, &ret->path, err);
	if (!r && strchr(ret->path, ':'))
		return err_set(err, CIMAGE_E_INVALID, "the path of a repository has no ':'");
	if (!r && (!ret->name || add_scopes(ret) ||
		   !(ret->text = strf("ostree:%s@%s", ret->name, ret->path))))
		return err_oom(err);
	return r;
}

/* ---- reading ---- */

struct layer {
	char *outer, *inner;	/* digests of the blob in the manifest, and of the tar */
	int64_t size;		/* of the tar */
};

struct cimage_source {
	struct cimage_context *ctx;
	OstreeRepo *repo;
	char *branch;
	struct layer *layers;	/* of the manifest, once layers() was asked */
	size_t count;
};

static void image_close(struct cimage_source *s)
{
	g_clear_object(&s->repo);
	while (s->count) {
		struct layer *l = &s->layers[--s->count];

		free(l->outer);
		free(l->inner);
	}
	free(s->layers);
	free(s->branch);
	free(s);
}

static int image_open(struct cimage_context *c, const struct cimage_place *place,
		      struct cimage_source **ret, struct cimage_error *err)
{
	struct cimage_source *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_oom(err);
	s->ctx = c;
	s->branch = ostree_branch(cimage_place_name(place));
	r = s->branch ? ostree_open(cimage_place_path(place), &s->repo, err) : err_oom(err);
	if (r)
		image_close(s);
	else
		*ret = s;
	return r;
}

static int image_manifest(struct cimage_source *s, const char *digest, char **ret, size_t *ret_len,
			  char **ret_type, struct cimage_error *err)
{
	char *text;
	int r;

	if (digest)
		return err_set(err, CIMAGE_E_NOT_FOUND, "an OSTree repository has no lists of images");
	r = ostree_metadata(s->repo, s->branch, OSTREE_MANIFEST, &text, err);
	if (r)
		return r;
	if (!text)
		return err_set(err, CIMAGE_E_NOT_FOUND, "the repository has no image on %s", s->branch);
	*ret = text;
	*ret_len = strlen(text);
	*ret_type = NULL;
	return 0;
}

static int find_layer(struct cimage_source *s, const char *digest, struct cimage_error *err)
{
	struct layer *l = &s->layers[s->count];
	_cleanup_free_ char *size = NULL;
	long long n;
	int r = blob_metadata(s->repo, digest, OSTREE_INNER_DIGEST, &l->inner, err);

	if (!r)
		r = blob_metadata(s->repo, digest, OSTREE_INNER_SIZE, &size, err);
	if (!r && (!l->inner || !digest_valid(l->inner) || !size || str_to_i64(size, &n)))
		r = err_set(err, CIMAGE_E_INVALID, "the repository has no layer %s", digest);
	if (r) {
		free(take(l->inner));
		return r;
	}
	l->size = n;
	l->outer = strdup(digest);
	s->count++;
	return l->outer ? 0 : err_oom(err);
}

static const char *plain_type(const char *type)
{
	return str_starts(type, "application/vnd.docker.") ? "application/vnd.docker.image.rootfs.diff.tar"
							   : "application/vnd.oci.image.layer.v1.tar";
}

static int image_layers(struct cimage_source *s, const char *digest, struct cimage_layer *layers,
			size_t n, int *ret, struct cimage_error *err)
{
	size_t i;
	int r = 0;

	if (s->layers)
		return -EINVAL;
	s->layers = calloc(n + 1, sizeof(*s->layers));
	if (!s->layers)
		return err_oom(err);
	for (i = 0; !r && i < n; i++) {
		r = find_layer(s, layers[i].digest, err);
		if (r)
			break;
		layers[i].digest = s->layers[i].inner;
		layers[i].size = s->layers[i].size;
		layers[i].media_type = plain_type(layers[i].media_type);
	}
	*ret = n > 0;
	return r;
}

static int open_member(void *root, const char *name, struct cimage_stream **ret,
		       struct cimage_error *err)
{
	while (str_starts(name, "./"))
		name += 2;
	return file_stream(root, name, ret, err);
}

static int open_layer(struct cimage_source *s, const char *digest, struct cimage_stream **ret,
		      struct cimage_error *err)
{
	_cleanup_free_ char *branch = strf(OSTREE_PREFIX "%s", digest_hex(digest)), *encoded = NULL;
	g_autoptr(GFile) root = NULL;
	char *split;
	size_t n;
	int r = branch ? ostree_metadata(s->repo, branch, OSTREE_SPLIT, &encoded, err) : err_oom(err);

	if (!r)
		r = read_commit(s->repo, branch, &root, err);
	if (r)
		return r;
	if (!encoded)
		return file_stream(root, "content", ret, err);
	if (base64_decode(encoded, strlen(encoded), &split, &n))
		return err_set(err, CIMAGE_E_INVALID, "the layer's tar-split is damaged");
	return tar_split_join(split, n, open_member, g_steal_pointer(&root), g_object_unref, ret, err);
}

static int open_blob(void *user, const char *digest, struct cimage_stream **ret,
		     struct cimage_error *err)
{
	struct cimage_source *s = user;
	size_t i;

	for (i = 0; i < s->count; i++)
		if (streq(s->layers[i].inner, digest))
			return open_layer(s, s->layers[i].outer, ret, err);
	return open_layer(s, digest, ret, err);
}

static int image_blobs(struct cimage_source *s, struct cimage_blob_request *r, size_t n,
		       struct cimage_error *err)
{
	return local_blobs(s->ctx, r, n, open_blob, s, err);
}

static int read_signature(GFile *root, long long number, struct cimage_signatures *l,
			  struct cimage_error *err)
{
	_cleanup_free_ char *name = strf("signature-%lld", number);
	_cleanup_str_ struct str bytes = STR_INIT;
	struct cimage_stream *s;
	char buf[4096];
	size_t n = 1;
	int r = name ? file_stream(root, name, &s, err) : err_oom(err);

	if (r)
		return r;
	while (!r && n && bytes.len <= SIGNATURE_MAX) {
		r = s->read(s, buf, sizeof(buf), &n, err);
		if (!r)
			str_append_mem(&bytes, buf, n);
	}
	s->close(s);
	if (!r && bytes.len > SIGNATURE_MAX)
		r = err_set(err, CIMAGE_E_LIMIT, "a signature has more than %u bytes", SIGNATURE_MAX);
	if (!r && (str_failed(&bytes) || cimage_signatures_add(l, bytes.data, bytes.len)))
		r = err_oom(err);
	return r;
}

static int image_signatures(struct cimage_source *s, const char *digest, struct cimage_signatures *ret,
			    struct cimage_error *err)
{
	_cleanup_free_ char *text = NULL;
	g_autoptr(GFile) root = NULL;
	long long count, i;
	int r = ostree_metadata(s->repo, s->branch, OSTREE_SIGNATURES, &text, err);

	if (r || !text || streq(text, "0"))
		return r;
	if (str_to_i64(text, &count) || count < 0 || count > SIGNATURES_MAX)
		return err_set(err, CIMAGE_E_INVALID, "the image has \"%s\" signatures", SHOW(text));
	r = read_commit(s->repo, s->branch, &root, err);
	for (i = 1; !r && i <= count; i++)
		r = read_signature(root, i, ret, err);
	return r;
}

PUBLIC extern const struct cimage_transport cimage_transport_module;

const struct cimage_transport cimage_transport_module = {
	.abi = CIMAGE_TRANSPORT_ABI,
	.name = "ostree",
	.close = image_close,
	.manifest = image_manifest,
	.blobs = image_blobs,
	.parse = image_parse,
	.open_place = image_open,
	.signatures = image_signatures,
	.layers = image_layers,
	.destination = &ostree_destination,
};
