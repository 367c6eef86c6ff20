/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store object: where things are, and one lock with records for each kind of thing. Opening makes
 * missing directories and the home's mount; nothing is read before it is asked for.
 *
 * Layers and images can be in several places: the graph root, an image store, which is written to
 * instead of the graph root, and additional stores, which are only read.
 */
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
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

static void place_done(struct place *p)
{
	free(p->root);
	free(p->home);
	free(p->layers_dir);
	free(p->images_dir);
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
	for (int i = 0; i < s->place_count; i++)
		place_done(&s->places[i]);
	free(s->places);
	free(s->additional);
	free(s->run_root);
	free(s->containers_dir);
	free(s->run_home);
	free(s->run_layers_dir);
	free(s->run_containers_dir);
	free(s->mountopt);
	free(s);
	return NULL;
}
CB_DEFINE_CLEANUP(struct cstore *, cstore_free)

static int add_place(struct cstore *s, const char *root, bool read_only)
{
	const char *driver = s->driver->name;
	struct place *p = &s->places[s->place_count++];

	p->root = strdup(root);
	p->home = strf("%s/%s", root, driver);
	p->layers_dir = strf("%s/%s-layers", root, driver);
	p->images_dir = strf("%s/%s-images", root, driver);
	p->read_only = read_only;
	return p->root && p->home && p->layers_dir && p->images_dir ? 0 : -ENOMEM;
}

static int init_places(struct cstore *s, const struct cstore_options *o)
{
	size_t n = 0;
	int r;

	s->places = calloc(2 + strv_len(o->image_stores), sizeof(*s->places));
	s->additional = calloc(1 + strv_len(o->image_stores), sizeof(*s->additional));
	if (!s->places || !s->additional)
		return -ENOMEM;
	r = add_place(s, o->graph_root ? o->graph_root : DEFAULT_GRAPH_ROOT, false);
	if (!r && o->image_store) {
		s->image_place = 1;
		r = add_place(s, o->image_store, false);
	}
	for (size_t i = 0; i < strv_len(o->image_stores) && !r; i++) {
		bool known = false;

		for (int k = 0; k < s->place_count; k++)
			known |= streq(s->places[k].root, o->image_stores[i]);
		if (known)
			continue;
		r = add_place(s, o->image_stores[i], true);
		s->additional[n++] = s->places[s->place_count - 1].root;
	}
	s->graph_root = s->places[0].root;
	s->home = s->places[0].home;
	s->layers_dir = s->places[0].layers_dir;
	s->images_dir = s->places[0].images_dir;
	return r;
}

static int init_paths(struct cstore *s, const struct cstore_options *o)
{
	const char *driver = s->driver->name;

	s->run_root = strdup(o->run_root ? o->run_root : DEFAULT_RUN_ROOT);
	if (!s->run_root || init_places(s, o))
		return -ENOMEM;
	s->containers_dir = strf("%s/%s-containers", s->graph_root, driver);
	s->run_home = strf("%s/%s", s->run_root, driver);
	s->run_layers_dir = strf("%s/%s-layers", s->run_root, driver);
	s->run_containers_dir = strf("%s/%s-containers", s->run_root, driver);
	s->mountopt = o->mountopt ? strdup(o->mountopt) : NULL;
	s->usage = usage_cache_new();
	if (!s->containers_dir || !s->run_home || !s->run_layers_dir || !s->run_containers_dir ||
	    (o->mountopt && !s->mountopt) || !s->usage)
		return -ENOMEM;
	s->size = o->size;
	s->inodes = o->inodes;
	s->no_mounts = o->no_mounts;
	s->skip_mount_home = o->skip_mount_home;
	s->disable_volatile = o->disable_volatile;
	s->leave_garbage = o->leave_garbage;
	s->transient = o->transient;
	s->usage_age = (int64_t)o->usage_age_ms * 1000000;
	s->force_mask = o->force_mask_plus_1 != 0;
	return 0;
}

/* Of images: the place they are written to comes first. */
static int init_images(struct cstore *s)
{
	int r = records_init(&s->images, s->places[s->image_place].images_dir, "images.lock",
			     "images.json", NULL, true);

	if (!r)
		s->images.file[RECORDS_STABLE].place = s->image_place;
	for (int i = 0; i < s->place_count && !r; i++)
		if (i != s->image_place)
			r = records_add_file(&s->images, s->places[i].images_dir, "images.lock",
					     "images.json", i, s->places[i].read_only);
	return r;
}

