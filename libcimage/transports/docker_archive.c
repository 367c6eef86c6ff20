/* SPDX-License-Identifier: Apache-2.0 */
/* docker-archive.so: files that "docker save" writes and "docker load" reads. */
#include <cbase/io.h>
#include <fcntl.h>
#include "docker_save.h"

static int archive_parse(struct cimage_context *c, const char *text, struct cimage_place_parts *ret,
			 struct cimage_error *err)
{
	const char *colon = strchr(text, ':');
	_cleanup_free_ char *path = colon ? strndup(text, (size_t)(colon - text)) : strdup(text);
	int r = path ? local_path(path, &ret->path, err) : err_oom(err);

	if (!r && colon && colon[1] == '@')
		r = (ret->name = strdup(colon + 1)) ? 0 : err_oom(err);
	else if (!r && colon && colon[1])
		r = cimage_ref_parse(colon + 1, 1, &ret->ref, err);
	if (!r && !(ret->scopes = calloc(1, sizeof(*ret->scopes)))) /* policy.json cannot name them */
		r = err_oom(err);
	return r;
}

static int open_archive(struct cimage_context *c, const struct cimage_place *place,
			struct cimage_source **ret, struct cimage_error *err)
{
	int fd, r = archive_open(cimage_place_path(place), &fd, err);

	return r ? r
		 : saved_open(c, fd, cimage_place_ref(place), cimage_place_name(place), ret, err);
}

static int archive_tags(struct cimage_context *c, const struct cimage_place *place, char ***ret,
			struct cimage_error *err)
{
	int fd, r = archive_open(cimage_place_path(place), &fd, err);

	return r ? r : saved_names(fd, ret, err);
}

static int dest_open(struct cimage_context *c, const struct cimage_place *place,
		     struct cimage_destination **ret, struct cimage_error *err)
{
	if (!access(cimage_place_path(place), F_OK))
		return err_set(err, CIMAGE_E_INVALID,
			       "%s exists, and images cannot be added to an archive",
			       cimage_place_path(place));
	return saved_dest_new(c, place, ret, err);
}

static int dest_commit(struct cimage_destination *d, const char *list, size_t n,
		       struct cimage_error *err)
{
	const char *path = cimage_place_path(saved_place(d));
	_cleanup_free_ char *building = NULL;
	_cleanup_close_ int fd = -1;
	char random[17];
	int r = random_hex(8, random);

	if (r)
		return err_sysr(err, r, "random numbers");
	building = strf("%s.new-%s", path, random);
	if (!building)
		return err_oom(err);
	fd = open(building, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(err, "make %s", building);
	r = saved_write(d, fd, err);
	if (!r && (fsync(fd) || rename(building, path)))
		r = err_sys(err, "write %s", path);
	if (r)
		unlink(building);
	return r;
}

static const struct cimage_destination_ops destination = {
	.open = dest_open,
	.close = saved_dest_close,
	.flags = saved_flags,
	.manifest_types = saved_types,
	.has_blob = saved_has,
	.put_blob = saved_put,
	.put_manifest = saved_put_manifest,
	.commit = dest_commit,
};

PUBLIC extern const struct cimage_transport cimage_transport_module;

const struct cimage_transport cimage_transport_module = {
	.abi = CIMAGE_TRANSPORT_ABI,
	.name = "docker-archive",
	.close = saved_close,
	.manifest = saved_manifest,
	.blobs = saved_blobs,
	.parse = archive_parse,
	.open_place = open_archive,
	.destination = &destination,
	.tags = archive_tags,
};
