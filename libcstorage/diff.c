/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers as archives. A layer that came as one has a tar-split and comes out bit for bit; any other, of a
 * container above all, is written from its directory: in a fixed order, with deletions as whiteouts.
 *
 * Records are read first; while the archive is written no lock is held. A layer that is deleted meanwhile is an
 * error of reading.
 */
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "changes.h"
#include "container.h"
#include "id_maps.h"
#include "layer.h"
#include "module.h"
#include "overlay.h"
#include "tar_out.h"

#define PIECE 131072
#define XATTRS_MAX 256
#define XATTR_NAMES_MAX 65536
#define OVERRIDE_STAT "user.containers.override_stat"

/* What is needed of the records. */
struct source {
	char *layer, *parent, *digest;
	struct id_maps *maps; /* of the container: ids are those inside */
};

static void source_done(struct source *src)
{
	free(src->layer);
	free(src->parent);
	free(src->digest);
	id_maps_free(src->maps);
}

static int copy_text(const struct json *rec, const char *key, char **ret)
{
	const char *v = json_get_string(rec, key);

	*ret = v && *v ? strdup(v) : NULL;
	return v && *v && !*ret ? -ENOMEM : 0;
}

static int read_source(struct cstore *s, const char *id, struct source *src,
		       struct cstore_error *err)
{
	struct json *layer;
	int r = layers_lock(s, LOCK_SHARED, err);

	if (r)
		return r;
	r = layer_get(s, id, &layer, err);
	if (!r && (copy_text(layer, "id", &src->layer) || copy_text(layer, "parent", &src->parent) ||
		   copy_text(layer, "diff-digest", &src->digest)))
		r = err_oom(err);
	records_unlock(&s->layers);
	return r;
}

/* ---- from the tar-split ---- */

static int open_split(struct cstore *s, const struct source *src, struct cstore_error *err)
{
	for (int i = 0; i < s->place_count; i++) {
		_cleanup_free_ char *path =
			strf("%s/%s.tar-split.gz", s->places[i].layers_dir, src->layer);
		int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;

		if (!path)
			return err_oom(err);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT)
			return err_sys(err, "open %s", path);
	}
	return -ENOENT;
}

/* Of the layer, and with overlay of those below it: a hard link's content may be there. */
static int open_dirs(struct cstore *s, const char *layer, int **ret, size_t *ret_count,
		     struct cstore_error *err)
{
	_cleanup_free_ char *own = layer_content(s, layer);
	_cleanup_strv_ char **paths = NULL, **below = NULL;
	int r = s->driver == &driver_overlay ? overlay_lowers(s, layer, &below, err) : 0;

