/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Garbage: what programs that died left behind. Temporary directories without an owner go first,
 * without locks. Then, with the lock of a kind of object held for writing, every directory or file
 * that is named like an object and has no record. Names that are not 64 hex digits are others'
 * property and stay. Files that were being written go as well: whoever writes one holds that lock.
 *
 * One thing that cannot be removed does not keep the rest from being removed; the first error is
 * reported.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include "problem.h"
#include "layer.h"
#include "overlay.h"

static int known(struct records *r, const char *id, bool *ret)
{
	struct record *rec;

	if (records_find(r, id, &rec))
		return -ENOMEM;
	*ret = rec != NULL;
	return 0;
}

/* The id in a name "<id>" or "<id><suffix>". */
static bool id_of(const char *name, const char *suffix, char out[ID_LEN + 1])
{
	if (strlen(name) < ID_LEN || (name[ID_LEN] && (!suffix || !streq(name + ID_LEN, suffix))))
		return false;
	memcpy(out, name, ID_LEN);
	out[ID_LEN] = '\0';
	return id_valid(out);
}

int find_unrecorded(struct records *r, const char *dir, const char *suffix, char ***ret,
		    struct cstore_error *err)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	char id[ID_LEN + 1];
	struct dirent *e;
	bool is_known;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(err, "open %s", dir);
	while ((errno = 0, e = readdir(d))) {
		if (!id_of(e->d_name, suffix, id))
			continue;
		if (known(r, id, &is_known) ||
		    (!is_known && !strv_has(*ret, id) && strv_push(ret, id)))
			return err_oom(err);
	}
	return errno ? err_sys(err, "read %s", dir) : 0;
}

static void detach(struct cstore *s, const char *id)
{
	_cleanup_free_ char *merged = s->driver->mount_path(s, id);

	if (merged && s->driver->mount && !s->no_mounts && is_mount_point(merged))
		umount2(merged, MNT_DETACH | UMOUNT_NOFOLLOW);
}

/* Links whose layer is gone. */
static int remove_dangling_links(const char *home, struct cstore_error *err)
{
	_cleanup_free_ char *dir = strf("%s/l", home);
	_cleanup_closedir_ DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *e;

	if (!d)
		return dir && errno == ENOENT ? 0 : err_sys(err, "open %s/l", home);
	while ((e = readdir(d)))
		if (e->d_type == DT_LNK && faccessat(dirfd(d), e->d_name, F_OK, 0) < 0 &&
		    errno == ENOENT)
			unlinkat(dirfd(d), e->d_name, 0);
	return 0;
}

/* Of writers that died: nobody writes in dir now, its lock is held. */
static int sweep(const char *dir, struct cstore_error *err)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : sweep_temp_files(fd);

	return r && r != -ENOENT ? err_sysr(err, r, "remove temporary files from %s", dir) : 0;
}

static int sweep_mountpoints(struct cstore *s, struct cstore_error *err)
{
	int r = records_lock(&s->mountpoints, LOCK_EXCLUSIVE, err);

	if (r)
		return r;
	r = sweep(s->mountpoints.file[RECORDS_STABLE].dir, err);
	records_unlock(&s->mountpoints);
	return r;
}

/* Each image has a directory of its own for its manifests and config. */
static int sweep_image_data(struct cstore *s, struct cstore_error *err)
{
	struct record *all;
	int r = 0;
	size_t n;

	if (records_all(&s->images, &all, &n))
		return err_oom(err);
	for (size_t i = 0; i < n && !r; i++) {
		const struct place *p = &s->places[record_place(&s->images, &all[i])];
		_cleanup_free_ char *dir = strf("%s/%s", p->images_dir, all[i].id);

		r = !dir ? err_oom(err) : p->read_only ? 0 : sweep(dir, err);
	}
	return r;
}

/*
 * An empty or lost layers.json reads as "no layers", and everything would be garbage. Images that have layers
 * tell otherwise.
 */
