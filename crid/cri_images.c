/* SPDX-License-Identifier: Apache-2.0 */
/* RPCs about images. Questions are answered from the image table; removal and disk usage are operations. */
#include <cbase/io.h>
#include <cimage.h>
#include "containers.h"
#include "cri.h"
#include "cri_pairs.h"
#include "errors.h"
#include "image_sync.h"
#include "images.h"
#include "log.h"
#include "pulls.h"

static void pull_image_rpc(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	pull_image(d, call, (Runtime__V1__PullImageRequest *)q);
}

static Runtime__V1__Image *image_message(struct arena *a, const struct image *i)
{
	Runtime__V1__Image *m = cri_message(a, &runtime__v1__image__descriptor);

	if (!m)
		return NULL;
	m->id = cri_text(i->id);
	m->repo_tags = i->tags;
	m->n_repo_tags = strv_len(i->tags);
	m->repo_digests = i->repo_digests;
	m->n_repo_digests = strv_len(i->repo_digests);
	m->size = i->size;
	m->username = cri_text(i->username);
	m->pinned = i->pinned;
	if (i->uid >= 0) {
		m->uid = cri_message(a, &runtime__v1__int64_value__descriptor);
		if (m->uid)
			m->uid->value = i->uid;
	}
	m->spec = cri_message(a, &runtime__v1__image_spec__descriptor);
	if (m->spec)
		m->spec->image = cri_text(i->tags[0] ? i->tags[0] : i->repo_digests[0] ? i->repo_digests[0] : i->id);
	return m;
}

static void list_images(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const Runtime__V1__ImageFilter *f = cri_filter(q);
	Runtime__V1__ListImagesResponse m = RUNTIME__V1__LIST_IMAGES_RESPONSE__INIT;
	const char *name = f && f->image ? f->image->image : "";
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct image *one;
	size_t n;

	m.images = arena_alloc(&a, (d->images->n + 1) * sizeof(*m.images));
	if (m.images && *name) {
		one = image_table_find(d->images, name);
		if (one)
			m.images[m.n_images++] = image_message(&a, one);
	}
	for (n = 0; m.images && !*name && n < d->images->n; n++)
		m.images[m.n_images++] = image_message(&a, &d->images->images[n]);
	cri_reply_list(call, &m.base, &a);
	crisvc_cri_free(q);
}

static int image_name(const Runtime__V1__ImageSpec *spec, const char **ret, struct cb_error *err)
{
	if (!spec || !*spec->image)
		return err_set(err, E_INVALID, "image.image is missing");
	*ret = spec->image;
	return 0;
}

/* i may be NULL: it is not here. */
static void reply_status(struct waiters *caller, const struct image *i, const char *info)
{
	Runtime__V1__ImageStatusResponse m = RUNTIME__V1__IMAGE_STATUS_RESPONSE__INIT;
	char *pairs[] = { cri_text("info"), cri_text(info), NULL };
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct cb_error err = { 0 };

	if (i)
		m.image = image_message(&a, i);
	if (i && info)
		m.info = pairs_to_entries(&a, pairs, &runtime__v1__image_status_response__info_entry__descriptor, &m.n_info);
	if (arena_failed(&a))
		waiters_fail(caller, err_oom(&err), &err);
	else
		waiters_reply(caller, &m.base);
}

/*
 * What needs files is an operation: a short name means what registries.conf says, and a verbose status shows the
 * image's configuration. The second follows the first.
 */
struct status_job {
	struct job job;
	struct daemon *d;
	struct waiters caller;
	char *name, **candidates;	/* a short name; then the id of the image to describe */
	bool verbose;
	struct str info;
};

static void free_status(struct status_job *j)
{
	str_done(&j->info);
	strv_free(j->candidates);
	free(j->name);
	free(j);
}

