/* SPDX-License-Identifier: Apache-2.0 */
/* oci.so: images in an OCI layout that is a directory. */
#include <fcntl.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include "oci_layout.h"

struct cimage_source {
	struct layout layout;
};

static int open_dir(const char *path, int *ret, struct cimage_error *err)
{
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret >= 0)
		return 0;
	return errno == ENOENT ? err_set(err, CIMAGE_E_NOT_FOUND, "there is no directory %s", path)
			       : err_sys(err, "open %s", path);
}

static int oci_open(struct cimage_context *c, const struct cimage_place *place,
		    struct cimage_source **ret, struct cimage_error *err)
{
	struct cimage_source *s = calloc(1, sizeof(*s));
	int fd, r;

	if (!s)
		return err_oom(err);
	r = open_dir(cimage_place_path(place), &fd, err);
	if (!r)
		r = layout_open(c, fd, cimage_place_name(place), &s->layout, err);
	if (r)
		free(s);
	else
		*ret = s;
	return r;
}

static void oci_close(struct cimage_source *s)
{
	layout_done(&s->layout);
	free(s);
}

static int oci_manifest(struct cimage_source *s, const char *digest, char **ret, size_t *ret_len,
			char **ret_type, struct cimage_error *err)
{
	return layout_manifest(&s->layout, digest, ret, ret_len, ret_type, err);
}

static int oci_blobs(struct cimage_source *s, struct cimage_blob_request *r, size_t n,
		     struct cimage_error *err)
{
	return layout_blobs(&s->layout, r, n, err);
}

static int oci_tags(struct cimage_context *c, const struct cimage_place *place, char ***ret,
		    struct cimage_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = open_dir(cimage_place_path(place), &fd, err);

	return r ? r : layout_names(fd, ret, err);
}

static int oci_remove(struct cimage_context *c, const struct cimage_place *place,
		      struct cimage_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = open_dir(cimage_place_path(place), &fd, err);

	return r ? r : layout_remove(fd, cimage_place_name(place), err);
}

/* ---- writing ---- */

struct cimage_destination {
	int fd;
	struct layout_writer writer;
};

static void dest_close(struct cimage_destination *d)
{
	layout_writer_done(&d->writer);
	close_fd(d->fd);
	free(d);
}

static int dest_open(struct cimage_context *c, const struct cimage_place *place,
		     struct cimage_destination **ret, struct cimage_error *err)
{
	const char *path = cimage_place_path(place), *name = cimage_place_name(place);
	struct cimage_destination *d;
	int r;

	if (name && *name == '@')
		return err_set(err, CIMAGE_E_INVALID, "an image is written under a name, not a number");
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_oom(err);
	d->fd = -1;
	if (mkdir(path, 0755) && errno != EEXIST)
		r = err_sys(err, "make directory %s", path);
	else
		r = open_dir(path, &d->fd, err);
	if (!r)
		r = layout_writer_init(d->fd, name, &d->writer, err);
	if (r)
		dest_close(d);
	else
		*ret = d;
	return r;
}

static int dest_flags(const struct cimage_destination *d)
{
	return CIMAGE_DEST_FOREIGN_LAYERS | CIMAGE_DEST_LISTS;
}

static const char *const *dest_types(const struct cimage_destination *d)
{
	return layout_types;
}

static int dest_has(struct cimage_destination *d, const struct cimage_put *b, int *ret,
		    struct cimage_error *err)
{
	return layout_has(&d->writer, b, ret, err);
}

static int dest_put(struct cimage_destination *d, const struct cimage_put *b,
		    struct cimage_stream *s, struct cimage_error *err)
{
	return layout_put(&d->writer, b, s, err);
}

static int dest_manifest(struct cimage_destination *d, const char *bytes, size_t n,
			 const char *media_type, const char *instance, struct cimage_error *err)
{
	return layout_put_manifest(&d->writer, bytes, n, media_type, instance, err);
}

static int dest_commit(struct cimage_destination *d, const char *list, size_t n,
		       struct cimage_error *err)
{
	return layout_commit(&d->writer, err);
}

static const struct cimage_destination_ops destination = {
	.open = dest_open,
	.close = dest_close,
	.flags = dest_flags,
	.manifest_types = dest_types,
	.has_blob = dest_has,
	.put_blob = dest_put,
	.put_manifest = dest_manifest,
	.commit = dest_commit,
};

PUBLIC extern const struct cimage_transport cimage_transport_module;

const struct cimage_transport cimage_transport_module = {
	.abi = CIMAGE_TRANSPORT_ABI,
	.name = "oci",
	.close = oci_close,
	.manifest = oci_manifest,
	.blobs = oci_blobs,
	.parse = oci_parse,
	.open_place = oci_open,
	.destination = &destination,
	.tags = oci_tags,
	.remove = oci_remove,
};