static int check_plausible(struct cstore *s, struct cstore_error *err)
{
	struct record *layers, *images;
	size_t n_layers, n_images;
	int r;

	if (records_all(&s->layers, &layers, &n_layers))
		return err_oom(err);
	if (n_layers)
		return 0;
	r = records_lock(&s->images, LOCK_SHARED, err);
	if (r)
		return r;
	r = records_all(&s->images, &images, &n_images) ? err_oom(err) : 0;
	for (size_t i = 0; i < n_images && !r; i++)
		if (id_valid(json_get_string(images[i].json, "layer")))
			r = err_set(err, CSTORE_E_DAMAGED,
				    "no layer is recorded, but image %s has layers", images[i].id);
	records_unlock(&s->images);
	return r;
}

/* Without what comes behind the last slash. */
static char *parent_dir(char *path)
{
	if (path)
		*strrchr(path, '/') = '\0';
	return path;
}

static int collect_layers(struct cstore *s, struct cstore_error *err)
{
	_cleanup_trash_ struct trash trash = { .records = NULL };
	_cleanup_unlock_ struct records *held = NULL;
	_cleanup_strv_ char **ids = NULL;
	int r;

	r = layers_lock(s, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	held = &s->layers;
	r = check_plausible(s, err);
	for (int i = 0; i <= s->image_place && !r; i++) {
		_cleanup_free_ char *dirs = parent_dir(s->driver->layer_dir(&s->places[i], ""));

		r = dirs ? find_unrecorded(&s->layers, dirs, NULL, &ids, err) : err_oom(err);
	}
	if (!r)
		r = find_unrecorded(&s->layers, s->layers_dir, TAR_SPLIT, &ids, err);
	for (size_t i = 0; i < strv_len(ids) && !r; i++) {
		detach(s, ids[i]);
		r = layer_move_aside(s, ids[i], &trash, err);
	}
	if (!r)
		r = sweep(s->layers_dir, err);
	for (int i = 0; i <= s->image_place && !r; i++) {
		r = sweep(s->places[i].home, err);
		if (!r)
			r = remove_dangling_links(s->places[i].home, err);
	}
	return r ? r : sweep_mountpoints(s, err);
}

static int collect_dirs(struct cstore *s, struct records *records, const char *const *dirs,
			struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	int first = 0, r;

	r = records_lock(records, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	held = records;
	for (; *dirs; dirs++) {
		_cleanup_close_ int dir = open(*dirs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		_cleanup_strv_ char **ids = NULL;

		r = dir < 0 ? 0 : find_unrecorded(records, *dirs, NULL, &ids, first ? NULL : err);
		first = first ? first : r;
		for (size_t i = 0; i < strv_len(ids); i++) {
			r = rm_rf_at(dir, ids[i]);
			if (r && !first)
				first = err_sysr(err, r, "remove %s/%s", *dirs, ids[i]);
		}
		r = sweep(*dirs, first ? NULL : err);
		first = first ? first : r;
	}
	r = records == &s->images ? sweep_image_data(s, first ? NULL : err) : 0;
	return first ? first : r;
}

static int recover_temps(struct cstore *s, struct cstore_error *err)
{
	_cleanup_free_ char *layers = strf("%s/tmp", s->layers_dir);
	int r = layers ? tempdir_recover(layers, err) : err_oom(err);

	for (int i = 0; i <= s->image_place && !r; i++) {
		_cleanup_free_ char *home = strf("%s/tempdirs", s->places[i].home);

		r = home ? tempdir_recover(home, err) : err_oom(err);
	}
	return r;
}

PUBLIC int cstore_collect_garbage(struct cstore *s, struct cstore_error *err)
{
	const char *dirs[2 + 1] = { NULL };
	int first, r;

	if (!s)
		return err_sysr(err, -EINVAL, "collect garbage");
	first = recover_temps(s, err);
	r = collect_layers(s, first ? NULL : err);
	first = first ? first : r;
	for (int i = 0; i <= s->image_place; i++)
		dirs[i] = s->places[i].images_dir;
	r = collect_dirs(s, &s->images, dirs, first ? NULL : err);
	first = first ? first : r;
	r = collect_dirs(s, &s->containers,
			 (const char *const[]){ s->containers_dir, s->run_containers_dir, NULL },
			 first ? NULL : err);
	first = first ? first : r;
	return first ? err_ctx(err, first, "collect garbage") : 0;
}
