/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir.so: an image as files of one directory, as skopeo has it: manifest.json, blobs by the digits of
 * their digest, signature-1 and so on, and "version". Images of a list have the digits of their
 * manifest's digest before these names.
 */
#include <dirent.h>
#include <fcntl.h>
#include <cbase/digest.h>
#include <cbase/io.h>
#include "local.h"

#define VERSION "Directory Transport Version: 1.1\n"
#define SIGNATURE_MAX (4u << 20)
#define SIGNATURES_MAX 128

static int dir_parse(struct cimage_context *c, const char *text, struct cimage_place_parts *ret,
		     struct cimage_error *err)
{
	int r = local_path(text, &ret->path, err);

	return r ? r : local_scopes(ret->path, &ret->scopes, err);
}

/* "HEX." before the name for what belongs to one image of a list. */
static char *name_for(const char *instance, const char *name)
{
	return instance ? strf("%s.%s", digest_hex(instance), name) : strdup(name);
}

/* ---- reading ---- */

struct cimage_source {
	struct cimage_context *ctx;
	int fd;
	char own_digest[DIGEST_STR_MAX]; /* of manifest.json, once it was read */
};

static int dir_open(struct cimage_context *c, const struct cimage_place *place,
		    struct cimage_source **ret, struct cimage_error *err)
{
	const char *path = cimage_place_path(place);
	struct cimage_source *s;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return err_set(err, CIMAGE_E_NOT_FOUND, "there is no directory %s", path);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	s = calloc(1, sizeof(*s));
	if (!s) {
		close_fd(fd);
		return err_oom(err);
	}
	s->ctx = c;
	s->fd = fd;
	*ret = s;
	return 0;
}

static void dir_close(struct cimage_source *s)
{
	close_fd(s->fd);
	free(s);
}

static int dir_manifest(struct cimage_source *s, const char *digest, char **ret, size_t *ret_len,
			char **ret_type, struct cimage_error *err)
{
	_cleanup_free_ char *name = name_for(digest, "manifest.json");
	int r;

	if (!name)
		return err_oom(err);
	r = read_file_at(s->fd, name, CIMAGE_MANIFEST_MAX, ret, ret_len);
	if (r == -ENOENT)
		return err_set(err, CIMAGE_E_NOT_FOUND, "there is no %s", name);
	if (r)
		return err_sysr(err, r, "read %s", name);
	if (!digest)
		digest_sha256(*ret, *ret_len, s->own_digest);
	*ret_type = NULL;
	return 0;
}

static int open_blob(void *user, const char *digest, struct cimage_stream **ret,
		     struct cimage_error *err)
{
	struct cimage_source *s = user;

	return local_stream(s->fd, digest_hex(digest), ret, err);
}

static int dir_blobs(struct cimage_source *s, struct cimage_blob_request *r, size_t n,
		     struct cimage_error *err)
{
	return local_blobs(s->ctx, r, n, open_blob, s, err);
}

static int dir_signatures(struct cimage_source *s, const char *digest, struct cimage_signatures *ret,
			  struct cimage_error *err)
{
	const char *instance = streq(digest, s->own_digest) ? NULL : digest;
	char number[32];
	int i, r = 0;

	for (i = 1; !r && i <= SIGNATURES_MAX; i++) {
		_cleanup_free_ char *name = NULL, *bytes = NULL;
		size_t len;

		snprintf(number, sizeof(number), "signature-%d", i);
		name = name_for(instance, number);
		r = name ? read_file_at(s->fd, name, SIGNATURE_MAX, &bytes, &len) : -ENOMEM;
		if (r == -ENOENT)
			return 0;
		if (!r)
			r = cimage_signatures_add(ret, bytes, len);
		if (r)
			err_sysr(err, r, "read %s", name ? name : "a signature");
	}
	if (r)
		cimage_signatures_done(ret);
	return r;
}

/* ---- writing ---- */

struct cimage_destination {
	struct local_dir dir;
};

/* A directory with something else in it is not replaced. */
static int check_replaceable(const char *path, struct cimage_error *err)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	_cleanup_free_ char *version = strf("%s/version", path);
	const struct dirent *e;

	if (!d && errno == ENOENT)
		return 0;
	if (!d || !version)
		return err_sys(err, "open %s", path);
	while ((e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, "..") && access(version, F_OK))
			return err_set(err, CIMAGE_E_INVALID,
				       "%s has files in it that are not of an image", path);
	return 0;
}

static int dest_open(struct cimage_context *c, const struct cimage_place *place,
		     struct cimage_destination **ret, struct cimage_error *err)
{
	struct cimage_destination *d;
	int r = check_replaceable(cimage_place_path(place), err);

	if (r)
		return r;
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_oom(err);
	r = local_dir_new(cimage_place_path(place), &d->dir, err);
	if (!r) {
		r = write_file_at(d->dir.fd, "version", 0644, VERSION, strlen(VERSION), 0);
		if (r)
			err_sysr(err, r, "write version");
	}
	if (r) {
		local_dir_done(&d->dir);
		free(d);
		return r;
	}
	*ret = d;
	return 0;
}

static void dest_close(struct cimage_destination *d)
{
	local_dir_done(&d->dir);
	free(d);
}

static int dest_flags(const struct cimage_destination *d)
{
	return CIMAGE_DEST_KEEPS_FORM | CIMAGE_DEST_SIGNATURES | CIMAGE_DEST_LISTS;
}

static const char *const *dest_types(const struct cimage_destination *d)
{
	return NULL;
}

static int dest_has(struct cimage_destination *d, const struct cimage_put *b, int *ret,
		    struct cimage_error *err)
{
	*ret = !faccessat(d->dir.fd, digest_hex(b->digest), F_OK, 0);
	return 0;
}

static int dest_put(struct cimage_destination *d, const struct cimage_put *b,
		    struct cimage_stream *s, struct cimage_error *err)
{
	return local_put(d->dir.fd, "", b, s, err);
}

static int write_named(struct cimage_destination *d, const char *instance, const char *name,
		       const char *bytes, size_t n, struct cimage_error *err)
{
	_cleanup_free_ char *full = name_for(instance, name);
	int r = full ? write_file_at(d->dir.fd, full, 0644, bytes, n, 0) : -ENOMEM;

	return r ? err_sysr(err, r, "write %s", name) : 0;
}

static int dest_manifest(struct cimage_destination *d, const char *bytes, size_t n,
			 const char *media_type, const char *instance, struct cimage_error *err)
{
	return write_named(d, instance, "manifest.json", bytes, n, err);
}

static int dest_signatures(struct cimage_destination *d, const struct cimage_signatures *s,
			   const char *instance, struct cimage_error *err)
{
	char name[32];
	size_t i;
	int r = 0;

	for (i = 0; !r && i < s->count; i++) {
		snprintf(name, sizeof(name), "signature-%zu", i + 1);
		r = write_named(d, instance, name, s->items[i].bytes, s->items[i].len, err);
	}
	return r;
}

static int dest_commit(struct cimage_destination *d, const char *list, size_t n,
		       struct cimage_error *err)
{
	return local_dir_commit(&d->dir, err);
}

static const struct cimage_destination_ops destination = {
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

PUBLIC extern const struct cimage_transport cimage_transport_module;

const struct cimage_transport cimage_transport_module = {
	.abi = CIMAGE_TRANSPORT_ABI,
	.name = "dir",
	.close = dir_close,
	.manifest = dir_manifest,
	.blobs = dir_blobs,
	.parse = dir_parse,
	.open_place = dir_open,
	.signatures = dir_signatures,
	.destination = &destination,
};