static void run_describe(struct job *job)
{
	struct status_job *j = (struct status_job *)job;
	struct cb_error err = { 0 };

	/* one that is removed meanwhile is not found when done */
	if (image_describe(&j->d->sv, j->name, &j->info, &err)) {
		log_warn("image %s has no verbose status: %s", j->name, err.message);
		str_done(&j->info);
	}
}

static void done_describe(struct job *job)
{
	struct status_job *j = (struct status_job *)job;

	reply_status(&j->caller, image_table_find(j->d->images, j->name), j->info.data);
	free_status(j);
}

/* Owns j. */
static void answer_status(struct status_job *j, const struct image *i)
{
	if (!i || !j->verbose) {
		reply_status(&j->caller, i, NULL);
		free_status(j);
		return;
	}
	free(j->name);
	j->name = strdup(i->id);
	if (!j->name)
		abort();
	j->job = (struct job){ .run = run_describe, .done = done_describe };
	jobs_submit(j->d->jobs, LANE_IMAGE, &j->job);
}

static void run_candidates(struct job *job)
{
	struct status_job *j = (struct status_job *)job;

	/* a name that cannot be resolved is looked for as it stands */
	(void)pull_candidates(j->d, j->name, &j->candidates, NULL);
}

static void done_candidates(struct job *job)
{
	struct status_job *j = (struct status_job *)job;
	const struct image *i = NULL;
	size_t n;

	for (n = 0; j->candidates && j->candidates[n] && !i; n++)
		i = image_table_find(j->d->images, j->candidates[n]);
	if (!j->candidates)
		i = image_table_find(j->d->images, j->name);
	answer_status(j, i);
}

static void start_status(struct daemon *d, struct crisvc_call *call, const Runtime__V1__ImageStatusRequest *q,
			 const struct image *i, bool is_short)
{
	struct status_job *j = calloc(1, sizeof(*j));

	if (!j || !(j->name = strdup(q->image->image)))
		abort();
	j->d = d;
	j->verbose = q->verbose;
	waiters_add(&j->caller, call);
	if (is_short) {
		j->job = (struct job){ .run = run_candidates, .done = done_candidates };
		jobs_submit(d->jobs, LANE_IMAGE, &j->job);
	} else {
		answer_status(j, i);
	}
}

static void image_status(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	const struct image *i = NULL;
	struct cimage_error why = { 0 };
	struct cimage_ref *ref = NULL;
	struct cb_error err = { 0 };
	const char *name = "";
	bool is_short = false;
	int r;

	r = image_name(((Runtime__V1__ImageStatusRequest *)q)->image, &name, &err);
	if (!r) {
		i = image_table_find(d->images, name);
		/* an id that is not here is simply not here; a name must be one */
		if (!i && !str_is_hex(name, 64) && !str_starts(name, "sha256:")) {
			r = cimage_ref_parse(name, 1, &ref, &why);
			if (r)
				r = err_from_cimage(&err, r, &why);
			cimage_ref_free(ref);
		}
		is_short = !r && cimage_ref_is_short(name) && !str_starts(name, "sha256:") &&
			   !str_is_hex(name, 64) && (!i || !str_starts(i->id, name));
	}
	if (r)
		call_fail(call, r, &err);
	else
		start_status(d, call, (Runtime__V1__ImageStatusRequest *)q, i, is_short);
	crisvc_cri_free(q);
}

/* ---- removal: by id the image, by name the name, and with the last name the image ---- */

struct remove_job {
	struct job job;
	struct daemon *d;
	struct waiters caller;
	struct arena arena;
	const char *id;
	char **names;		/* to take away; NULL: the whole image */
	int r;
	struct cb_error err;
};

static void run_remove(struct job *job)
{
	struct remove_job *j = (struct remove_job *)job;
	struct cstore *store = j->d->sv.store;
	struct cstore_error e = { 0 };
	char **n;
	int r = 0;

	for (n = j->names; n && *n && !r; n++)
		r = cstore_image_remove_name(store, j->id, *n, &e);
	if (!j->names)
		r = cstore_image_delete(store, j->id, &e);
	if (r && r != CSTORE_E_NOT_FOUND)
		j->r = err_from_cstore(&j->err, r, &e);
}

