/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci-archive.so: a tar archive of an OCI layout. It is read and written by way of a layout in a
 * directory of its own; the archive appears under its name when it is complete.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include "image_archive.h"
#include "oci_layout.h"

struct cimage_source {
	struct local_scratch scratch;
	struct layout layout;
};

/* index.json, oci-layout, blobs/ALGORITHM/HEX: nothing else of an archive is unpacked. */
static bool is_wanted(const char *name)
{
	const char *p;

	if (streq(name, "index.json") || streq(name, "oci-layout"))
		return true;
	if (!str_starts(name, "blobs/"))
		return false;
	p = name + 6 + strspn(name + 6, "abcdefghijklmnopqrstuvwxyz0123456789");
	return *p == '/' && p[1] && p[1 + strspn(p + 1, "0123456789abcdef")] == '\0';
}

static int unpack_member(const struct archive_index *x, const char *name, int dirfd,
			 struct cimage_error *err)
{
	_cleanup_free_ char *dir = strdup(name);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	struct cimage_stream *s;
	int r;

	if (!dir)
		return err_oom(err);
	if (slash) {
		*slash = '\0';
		if ((mkdirat(dirfd, "blobs", 0700) && errno != EEXIST) ||
		    (mkdirat(dirfd, dir, 0700) && errno != EEXIST))
			return err_sys(err, "make %s", dir);
	}
	if (!faccessat(dirfd, name, F_OK, 0))
		return 0; /* a name that is there twice: archive_stream() took the last */
	r = archive_stream(x, name, &s, err);
	if (r)
		return r;
	r = local_write(dirfd, name, s, err);
	s->close(s);
	return r;
}

static void source_close(struct cimage_source *s)
{
	layout_done(&s->layout);
	local_scratch_done(&s->scratch);
	free(s);
}

static int source_open(struct cimage_context *c, const struct cimage_place *place,
		       struct cimage_source **ret, struct cimage_error *err)
{
	struct cimage_source *s = calloc(1, sizeof(*s));
	struct archive_index x = { .fd = -1 };
	size_t i;
	int r;

	if (!s)
		return err_oom(err);
	s->layout.fd = -1;
	r = archive_index_open(cimage_place_path(place), &x, err);
	if (!r)
		r = local_scratch_new(&s->scratch, err);
	for (i = 0; !r && i < x.count; i++)
		if (is_wanted(x.members[i].name))
			r = unpack_member(&x, x.members[i].name, s->scratch.fd, err);
	archive_index_done(&x);
	if (!r)
		r = layout_open(c, fcntl(s->scratch.fd, F_DUPFD_CLOEXEC, 3), cimage_place_name(place),
				&s->layout, err);
	if (r)
		source_close(s);
	else
		*ret = s;
	return r;
}

static int source_manifest(struct cimage_source *s, const char *digest, char **ret, size_t *ret_len,
			   char **ret_type, struct cimage_error *err)
{
	return layout_manifest(&s->layout, digest, ret, ret_len, ret_type, err);
}

static int source_blobs(struct cimage_source *s, struct cimage_blob_request *r, size_t n,
			struct cimage_error *err)
{
	return layout_blobs(&s->layout, r, n, err);
}

static int archive_tags(struct cimage_context *c, const struct cimage_place *place, char ***ret,
			struct cimage_error *err)
{
	struct cimage_source *s;
	int r = source_open(c, place, &s, err);

	if (r)
		return r;
	r = layout_names(s->layout.fd, ret, err);
	source_close(s);
	return r;
}

/* ---- writing ---- */

struct cimage_destination {
	struct local_scratch scratch;
	struct layout_writer writer;
	char *path, *building; /* building: NULL when it got its name */
};

static void dest_close(struct cimage_destination *d)
{
	layout_writer_done(&d->writer);
	local_scratch_done(&d->scratch);
	if (d->building)
		unlink(d->building);
	free(d->building);
	free(d->path);
	free(d);
}

static int dest_open(struct cimage_context *c, const struct cimage_place *place,
		     struct cimage_destination **ret, struct cimage_error *err)
{
	const char *name = cimage_place_name(place);
	struct cimage_destination *d;
	int r;

	if (name && *name == '@')
		return err_set(err, CIMAGE_E_INVALID, "an image is written under a name, not a number");
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_oom(err);
	d->path = strdup(cimage_place_path(place));
	r = d->path ? local_scratch_new(&d->scratch, err) : err_oom(err);
	if (!r)
		r = layout_writer_init(d->scratch.fd, name, &d->writer, err);
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

static int dest_put(struct cimage_destination *d, const struct cimage_put *b, struct cimage_stream *s,
		    struct cimage_error *err)
{
	return layout_put(&d->writer, b, s, err);
}

static int dest_manifest(struct cimage_destination *d, const char *bytes, size_t n,
			 const char *media_type, const char *instance, struct cimage_error *err)
{
	return layout_put_manifest(&d->writer, bytes, n, media_type, instance, err);
}

static int write_archive(struct cimage_destination *d, int fd, struct cimage_error *err)
{
	struct archive_writer *w;
	char **p;
	int r = archive_writer_new(fd, &w, err);

	if (r)
		return r;
	r = archive_add_file(w, "oci-layout", d->scratch.fd, "oci-layout", err);
	if (!r)
		r = archive_add_file(w, "index.json", d->scratch.fd, "index.json", err);
	for (p = d->writer.added; !r && p && *p; p++)
		r = archive_add_file(w, *p, d->scratch.fd, *p, err);
	if (!r)
		r = archive_writer_finish(w, err);
	archive_writer_free(w);
	return r;
}

static int dest_commit(struct cimage_destination *d, const char *list, size_t n,
		       struct cimage_error *err)
{
	_cleanup_close_ int fd = -1;
	char random[17];
	int r = layout_commit(&d->writer, err);

	if (r)
		return r;
	r = random_hex(8, random);
	if (r)
		return err_sysr(err, r, "random numbers");
	d->building = strf("%s.new-%s", d->path, random);
	if (!d->building)
		return err_oom(err);
	fd = open(d->building, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(err, "make %s", d->building);
	r = write_archive(d, fd, err);
	if (r)
		return r;
	if (fsync(fd) || rename(d->building, d->path))
		return err_sys(err, "write %s", d->path);
	free(take(d->building));
	return 0;
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
	.name = "oci-archive",
	.close = source_close,
	.manifest = source_manifest,
	.blobs = source_blobs,
	.parse = oci_parse,
	.open_place = source_open,
	.destination = &destination,
	.tags = archive_tags,
};
