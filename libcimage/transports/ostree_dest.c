/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing images into an OSTree repository. Blobs are kept in a directory until the commit, which brings
 * all that the repository lacks into it, in one transaction: all branches appear with it, or none.
 * Layers go there file by file, by libostree's own reader of archives: nothing is unpacked on the way.
 */
#include <archive.h>
#include <cbase/digest.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "../codec_module.h"
#include "ostree_image.h"
#include "tar_split.h"

extern const struct codec_module cimage_codec_module; /* codec.c is in this module too */

struct cimage_destination {
	const struct cimage_place *place;
	OstreeRepo *repo;
	GMutex lock;		/* has_blob() comes from several threads */
	struct local_scratch scratch;
	char *manifest, digest[DIGEST_STR_MAX];
	size_t signatures;
};

static void dest_close(struct cimage_destination *d)
{
	local_scratch_done(&d->scratch);
	g_clear_object(&d->repo);
	g_mutex_clear(&d->lock);
	free(d->manifest);
	free(d);
}

static int dest_open(struct cimage_context *c, const struct cimage_place *place,
		     struct cimage_destination **ret, struct cimage_error *err)
{
	struct cimage_destination *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_oom(err);
	d->place = place;
	g_mutex_init(&d->lock);
	r = ostree_open(cimage_place_path(place), &d->repo, err);
	if (!r)
		r = local_scratch_new(&d->scratch, err);
	if (!r && (mkdirat(d->scratch.fd, "blobs", 0700) || mkdirat(d->scratch.fd, "image", 0700)))
		r = err_sys(err, "make directories");
	if (r)
		dest_close(d);
	else
		*ret = d;
	return r;
}

static int dest_flags(const struct cimage_destination *d)
{
	return CIMAGE_DEST_KEEPS_FORM | CIMAGE_DEST_SIGNATURES;
}

static const char *const *dest_types(const struct cimage_destination *d)
{
	static const char *const types[] = {
		"application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.oci.image.manifest.v1+json",
		NULL,
	};

	return types;
}

static int dest_has(struct cimage_destination *d, const struct cimage_put *b, int *ret,
		    struct cimage_error *err)
{
	_cleanup_free_ char *branch = strf(OSTREE_PREFIX "%s", digest_hex(b->digest)), *found = NULL;
	int r = 0;

	*ret = 0;
	if (!branch)
		return err_oom(err);
	if (b->kind != CIMAGE_BLOB_LAYER)
		return 0;
	g_mutex_lock(&d->lock);
	r = ostree_metadata(d->repo, branch, OSTREE_SPLIT, &found, err);
	g_mutex_unlock(&d->lock);
	*ret = found != NULL;
	return r;
}

static int dest_put(struct cimage_destination *d, const struct cimage_put *b, struct cimage_stream *s,
		    struct cimage_error *err)
{
	return local_put(d->scratch.fd, "blobs/", b, s, err);
}