static void reply_remove(void *user)
{
	struct remove_job *j = user;

	if (j->r) {
		err_ctx(&j->err, j->r, "remove image %s", j->id);
		waiters_fail(&j->caller, j->r, &j->err);
	} else {
		log_info("removed %simage %s", j->names ? "a name of " : "", j->id);
		waiters_reply_empty(&j->caller);
	}
	arena_done(&j->arena);
	free(j);
}

static void done_remove(struct job *job)
{
	struct remove_job *j = (struct remove_job *)job;

	image_sync(j->d, reply_remove, j);
}

/* The names that text stands for: itself, or with a digest all of that repository. NULL: it is an id. */
static char **names_meant(struct arena *a, const struct image *i, const char *text)
{
	char **v = arena_alloc(a, (strv_len(i->names) + 1) * sizeof(*v)), **n;
	struct cimage_ref *want = NULL, *have;
	size_t k = 0;

	if (!v || str_starts(i->id, text) || str_starts(text, "sha256:") || cimage_ref_parse(text, 1, &want, NULL))
		return NULL;
	for (n = i->names; *n; n++) {
		have = NULL;
		if (streq(*n, cimage_ref_string(want)))
			v[k++] = arena_strdup(a, *n);
		else if (cimage_ref_digest(want) && !cimage_ref_parse(*n, 0, &have, NULL) &&
			 streq(cimage_ref_name(have), cimage_ref_name(want)))
			v[k++] = arena_strdup(a, *n);
		cimage_ref_free(have);
	}
	cimage_ref_free(want);
	return k && k < strv_len(i->names) ? v : NULL;
}

/* A container that has the image mounted would lose its files; the store only knows root file systems. */
static const struct container *volume_user(const struct daemon *d, const char *image)
{
	for (const struct pod *p = d->pods; p; p = p->next)
		for (const struct container *c = p->containers; c; c = c->next)
			for (size_t n = 0; n < c->info->n_mounts; n++)
				if (c->info->mounts[n].image && streq(c->info->mounts[n].image, image))
					return c;
	return NULL;
}

static void start_remove(struct daemon *d, struct crisvc_call *call, const struct image *i, const char *name)
{
	struct remove_job *j = calloc(1, sizeof(*j));
	const struct container *user;
	struct cb_error err = { 0 };

	if (!j)
		abort();
	j->job = (struct job){ .run = run_remove, .done = done_remove };
	j->d = d;
	j->id = arena_strdup(&j->arena, i->id);
	j->names = names_meant(&j->arena, i, name);
	user = j->names ? NULL : volume_user(d, i->id);
	if (user) {
		call_fail(call, err_set(&err, E_IN_USE, "remove image %s: container %s has it mounted", i->id, user->info->id), &err);
		arena_done(&j->arena);
		free(j);
		return;
	}
	waiters_add(&j->caller, call);
	jobs_submit(d->jobs, LANE_IMAGE, &j->job);
}

static void remove_image(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	Runtime__V1__RemoveImageResponse m = RUNTIME__V1__REMOVE_IMAGE_RESPONSE__INIT;
	const struct image *i = NULL;
	struct cb_error err = { 0 };
	const char *name = "";
	int r;

	r = image_name(((Runtime__V1__RemoveImageRequest *)q)->image, &name, &err);
	if (!r)
		i = image_table_find(d->images, name);
	if (r) {
		call_fail(call, r, &err);
	} else if (!i) {
		call_reply(call, &m.base);
	} else {
		start_remove(d, call, i, name);
	}
	crisvc_cri_free(q);
}

/* ---- disk usage ---- */

struct usage_job {
	struct job job;
	struct daemon *d;
	struct waiters caller;
	uint64_t bytes, inodes;
	uint64_t own_bytes, own_inodes;	/* of containers, when they are kept apart from images */
	int r;
	struct cb_error err;
};

