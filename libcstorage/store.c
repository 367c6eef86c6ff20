/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store object: where things are, and one lock with records for each kind of thing. Opening makes
 * missing directories and the home's mount; nothing is read before it is asked for.
 */
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include "image.h"
#include "layer.h"
#include "options.h"
#include "overlay.h"
#include "usage.h"

#define DEFAULT_GRAPH_ROOT "/var/lib/containers/storage"
#define DEFAULT_RUN_ROOT "/run/containers/storage"

int id_random(char out[ID_LEN + 1])
{
	int r;

	/* a truncated id must not look like a number to anybody: names are tried as ids and the reverse */
	do {
		r = random_hex(ID_LEN / 2, out);
	} while (!r && strspn(out, "0123456789") >= 12);
	return r;
}

PUBLIC struct cstore *cstore_free(struct cstore *s)
{
	if (!s)
		return NULL;
	lockfile_done(&s->graph_lock);
	records_done(&s->layers);
	records_done(&s->images);
	records_done(&s->containers);
	records_done(&s->mountpoints);
	usage_cache_free(s->usage);
	free(s->graph_root);
	free(s->run_root);
	free(s->home);
	free(s->layers_dir);
	free(s->images_dir);
	free(s->containers_dir);
	free(s->run_containers_dir);
	free(s->mountopt);
	free(s);
	return NULL;
}
CB_DEFINE_CLEANUP(struct cstore *, cstore_free)

static int init_paths(struct cstore *s, const struct cstore_options *o)
{
	s->graph_root = strdup(o->graph_root ? o->graph_root : DEFAULT_GRAPH_ROOT);
	s->run_root = strdup(o->run_root ? o->run_root : DEFAULT_RUN_ROOT);
	if (!s->graph_root || !s->run_root)
		return -ENOMEM;
	s->home = strf("%s/overlay", s->graph_root);
	s->layers_dir = strf("%s/overlay-layers", s->graph_root);
	s->images_dir = strf("%s/overlay-images", s->graph_root);
	s->containers_dir = strf("%s/overlay-containers", s->graph_root);
	s->run_containers_dir = strf("%s/overlay-containers", s->run_root);
	s->mountopt = o->mountopt ? strdup(o->mountopt) : NULL;
	s->usage = usage_cache_new();
	if (!s->home || !s->layers_dir || !s->images_dir || !s->containers_dir ||
	    !s->run_containers_dir || (o->mountopt && !s->mountopt) || !s->usage)
		return -ENOMEM;
	s->no_mounts = o->no_mounts;
	s->skip_mount_home = o->skip_mount_home;
	s->disable_volatile = o->disable_volatile;
	s->leave_garbage = o->leave_garbage;
	return 0;
}

static int init_records(struct cstore *s)
{
	_cleanup_free_ char *graph_lock = strf("%s/storage.lock", s->graph_root);
	_cleanup_free_ char *run_layers = strf("%s/overlay-layers", s->run_root);

	if (!graph_lock || !run_layers || lockfile_init(&s->graph_lock, graph_lock) ||
	    records_init(&s->layers, s->layers_dir, "layers.lock", "layers.json",
			 "volatile-layers.json", true) ||
	    records_init(&s->images, s->images_dir, "images.lock", "images.json", NULL, true) ||
	    records_init(&s->containers, s->containers_dir, "containers.lock", "containers.json",
			 "volatile-containers.json", true) ||
	    records_init(&s->mountpoints, run_layers, "mountpoints.lock", "mountpoints.json", NULL,
			 false))
		return -ENOMEM;
	return 0;
}

static int make_dirs(struct cstore *s, struct cstore_error *err)
{
	const char *const dirs[] = { s->graph_root,	s->layers_dir, s->images_dir,
				     s->containers_dir, s->run_root,   s->run_containers_dir };
	size_t n = s->no_mounts ? 4 : ARRAY_SIZE(dirs); /* a sandbox may not have the run root */
	int r;

	for (size_t i = 0; i < n; i++) {
		r = mkdir_p(dirs[i], 0700);
		if (r)
			return err_sysr(err, r, "make directory %s", dirs[i]);
	}
	return 0;
}

static int prepare(struct cstore *s, struct cstore_error *err)
{
	int r = make_dirs(s, err);

	if (r || s->no_mounts) /* without mounts nothing done here needs to be serialised */
		return r ? r : overlay_prepare(s, err);
	r = lockfile_acquire(&s->graph_lock, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	r = overlay_prepare(s, err);
	lockfile_release(&s->graph_lock);
	return r;
}

PUBLIC int cstore_open(const struct cstore_options *o, struct cstore **ret,
		       struct cstore_error *err)
{
	static const struct cstore_options defaults;
	_cleanup_(cstore_freep) struct cstore *s = calloc(1, sizeof(*s));
	int r;

	if (!ret)
		return err_sysr(err, -EINVAL, "open store");
	if (!s || init_paths(s, o ? o : &defaults) || init_records(s))
		return err_oom(err);
	r = prepare(s, err);
	if (r)
		return err_ctx(err, r, "open store %s", s->graph_root);
	*ret = take(s);
	return 0;
}

static int release_home(struct cstore *s, struct cstore_error *err)
{
	struct record *all;
	size_t n;

	if (records_all(&s->mountpoints, &all, &n))
		return err_oom(err);
	for (size_t i = 0; i < n; i++)
		if (json_get_int(all[i].json, "count", 0) > 0 &&
		    is_mount_point(json_get_string(all[i].json, "path") ?: ""))
			return err_set(err, CSTORE_E_IN_USE, "layer %s is mounted", all[i].id);
	if (!s->skip_mount_home && is_mount_point(s->home) &&
	    umount2(s->home, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL)
		return err_sys(err, "unmount %s", s->home);
	return 0;
}

PUBLIC int cstore_shutdown(struct cstore *s, struct cstore_error *err)
{
	struct last_write written;
	int r;

	if (!s)
		return err_sysr(err, -EINVAL, "shut down store");
	if (s->no_mounts)
		return 0;
	r = lockfile_acquire(&s->graph_lock, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	r = layers_lock(s, LOCK_EXCLUSIVE, err);
	if (!r) {
		r = records_lock(&s->mountpoints, LOCK_SHARED, err);
		if (!r) {
			r = release_home(s, err);
			records_unlock(&s->mountpoints);
		}
		records_unlock(&s->layers);
	}
	if (!r) /* others see that the driver must be set up again */
		r = lockfile_record_write(&s->graph_lock, &written, err);
	lockfile_release(&s->graph_lock);
	return r;
}

PUBLIC const char *cstore_graph_root(const struct cstore *s)
{
	return s->graph_root;
}
PUBLIC const char *cstore_run_root(const struct cstore *s)
{
	return s->run_root;
}
PUBLIC const char *cstore_driver(const struct cstore *s)
{
	(void)s;
	return "overlay";
}
