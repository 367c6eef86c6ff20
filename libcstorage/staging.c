/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Staging: layers are extracted, several at once, in temporary directories of the store without any
 * lock of the store, and become layers later, in order, by renames under layers.lock.
 *
 * What is staged is already laid out as a layer's directory (diff, link, work, merged); only what
 * depends on the parent is added when it is published. Everything is on disk before the record is:
 * the content by one syncfs() for all layers, the rest by fsync() when publishing.
 */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include "layer.h"
#include "module.h"
#include "write_behind.h"

struct cstore_staging {
	struct cstore *store;
	const struct apply_module *module;
	struct tempdir *home, *records;
	int home_fd,
		records_fd; /* opened before anything is written: syncfs() reports errors since then */
	const char *paths[3];
	pthread_mutex_t mutex;
	uint64_t applied, synced; /* counts of apply calls; see staging_sync */
	struct write_behind behind;
};

struct cstore_staged {
	char *dir, *tar_split;
	char link[LINK_LEN + 1];
	struct apply_result result;
	char *blob_digest;
	uint64_t number; /* on disk when staging->synced has reached it */
};

/* ---- staging ---- */

PUBLIC struct cstore_staging *cstore_staging_free(struct cstore_staging *st)
{
	if (!st)
		return NULL;
	write_behind_done(&st->behind);
	tempdir_free(st->home);
	tempdir_free(st->records);
	close_fd(st->home_fd);
	close_fd(st->records_fd);
	pthread_mutex_destroy(&st->mutex);
	free(st);
	return NULL;
}
CB_DEFINE_CLEANUP(struct cstore_staging *, cstore_staging_free)

static int make_tempdir(const char *base, const char *name, struct tempdir **ret, int *ret_fd,
			struct cstore_error *err)
{
	_cleanup_free_ char *parent = strf("%s/%s", base, name);
	int r = parent ? tempdir_new(parent, ret, err) : err_oom(err);

	if (r)
		return r;
	*ret_fd = open((*ret)->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? err_sys(err, "open %s", (*ret)->path) : 0;
}

PUBLIC int cstore_staging_new(struct cstore *s, struct cstore_staging **ret,
			      struct cstore_error *err)
{
	_cleanup_(cstore_staging_freep) struct cstore_staging *st = NULL;
	int r;