/* One that goes meanwhile takes nothing. */
static int containers_usage(struct cstore *store, struct usage_job *j, struct cstore_error *e)
{
	struct cstore_container_list *list = NULL;
	uint64_t bytes, inodes;
	int r = cstore_container_list(store, &list, e);

	for (size_t i = 0; !r && i < cstore_container_list_count(list); i++) {
		r = cstore_container_usage(store, cstore_container_id(cstore_container_list_get(list, i)), &bytes, &inodes, e);
		if (!r) {
			j->own_bytes += bytes;
			j->own_inodes += inodes;
		}
		r = r == CSTORE_E_NOT_FOUND ? 0 : r;
	}
	cstore_container_list_free(list);
	return r;
}

static void run_usage(struct job *job)
{
	struct usage_job *j = (struct usage_job *)job;
	struct cstore *store = j->d->sv.store;
	struct cstore_error e = { 0 };

	j->r = cstore_image_usage(store, &j->bytes, &j->inodes, &e);
	if (!j->r && cstore_image_store(store))
		j->r = containers_usage(store, j, &e);
	if (j->r)
		j->r = err_from_cstore(&j->err, j->r, &e);
}

struct fs_usage {
	Runtime__V1__FilesystemUsage usage;
	Runtime__V1__FilesystemIdentifier id;
	Runtime__V1__UInt64Value bytes, inodes;
};

static Runtime__V1__FilesystemUsage *fill_usage(struct fs_usage *u, char *path, uint64_t bytes, uint64_t inodes)
{
	runtime__v1__filesystem_usage__init(&u->usage);
	runtime__v1__filesystem_identifier__init(&u->id);
	runtime__v1__uint64_value__init(&u->bytes);
	runtime__v1__uint64_value__init(&u->inodes);
	u->id.mountpoint = path;
	u->bytes.value = bytes;
	u->inodes.value = inodes;
	u->usage.timestamp = now_ns();
	u->usage.fs_id = &u->id;
	u->usage.used_bytes = &u->bytes;
	u->usage.inodes_used = &u->inodes;
	return &u->usage;
}

static void done_usage(struct job *job)
{
	Runtime__V1__ImageFsInfoResponse m = RUNTIME__V1__IMAGE_FS_INFO_RESPONSE__INIT;
	Runtime__V1__FilesystemUsage *images, *containers;
	struct usage_job *j = (struct usage_job *)job;
	const struct cstore *store = j->d->sv.store;
	_cleanup_free_ char *mountpoint = images_dir(store),
			    *own = strf("%s/%s-containers", cstore_graph_root(store), cstore_driver(store));
	struct fs_usage of_images, of_containers;

	if (!j->r && (!mountpoint || !own))
		j->r = err_oom(&j->err);
	if (j->r) {
		waiters_fail(&j->caller, j->r, &j->err);
	} else {
		images = containers = fill_usage(&of_images, mountpoint, j->bytes, j->inodes);
		if (cstore_image_store(store))
			containers = fill_usage(&of_containers, own, j->own_bytes, j->own_inodes);
		m.image_filesystems = &images;
		m.container_filesystems = &containers;
		m.n_image_filesystems = m.n_container_filesystems = 1;
		waiters_reply(&j->caller, &m.base);
	}
	free(j);
}

static void image_fs_info(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	struct usage_job *j = calloc(1, sizeof(*j));

	if (!j)
		abort();
	*j = (struct usage_job){ .job = { .run = run_usage, .done = done_usage }, .d = d };
	waiters_add(&j->caller, call);
	jobs_submit(d->jobs, LANE_IMAGE, &j->job);
	crisvc_cri_free(q);
}

const struct cri_rpc cri_image_rpcs[] = {
	{ "PullImage", pull_image_rpc },
	{ "ListImages", list_images },
	{ "StreamImages", list_images },
	{ "ImageStatus", image_status },
	{ "RemoveImage", remove_image },
	{ "ImageFsInfo", image_fs_info },
	{ NULL, NULL },
};