static int write_part(struct cimage_destination *d, const char *name, const char *p, size_t n,
		      struct cimage_error *err)
{
	_cleanup_close_ int fd = openat(d->scratch.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : write_all(fd, p, n);

	return r ? err_sysr(err, r, "write %s", name) : 0;
}

static int dest_manifest(struct cimage_destination *d, const char *bytes, size_t n,
			 const char *media_type, const char *instance, struct cimage_error *err)
{
	if (memchr(bytes, '\0', n))
		return err_set(err, CIMAGE_E_INVALID, "the manifest has a NUL in it");
	free(d->manifest);
	d->manifest = strndup(bytes, n);
	if (!d->manifest)
		return err_oom(err);
	digest_sha256(bytes, n, d->digest);
	return write_part(d, "image/manifest.json", bytes, n, err);
}

static int dest_signatures(struct cimage_destination *d, const struct cimage_signatures *s,
			   const char *instance, struct cimage_error *err)
{
	int r = 0;

	for (d->signatures = 0; !r && d->signatures < s->count; d->signatures++) {
		_cleanup_free_ char *name = strf("image/signature-%zu", d->signatures + 1);

		r = name ? write_part(d, name, s->items[d->signatures].bytes,
				      s->items[d->signatures].len, err)
			 : err_oom(err);
	}
	return r;
}

/* ---- the commit ---- */

/* One commit of a tree that mtree has, on branch; metadata is taken. */
static int write_commit(struct cimage_destination *d, OstreeMutableTree *mtree, const char *branch,
			GVariantDict *metadata, struct cimage_error *err)
{
	g_autoptr(GVariant) all = g_variant_ref_sink(g_variant_dict_end(metadata));
	g_autoptr(GFile) root = NULL;
	g_autofree char *rev = NULL;
	GError *e = NULL;

	if (!ostree_repo_write_mtree(d->repo, mtree, &root, NULL, &e) ||
	    !ostree_repo_write_commit(d->repo, NULL, NULL, NULL, all, (OstreeRepoFile *)root, &rev,
				      NULL, &e))
		return ostree_error(e, branch, err);
	ostree_repo_transaction_set_ref(d->repo, NULL, branch, rev);
	return 0;
}

/* A directory as it is, owned by nobody in particular. */
static int commit_directory(struct cimage_destination *d, const char *dir, const char *branch,
			    GVariantDict *metadata, struct cimage_error *err)
{
	g_autoptr(OstreeRepoCommitModifier) modifier = ostree_repo_commit_modifier_new(
		OSTREE_REPO_COMMIT_MODIFIER_FLAGS_CANONICAL_PERMISSIONS |
			OSTREE_REPO_COMMIT_MODIFIER_FLAGS_SKIP_XATTRS,
		NULL, NULL, NULL);
	g_autoptr(OstreeMutableTree) mtree = ostree_mutable_tree_new();
	GError *e = NULL;

	if (!ostree_repo_write_dfd_to_mtree(d->repo, d->scratch.fd, dir, mtree, modifier, NULL, &e))
		return ostree_error(e, branch, err);
	return write_commit(d, mtree, branch, metadata, err);
}

static int commit_config(struct cimage_destination *d, const char *hex, struct cimage_error *err)
{
	_cleanup_free_ char *branch = strf(OSTREE_PREFIX "%s", hex), *blob = strf("blobs/%s", hex);
	g_autoptr(GVariantDict) metadata = g_variant_dict_new(NULL);
	g_autofree char *size = NULL;
	struct stat st;

	if (!branch || !blob)
		return err_oom(err);
	if (fstatat(d->scratch.fd, blob, &st, 0) || mkdirat(d->scratch.fd, "config", 0700) ||
	    renameat(d->scratch.fd, blob, d->scratch.fd, "config/content"))
		return err_sys(err, "put the config in its place");
	size = g_strdup_printf("%lld", (long long)st.st_size);
	g_variant_dict_insert(metadata, OSTREE_SIZE, "s", size);
	return commit_directory(d, "config", branch, metadata, err);
}

static int import_archive(struct cimage_destination *d, int fd, OstreeMutableTree *mtree,
			  struct cimage_error *err)
{
	OstreeRepoImportArchiveOptions options = { .ignore_unsupported_content = 1,
						   .autocreate_parents = 1 };
	struct archive *a = archive_read_new();
	GError *e = NULL;
	int r = 0;

	if (!a)
		return err_oom(err);
	archive_read_support_format_tar(a);
	if (archive_read_open_fd(a, fd, 65536))
		r = err_set(err, CIMAGE_E_INVALID, "%s", SHOW(archive_error_string(a)));
	else if (!ostree_repo_import_archive_to_mtree(d->repo, &options, a, mtree, NULL, NULL, &e))
		r = ostree_error(e, "import the layer", err);
	archive_read_free(a);
	return r;
}

/* *ret: the uncompressed layer, in a file that has no name. */
static int open_plain(struct cimage_destination *d, const char *blob, int *ret, int64_t *ret_size,
		      struct cimage_error *err)
{
	struct cimage_stream *s;
	struct stat st;
	int r;