static int init_layers(struct cstore *s)
{
	int r = records_init(&s->layers, s->layers_dir, "layers.lock", "layers.json",
			     "volatile-layers.json", true);

	if (!r && s->transient)
		r = records_move_file(&s->layers, RECORDS_VOLATILE, s->run_layers_dir);
	for (int i = 1; i < s->place_count && !r; i++)
		r = records_add_file(&s->layers, s->places[i].layers_dir, "layers.lock",
				     "layers.json", i, s->places[i].read_only);
	return r;
}

/* In a transient store the lock is where the volatile records are. */
static int init_containers(struct cstore *s)
{
	const char *dir = s->transient ? s->run_containers_dir : s->containers_dir;
	int r = records_init(&s->containers, dir, "containers.lock", "containers.json",
			     "volatile-containers.json", true);

	return r || !s->transient ? r : records_move_file(&s->containers, RECORDS_STABLE, s->containers_dir);
}

static int init_records(struct cstore *s)
{
	_cleanup_free_ char *graph_lock = strf("%s/storage.lock", s->graph_root);

	if (!graph_lock || lockfile_init(&s->graph_lock, graph_lock) || init_layers(s) ||
	    init_images(s) || init_containers(s) ||
	    records_init(&s->mountpoints, s->run_layers_dir, "mountpoints.lock",
			 "mountpoints.json", NULL, false))
		return -ENOMEM;
	return 0;
}

static int make_dir(const char *path, struct cstore_error *err)
{
	int r = mkdir_p(path, 0700);

	return r ? err_sysr(err, r, "make directory %s", path) : 0;
}

static int make_dirs(struct cstore *s, struct cstore_error *err)
{
	const char *const run_dirs[] = { s->run_root, s->run_layers_dir, s->run_containers_dir };
	int r = 0;

	for (int i = 0; i <= s->image_place && !r; i++) {
		r = make_dir(s->places[i].root, err);
		if (!r)
			r = make_dir(s->places[i].layers_dir, err);
		if (!r)
			r = make_dir(s->places[i].images_dir, err);
	}
	if (!r)
		r = make_dir(s->containers_dir, err);
	/* a sandbox may not have the run root */
	for (size_t i = 0; i < ARRAY_SIZE(run_dirs) && !r && (!s->no_mounts || s->transient); i++)
		r = make_dir(run_dirs[i], err);
	return r;
}

static int prepare(struct cstore *s, struct cstore_error *err)
{
	int r = make_dirs(s, err);

	if (r || s->no_mounts) /* without mounts nothing done here needs to be serialised */
		return r ? r : s->driver->prepare(s, err);
	r = lockfile_acquire(&s->graph_lock, LOCK_EXCLUSIVE, err);
	if (r)
		return r;
	r = s->driver->prepare(s, err);
	lockfile_release(&s->graph_lock);
	return r;
}

static const struct driver *choose_driver(const struct cstore_options *o)
{
	if (o->driver)
		return driver_find(o->driver);
	return driver_probe(o->graph_root ? o->graph_root : DEFAULT_GRAPH_ROOT,
			    o->driver_priority);
}

PUBLIC int cstore_open(const struct cstore_options *o, struct cstore **ret,
		       struct cstore_error *err)
{
	static const struct cstore_options defaults;
	_cleanup_(cstore_freep) struct cstore *s = calloc(1, sizeof(*s));
	int r;

	if (!ret)
		return err_sysr(err, -EINVAL, "open store");
	if (!o)
		o = &defaults;
	if (!s)
		return err_oom(err);
	s->driver = choose_driver(o);
	if (!s->driver)
		return err_set(err, CSTORE_E_INVALID, "open store: none of the drivers is known");
	if (init_paths(s, o) || init_records(s))
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
	if (s->no_mounts || !s->driver->mount)
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
	return s->driver->name;
}
PUBLIC const char *cstore_image_store(const struct cstore *s)
{
	return s->image_place ? s->places[s->image_place].root : NULL;
}
PUBLIC const char *const *cstore_additional_stores(const struct cstore *s)
{
	return s->additional;
}
PUBLIC int cstore_is_transient(const struct cstore *s)
{
	return s->transient;
}