	if (r)
		return r;
	if (!own || strv_push(&paths, own))
		return err_oom(err);
	for (size_t i = 0; i < strv_len(below); i++)
		if (strv_push(&paths, below[i]))
			return err_oom(err);
	*ret = calloc(strv_len(paths), sizeof(**ret));
	if (!*ret)
		return err_oom(err);
	for (size_t i = 0; i < strv_len(paths); i++) {
		(*ret)[i] = open(paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if ((*ret)[i] < 0)
			return err_sys(err, "open %s", paths[i]);
		*ret_count = i + 1;
	}
	return 0;
}

static int write_again(struct cstore *s, const struct source *src, int split,
		       const struct cstore_diff_options *o, int fd, struct cstore_error *err)
{
	struct rebuild_job job = {
		.tar_split_fd = split,
		.out_fd = fd,
		.progress = o->progress,
		.user = o->user,
		.cancel = o->cancel,
	};
	struct verify_result result = { .size = 0 };
	const struct apply_module *m;
	int *dirs = NULL, r;

	r = module_get(&m, err);
	if (!r)
		r = open_dirs(s, src->layer, &dirs, &job.dir_count, err);
	job.dirs = dirs;
	if (!r)
		r = m->rebuild(&job, &result, err);
	for (size_t i = 0; i < job.dir_count; i++)
		close(dirs[i]);
	free(dirs);
	if (!r && src->digest && !streq(src->digest, result.diff_id))
		return err_set(err, CSTORE_E_DAMAGED, "the archive has digest %s, not %s",
			       result.diff_id, src->digest);
	return r;
}

/* ---- from the directory ---- */

struct linked {
	dev_t dev;
	ino_t inode;
	char *path;
};

struct writer {
	const struct cstore_diff_options *o;
	const struct source *src;
	int fd;
	uint64_t written;
	struct str head;
	void *linked; /* tsearch(3): files with several names that were written */
	char *names, *values; /* room for attributes */
	struct tar_xattr_out xattrs[XATTRS_MAX];
};

static int by_inode(const void *a, const void *b)
{
	const struct linked *x = a, *y = b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->dev < y->dev ? -1 : x->dev > y->dev;
}

static void linked_free(void *p)
{
	free(((struct linked *)p)->path);
	free(p);
}

/* The name the file was written under before, or NULL: it is noted now. */
static int find_linked(struct writer *w, const struct change *c, const char **ret)
{
	struct linked *l = calloc(1, sizeof(*l)), **found;

	*ret = NULL;
	if (!l)
		return -ENOMEM;
	*l = (struct linked){ c->st.st_dev, c->st.st_ino, strdup(c->path) };
	found = l->path ? tsearch(l, &w->linked, by_inode) : NULL;
	if (!found || *found != l) {
		*ret = found ? (*found)->path : NULL;
		linked_free(l);
	}
	return found ? 0 : -ENOMEM;
}

static int put(struct writer *w, const void *p, size_t n, struct cstore_error *err)
{
	int r = write_all(w->fd, p, n);

	if (r)
		return err_sysr(err, r, "write the archive");
	w->written += n;
	if (w->o->progress)
		w->o->progress(w->o->user, w->written);
	return 0;
}

static int put_header(struct writer *w, const struct tar_entry *e, struct cstore_error *err)
{
	str_reset(&w->head);
	if (tar_out_header(&w->head, e))
		return err_oom(err);
	return put(w, w->head.data, w->head.len, err);
}

static int put_content(struct writer *w, int fd, uint64_t size, const char *path,
		       struct cstore_error *err)
{
	static const char zeros[512];
	_cleanup_free_ char *buf = malloc(PIECE);
	uint64_t left = size;
	int r = buf ? 0 : err_oom(err);

	while (left && !r) {
		ssize_t n = read(fd, buf, left < PIECE ? (size_t)left : PIECE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? err_sys(err, "read %s", path)
				 : err_set(err, CSTORE_E_INVALID, "%s became shorter", path);
		r = put(w, buf, (size_t)n, err);
		left -= (uint64_t)n;
		if (!r && w->o->cancel && *(const volatile int *)w->o->cancel)
			r = err_set(err, CSTORE_E_CANCELLED, "cancelled");
	}
	return r || size % 512 == 0 ? r : put(w, zeros, 512 - size % 512, err);
}

static bool exported(const char *name)
{
	return streq(name, "security.capability") || streq(name, "security.ima") ||
	       (str_starts(name, "user.") && !str_starts(name, "user.overlay.") &&
		!streq(name, OVERRIDE_STAT));
}

/* By name through /proc: the file may be anything, and must not be opened for it. */
static int read_xattrs(struct writer *w, int fd, struct tar_entry *e)
{
	char path[64];
	size_t used = 0;
	ssize_t n, len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = listxattr(path, w->names, XATTR_NAMES_MAX);
	for (char *name = w->names; n > 0 && name < w->names + n; name += strlen(name) + 1) {
		if (!exported(name) || e->xattr_count == XATTRS_MAX)
			continue;
		len = getxattr(path, name, w->values + used, XATTR_NAMES_MAX * 2 - used);
		if (len < 0)
			return errno == ENODATA ? 0 : -errno;
		w->xattrs[e->xattr_count++] = (struct tar_xattr_out){ name, w->values + used, (size_t)len };
		used += (size_t)len;
	}
	e->xattrs = w->xattrs;
	return 0;
}

/* "uid:gid:0mode[:type[-MAJOR-MINOR]]", what a store with force_mask keeps beside its files. */
static void read_override(int fd, struct tar_entry *e)
{
	static const struct { const char *word; char type; } types[] = {
		{ "file", '0' }, { "dir", '5' }, { "symlink", '2' }, { "pipe", '6' },
		{ "block", '4' }, { "char", '3' },
	};
	char path[64], text[128], type[16] = "";
	unsigned uid, gid, mode, maj = 0, min = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = getxattr(path, OVERRIDE_STAT, text, sizeof(text) - 1);
	if (n <= 0)
		return;
	text[n] = '\0';
	if (sscanf(text, "%u:%u:%o:%15[a-z]-%u-%u", &uid, &gid, &mode, type, &maj, &min) < 3)
		return;
	e->uid = uid;
	e->gid = gid;
	e->mode = mode & 07777;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (streq(type, types[i].word))
			e->type = types[i].type;
	e->device = makedev(maj, min);
}

static uint32_t map_back(const struct id_range *ranges, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (id >= ranges[i].outside && id - ranges[i].outside < ranges[i].count)
			return id - ranges[i].outside + ranges[i].inside;
	return id;
}

static char type_of(mode_t mode)
{
	return S_ISREG(mode)   ? '0'
	       : S_ISLNK(mode) ? '2'
	       : S_ISCHR(mode) ? '3'
	       : S_ISBLK(mode) ? '4'
	       : S_ISDIR(mode) ? '5'
			       : '6';
}

static int put_marker(struct writer *w, const char *dir, const char *name, struct cstore_error *err)
{
	_cleanup_free_ char *path = strf("%s%s%s", dir, *dir ? "/" : "", name);
	const struct tar_entry e = { .name = path, .type = '0' };

	return path ? put_header(w, &e, err) : err_oom(err);
}

static int put_whiteout(struct writer *w, const char *path, struct cstore_error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, slash ? (size_t)(slash - path) : 0),
			    *name = strf(".wh.%s", slash ? slash + 1 : path);