	if (fstatat(d->scratch.fd, blob, &st, 0))
		return err_sys(err, "open %s", blob);
	*ret_size = st.st_size;
	r = local_stream(d->scratch.fd, blob, &s, err);
	if (!r)
		r = cimage_codec_module.decompress(s, &s, err);
	if (r)
		return r;
	r = local_write(d->scratch.fd, "plain", s, err);
	s->close(s);
	if (r)
		return r;
	*ret = openat(d->scratch.fd, "plain", O_RDONLY | O_CLOEXEC);
	unlinkat(d->scratch.fd, "plain", 0);
	unlinkat(d->scratch.fd, blob, 0);
	return *ret < 0 ? err_sys(err, "open the layer") : 0;
}

static void describe_layer(GVariantDict *metadata, int64_t size, int64_t inner_size, const char *inner_digest,
			   const struct str *split)
{
	g_autofree char *outer = g_strdup_printf("%lld", (long long)size);
	g_autofree char *inner = g_strdup_printf("%lld", (long long)inner_size);
	g_autofree char *encoded = g_base64_encode((const guchar *)split->data, split->len);

	g_variant_dict_insert(metadata, OSTREE_SIZE, "s", outer);
	g_variant_dict_insert(metadata, OSTREE_INNER_SIZE, "s", inner);
	g_variant_dict_insert(metadata, OSTREE_INNER_DIGEST, "s", inner_digest);
	g_variant_dict_insert(metadata, OSTREE_SPLIT, "s", encoded);
}

static int commit_layer(struct cimage_destination *d, const char *hex, struct cimage_error *err)
{
	_cleanup_free_ char *branch = strf(OSTREE_PREFIX "%s", hex), *blob = strf("blobs/%s", hex);
	g_autoptr(GVariantDict) metadata = g_variant_dict_new(NULL);
	g_autoptr(OstreeMutableTree) mtree = ostree_mutable_tree_new();
	_cleanup_str_ struct str split = STR_INIT;
	_cleanup_close_ int fd = -1;
	char inner[DIGEST_STR_MAX];
	int64_t size = 0, inner_size = 0;
	int r;

	if (!branch || !blob)
		return err_oom(err);
	if (faccessat(d->scratch.fd, blob, F_OK, 0))
		return 0; /* the repository has it, or it was there before in this image */
	r = open_plain(d, blob, &fd, &size, err);
	if (!r)
		r = tar_split_make(fd, &split, inner, &inner_size, err);
	if (!r && lseek(fd, 0, SEEK_SET))
		r = err_sys(err, "read the layer");
	if (!r)
		r = import_archive(d, fd, mtree, err);
	if (r)
		return err_ctx(err, r, "layer sha256:%s", hex);
	describe_layer(metadata, size, inner_size, inner, &split);
	return write_commit(d, mtree, branch, metadata, err);
}

static const char *hex_of(const struct json *descriptor)
{
	const char *digest = json_get_string(descriptor, "digest");

	return digest && digest_valid(digest) ? digest_hex(digest) : "none";
}

static int commit_image(struct cimage_destination *d, const struct json *manifest, struct cimage_error *err)
{
	_cleanup_free_ char *branch = ostree_branch(cimage_place_name(d->place));
	g_autoptr(GVariantDict) metadata = g_variant_dict_new(NULL);
	g_autofree char *count = g_strdup_printf("%zu", d->signatures);
	int r = branch ? 0 : err_oom(err);

	json_foreach(layer, json_get(manifest, "layers"))
		if (!r)
			r = commit_layer(d, hex_of(layer), err);
	if (!r)
		r = commit_config(d, hex_of(json_get(manifest, "config")), err);
	g_variant_dict_insert(metadata, OSTREE_MANIFEST, "s", d->manifest);
	g_variant_dict_insert(metadata, OSTREE_SIGNATURES, "s", count);
	g_variant_dict_insert(metadata, OSTREE_DIGEST, "s", d->digest);
	return r ? r : commit_directory(d, "image", branch, metadata, err);
}

static int dest_commit(struct cimage_destination *d, const char *list, size_t n,
		       struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	GError *e = NULL;
	int r;

	if (!d->manifest || json_parse(d->manifest, strlen(d->manifest), 0, &doc, NULL))
		return -EINVAL;
	if (!ostree_repo_prepare_transaction(d->repo, NULL, NULL, &e))
		return ostree_error(e, "begin a transaction", err);
	r = commit_image(d, json_root(doc), err);
	if (r) {
		ostree_repo_abort_transaction(d->repo, NULL, NULL);
		return r;
	}
	return ostree_repo_commit_transaction(d->repo, NULL, NULL, &e)
		       ? 0
		       : ostree_error(e, "commit the transaction", err);
}

const struct cimage_destination_ops ostree_destination = {
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