	if (!s || !ret)
		return err_sysr(err, -EINVAL, "start staging");
	st = calloc(1, sizeof(*st));
	if (!st)
		return err_oom(err);
	st->home_fd = st->records_fd = -1;
	pthread_mutex_init(&st->mutex, NULL);
	write_behind_init(&st->behind);
	st->store = s;
	r = module_get(&st->module, err); /* now: a sandbox may keep it from being loaded later */
	if (!r)
		r = make_tempdir(s->places[s->image_place].home, "tempdirs", &st->home, &st->home_fd, err);
	if (!r)
		r = make_tempdir(s->layers_dir, "tmp", &st->records, &st->records_fd, err);
	if (r)
		return err_ctx(err, r, "start staging");
	st->paths[0] = st->home->path;
	st->paths[1] = st->records->path;
	st->behind.dir_fd = st->home_fd;
	*ret = take(st);
	return 0;
}

PUBLIC const char *const *cstore_staging_paths(const struct cstore_staging *st)
{
	return st->paths;
}

static int sync_now(struct cstore_staging *st, struct cstore_error *err)
{
	uint64_t upto;

	pthread_mutex_lock(&st->mutex);
	upto = st->applied;
	pthread_mutex_unlock(&st->mutex);
	/* usually one file system; then the second call finds nothing to do */
	if (syncfs(st->home_fd) < 0 || syncfs(st->records_fd) < 0)
		return err_sys(err, "write staged layers to disk");
	pthread_mutex_lock(&st->mutex);
	if (st->synced < upto)
		st->synced = upto;
	pthread_mutex_unlock(&st->mutex);
	return 0;
}

PUBLIC int cstore_staging_sync(struct cstore_staging *st, struct cstore_error *err)
{
	return st ? sync_now(st, err) : err_sysr(err, -EINVAL, "sync staging");
}

/* ---- one layer ---- */

PUBLIC struct cstore_staged *cstore_staged_free(struct cstore_staged *l)
{
	if (!l)
		return NULL;
	if (l->dir)
		rm_rf_at(AT_FDCWD, l->dir);
	if (l->tar_split)
		unlink(l->tar_split);
	free(l->dir);
	free(l->tar_split);
	free(l->result.uids);
	free(l->result.gids);
	free(l->blob_digest);
	free(l);
	return NULL;
}
CB_DEFINE_CLEANUP(struct cstore_staged *, cstore_staged_free)

static int open_staged(struct cstore_staging *st, struct cstore_staged *l, int *ret_diff,
		       int *ret_split, struct cstore_error *err)
{
	_cleanup_free_ char *diff = NULL;
	int r;

	l->dir = tempdir_name(st->home, "addition");
	l->tar_split = tempdir_name(st->records, "addition");
	diff = l->dir ? strf("%s/diff", l->dir) : NULL;
	if (!diff || !l->tar_split)
		return err_oom(err);
	if (mkdir(l->dir, 0700) < 0)
		return err_sys(err, "make directory %s", l->dir);
	r = st->store->driver->frame(l->dir, l->link, err);
	if (r)
		return r;
	*ret_diff = open(diff, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_diff < 0)
		return err_sys(err, "open %s", diff);
	*ret_split = open(l->tar_split, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *ret_split < 0 ? err_sys(err, "create %s", l->tar_split) : 0;
}

static int check_result(const struct cstore_apply_options *o, const struct apply_result *res,
			struct cstore_error *err)
{
	if (o->blob_size >= 0 && (uint64_t)o->blob_size != res->blob_size)
		return err_set(err, CSTORE_E_DIGEST, "layer blob has %llu bytes, not %lld",
			       (unsigned long long)res->blob_size, (long long)o->blob_size);
	if (o->diff_id && !streq(o->diff_id, res->diff_id))
		return err_set(err, CSTORE_E_DIGEST, "layer has diff id %s, not %s", res->diff_id,
			       o->diff_id);
	return 0;
}

struct reading {
	const struct cstore_apply_options *options;
	struct write_behind *behind;
	uint64_t told; /* to behind */
};

static void on_read(void *user, uint64_t bytes)
{
	struct reading *r = user;

	write_behind_add(r->behind, bytes - r->told);
	r->told = bytes;
	if (r->options->progress)
		r->options->progress(r->options->user, bytes);
}

static int apply(struct cstore_staging *st, int fd, const struct cstore_apply_options *o,
		 struct cstore_staged *l, struct cstore_error *err)
{
	_cleanup_close_ int diff = -1, split = -1;
	struct reading reading = { .options = o, .behind = &st->behind };
	struct apply_job job = {
		.blob_fd = fd,
		.hash_blob = !o->blob_digest,
		.progress = on_read,
		.user = &reading,
		.cancel = o->cancel,
	};
	int r;

	r = open_staged(st, l, &diff, &split, err);
	if (r)
		return r;
	job.diff_fd = diff;
	job.tar_split_fd = split;
	r = st->module->apply(&job, &l->result, err);
	if (!r)
		r = check_result(o, &l->result, err);
	if (r)
		return r;
	l->blob_digest = strdup(o->blob_digest ? o->blob_digest : l->result.blob_digest);
	return l->blob_digest ? 0 : err_oom(err);
}

static bool digest_ok(const char *d)
{
	return !d || (str_starts(d, "sha256:") && str_is_hex(d + 7, 64));
}

PUBLIC int cstore_staging_apply(struct cstore_staging *st, int fd,
				const struct cstore_apply_options *o, struct cstore_staged **ret,
				struct cstore_error *err)
{
	static const struct cstore_apply_options defaults = { .size = sizeof(defaults),
							      .blob_size = -1 };
	_cleanup_(cstore_staged_freep) struct cstore_staged *l = NULL;
	int r;

	if (!o)
		o = &defaults;
	if (!st || fd < 0 || !ret || o->size != sizeof(*o))
		return err_sysr(err, -EINVAL, "apply layer");
	if (!digest_ok(o->diff_id) || !digest_ok(o->blob_digest))
		return err_set(err, CSTORE_E_INVALID,
			       "apply layer: only sha256 digests are supported");
	l = calloc(1, sizeof(*l));
	if (!l)
		return err_oom(err);
	r = apply(st, fd, o, l, err);
	if (r)
		return o->blob_digest ? err_ctx(err, r, "layer %s", o->blob_digest) : r;
	pthread_mutex_lock(&st->mutex);
	l->number = ++st->applied;
	pthread_mutex_unlock(&st->mutex);
	*ret = take(l);
	return 0;
}

PUBLIC const char *cstore_staged_diff_id(const struct cstore_staged *l)
{
	return l->result.diff_id;
}
PUBLIC uint64_t cstore_staged_diff_size(const struct cstore_staged *l)
{
	return l->result.diff_size;
}

/* ---- publishing ---- */

/* Renames everything to where it belongs; the record is not written yet. */
static int put_in_place(struct cstore *s, struct cstore_staged *l, const char *id,
			const char *parent, struct trash *trash, struct cstore_error *err)
{
	_cleanup_free_ char *dir = s->driver->layer_dir(&s->places[s->image_place], id);
	_cleanup_free_ char *split = strf("%s/%s.tar-split.gz", s->layers_dir, id);
	int r;

	if (!dir || !split)
		return err_oom(err);
	r = s->driver->complete(s, l->dir, parent, err);
	if (!r)
		r = layer_move_aside(s, id, trash, err); /* left by a crash: it has no record */
	if (r)
		return r;
	if (rename(l->dir, dir) < 0)
		return err_sys(err, "move %s to %s", l->dir, dir);
	r = s->driver->placed(s, id, l->link, err);
	if (r)
		return r;
	if (rename(l->tar_split, split) < 0)
		return err_sys(err, "move %s to %s", l->tar_split, split);
	return s->driver->sync(s, id, err);
}

static void set_ids(struct json_doc *doc, struct json *rec, const char *key, const uint32_t *ids,
		    size_t n)
{
	struct json *array;

	if (!n)
		return;
	array = json_set_array(doc, rec, key);
	for (size_t i = 0; i < n; i++)
		json_append(doc, array, json_new_int(doc, ids[i]));
}

static void add_record(struct cstore *s, const struct cstore_staged *l, const char *id,
		       const char *parent)
{
	int file = s->image_place ? RECORDS_FILES : RECORDS_STABLE; /* the image store's comes next */
	struct json_doc *doc = records_doc(&s->layers, file);
	struct json *rec = json_new_object(doc);
	const struct apply_result *res = &l->result;
	char created[TIME_MAX_LEN];

	time_format(now_ns(), created);
	json_set_string(doc, rec, "id", id);
	if (parent)
		json_set_string(doc, rec, "parent", parent);
	json_set_string(doc, rec, "created", created);
	json_set_string(doc, rec, "compressed-diff-digest", l->blob_digest);
	if (res->blob_size)
		json_set_int(doc, rec, "compressed-size", (int64_t)res->blob_size);
	json_set_string(doc, rec, "diff-digest", res->diff_id);
	if (res->diff_size)
		json_set_int(doc, rec, "diff-size", (int64_t)res->diff_size);
	if (res->compression != COMPRESSION_NONE)
		json_set_int(doc, rec, "compression", res->compression);
	set_ids(doc, rec, "uidset", res->uids, res->uid_count);
	set_ids(doc, rec, "gidset", res->gids, res->gid_count);
	records_add(&s->layers, file, rec);
}

static int publish_locked(struct cstore *s, struct cstore_staged *l, const char *id,
			  const char *parent, struct trash *trash, struct cstore_error *err)
{
	struct record *known = NULL;
	struct json *below;
	int r;

	if (records_find(&s->layers, id, &known))
		return err_oom(err);
	if (known)
		return 0;
	r = parent ? layer_get(s, parent, &below, err) : 0;
	if (r)
		return r;
	r = put_in_place(s, l, id, parent, trash, err);
	if (!r) {
		add_record(s, l, id, parent);
		r = records_save(&s->layers, err);
	}
	if (r)
		layer_undo(s, id, trash);
	return r;
}

static int publish(struct cstore_staging *st, struct cstore_staged *l, const char *id,
		   const char *parent, struct cstore_error *err)
{
	_cleanup_trash_ struct trash trash = { .records = NULL };
	_cleanup_unlock_ struct records *held = NULL;
	bool synced;
	int r;

	pthread_mutex_lock(&st->mutex);
	synced = l->number <= st->synced;
	pthread_mutex_unlock(&st->mutex);
	r = synced ? 0 : sync_now(st, err);
	if (!r && st->store->driver->join)
		r = st->store->driver->join(st->store, l->dir, parent, err);
	if (r)
		return r;
	r = layers_lock(st->store, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	held = &st->store->layers;
	return publish_locked(st->store, l, id, parent, &trash, err);
}

PUBLIC int cstore_staging_publish(struct cstore_staging *st, struct cstore_staged *l,
				  const char *id, const char *parent, struct cstore_error *err)
{
	int r;

	if (!st || !l || !id_valid(id) || (parent && !id_valid(parent))) {
		cstore_staged_free(l);
		return err_sysr(err, -EINVAL, "publish layer");
	}
	r = publish(st, l, id, parent, err);
	cstore_staged_free(l);
	return r ? err_ctx(err, r, "publish layer %s", id) : 0;
}

PUBLIC int cstore_layer_chain_id(const char *parent, const char *diff_id, char *out)
{
	char text[2 * ID_LEN + 2], digest[MODULE_DIGEST_MAX];
	int r;

	if (!out || !diff_id || !digest_ok(diff_id) || (parent && !id_valid(parent)))
		return -EINVAL;
	if (!parent) {
		memcpy(out, diff_id + 7, ID_LEN + 1);
		return 0;
	}
	snprintf(text, sizeof(text), "%s+%s", parent, diff_id + 7);
	r = module_sha256(text, strlen(text), digest, NULL);
	if (r)
		return r;
	memcpy(out, digest + 7, ID_LEN + 1);
	return 0;
}