	return dir && name ? put_marker(w, dir, name, err) : err_oom(err);
}

static int fill_entry(struct writer *w, const struct change *c, int fd, struct tar_entry *e)
{
	const struct id_maps *m = w->src->maps;
	const char *first = NULL;

	*e = (struct tar_entry){
		.name = c->path,
		.type = type_of(c->st.st_mode),
		.mode = c->st.st_mode & 07777,
		.uid = m ? map_back(m->uids, m->uid_count, c->st.st_uid) : c->st.st_uid,
		.gid = m ? map_back(m->gids, m->gid_count, c->st.st_gid) : c->st.st_gid,
		.size = S_ISREG(c->st.st_mode) ? (uint64_t)c->st.st_size : 0,
		.mtime = c->st.st_mtim,
		.device = c->st.st_rdev,
	};
	if (!S_ISDIR(c->st.st_mode) && c->st.st_nlink > 1 && find_linked(w, c, &first))
		return -ENOMEM;
	if (first) {
		e->type = '1';
		e->link = first;
		e->size = 0;
		return 0;
	}
	read_override(fd, e);
	if (e->type != '0' && e->type != '2')
		e->size = 0;
	return read_xattrs(w, fd, e);
}

/* The target of a link; of a force_mask store it is the content of a file. */
static int read_target(const struct change *c, struct tar_entry *e, char *buf)
{
	ssize_t n;

	if (e->type != '2')
		return 0;
	if (S_ISLNK(c->st.st_mode)) {
		n = readlinkat(c->dir, c->name, buf, PATH_MAX);
	} else {
		_cleanup_close_ int fd = openat(c->dir, c->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		n = fd < 0 ? -1 : read(fd, buf, PATH_MAX);
	}
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	e->link = buf;
	e->size = 0;
	return 0;
}

static int put_change(void *user, const struct change *c, struct cstore_error *err)
{
	_cleanup_close_ int at = -1, fd = -1;
	char target[PATH_MAX + 1];
	struct writer *w = user;
	struct tar_entry e;
	int r;

	if (c->kind == CSTORE_CHANGE_DELETED)
		return put_whiteout(w, c->path, err);
	if (S_ISSOCK(c->st.st_mode))
		return 0;
	at = openat(c->dir, c->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (at < 0)
		return err_sys(err, "open %s", c->path);
	r = fill_entry(w, c, at, &e);
	if (!r)
		r = read_target(c, &e, target);
	if (r)
		return err_sysr(err, r, "read attributes of %s", c->path);
	if (e.type == '0' && e.size) {
		fd = openat(c->dir, c->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			return err_sys(err, "open %s", c->path);
	}
	r = put_header(w, &e, err);
	if (!r && fd >= 0)
		r = put_content(w, fd, e.size, c->path, err);
	return r || !c->opaque ? r : put_marker(w, c->path, ".wh..wh..opq", err);
}

static int write_directory(struct cstore *s, const struct source *src,
			   const struct cstore_diff_options *o, int fd, struct cstore_error *err)
{
	static const char end[TAR_OUT_END];
	struct writer *w = calloc(1, sizeof(*w));
	struct changes c = { .each = put_change, .user = w, .cancel = o->cancel };
	int r;

	if (!w)
		return err_oom(err);
	w->o = o;
	w->src = src;
	w->fd = fd;
	w->names = malloc(XATTR_NAMES_MAX);
	w->values = malloc(XATTR_NAMES_MAX * 2);
	/* with vfs only the comparison tells what is the layer's own */
	c.compare = s->driver != &driver_overlay;
	r = w->names && w->values ? changes_walk(s, src->layer, src->parent, &c, err) : err_oom(err);
	if (!r)
		r = put(w, end, sizeof(end), err);
	tdestroy(w->linked, linked_free);
	str_done(&w->head);
	free(w->names);
	free(w->values);
	free(w);
	return r;
}

/* ---- public ---- */

static int diff(struct cstore *s, const struct source *src, const struct cstore_diff_options *o,
		int fd, struct cstore_error *err)
{
	_cleanup_close_ int split = o->from_directory ? -ENOENT : open_split(s, src, err);

	if (split >= 0)
		return write_again(s, src, split, o, fd, err);
	return split == -ENOENT ? write_directory(s, src, o, fd, err) : split;
}

static const struct cstore_diff_options no_options = { .size = sizeof(no_options) };

PUBLIC int cstore_layer_diff(struct cstore *s, const char *id, const struct cstore_diff_options *o,
			     int fd, struct cstore_error *err)
{
	_cleanup_(source_done) struct source src = { .layer = NULL };
	int r;

	o = o ? o : &no_options;
	if (!s || !id_valid(id) || fd < 0 || o->size != sizeof(*o))
		return err_sysr(err, -EINVAL, "write layer");
	r = read_source(s, id, &src, err);
	if (!r)
		r = diff(s, &src, o, fd, err);
	return r ? err_ctx(err, r, "write layer %s", id) : 0;
}

static int container_source(struct cstore *s, const char *id, struct source *src,
			    struct cstore_error *err)
{
	_cleanup_free_ char *layer = NULL;
	struct json *rec;
	int r = records_lock(&s->containers, LOCK_SHARED, err);

	if (r)
		return r;
	r = container_get(s, id, &rec, err);
	if (!r)
		r = id_maps_load(rec, &src->maps, err);
	if (!r && copy_text(rec, "layer", &layer))
		r = err_oom(err);
	records_unlock(&s->containers);
	if (!r && !id_valid(layer))
		r = err_set(err, CSTORE_E_DAMAGED, "container %s has no valid layer", id);
	return r ? r : read_source(s, layer, src, err);
}

PUBLIC int cstore_container_diff(struct cstore *s, const char *id,
				 const struct cstore_diff_options *o, int fd,
				 struct cstore_error *err)
{
	_cleanup_(source_done) struct source src = { .layer = NULL };
	int r;

	o = o ? o : &no_options;
	if (!s || !id_valid(id) || fd < 0 || o->size != sizeof(*o))
		return err_sysr(err, -EINVAL, "write container");
	r = container_source(s, id, &src, err);
	if (!r)
		r = diff(s, &src, o, fd, err);
	return r ? err_ctx(err, r, "write changes of container %s", id) : 0;
}

struct teller {
	int (*each)(void *user, int kind, const char *path);
	void *user;
};

static int tell(void *user, const struct change *c, struct cstore_error *err)
{
	const struct teller *t = user;
	int r = t->each(t->user, c->kind, c->path);

	return r ? err_set(err, CSTORE_E_CANCELLED, "cancelled") : 0;
}

static int changes(struct cstore *s, const struct source *src, const int *cancel,
		   const struct teller *t, struct cstore_error *err)
{
	const struct changes c = {
		.each = tell, .user = (void *)(uintptr_t)t, .cancel = cancel, .compare = true,
	};

	return changes_walk(s, src->layer, src->parent, &c, err);
}

PUBLIC int cstore_layer_changes(struct cstore *s, const char *id, const int *cancel,
				int (*each)(void *user, int kind, const char *path), void *user,
				struct cstore_error *err)
{
	_cleanup_(source_done) struct source src = { .layer = NULL };
	const struct teller t = { each, user };
	int r;

	if (!s || !id_valid(id) || !each)
		return err_sysr(err, -EINVAL, "changes of a layer");
	r = read_source(s, id, &src, err);
	if (!r)
		r = changes(s, &src, cancel, &t, err);
	return r ? err_ctx(err, r, "changes of layer %s", id) : 0;
}
