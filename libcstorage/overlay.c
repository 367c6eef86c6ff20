/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of layers.
 *
 * home/<id>/diff holds the content, home/<id>/link a short name, home/l/<short name> points back to
 * diff, home/<id>/lower lists the short names of all layers below, nearest first. A directory without
 * a record in layers.json is not a layer: it is what a crash left, and whoever creates that id next
 * removes it. So a layer's directory is complete before its record is written, and its record is gone
 * before its directory is; no record is ever "incomplete", which the format also allows.
 *
 * Directories leave by rename into a temporary directory, and are emptied when no lock is held.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include "overlay.h"
#include "quota.h"

#define LINKS "l"
#define BASE_MODE 0555 /* diff of a layer without parent */

static int make_dir(const char *path, mode_t mode, struct cstore_error *err)
{
	int r = mkdir_p(path, mode);

	return r ? err_sysr(err, r, "make directory %s", path) : 0;
}

static int open_dir(const char *path, struct cstore_error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? err_sys(err, "open %s", path) : fd;
}

/* The answer is only known for a home that has no layers yet; otherwise it is left to its owner. */
static int write_mount_program(const char *home, struct cstore_error *err)
{
	_cleanup_free_ char *path = strf("%s/.has-mount-program", home);
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	int r;

	if (!path)
		return err_oom(err);
	if (access(path, F_OK) == 0)
		return 0;
	d = opendir(home);
	if (!d)
		return err_sys(err, "open %s", home);
	while ((e = readdir(d)))
		if (id_valid(e->d_name))
			return 0;
	r = write_file(path, 0600, "false", 5, 0);
	return r ? err_sysr(err, r, "write %s", path) : 0;
}

int overlay_mount_home(struct cstore *s, struct cstore_error *err)
{
	if (s->no_mounts || s->skip_mount_home)
		return 0;
	if (!is_mount_point(s->home) && mount(s->home, s->home, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, "bind-mount %s on itself", s->home);
	if (mount(NULL, s->home, NULL, MS_PRIVATE, NULL) < 0)
		return err_sys(err, "make mount %s private", s->home);
	return 0;
}

/* An overlay mount on one of these fails, or shows wrong content. */
static int check_backing(const char *home, struct cstore_error *err)
{
	static const unsigned unfit[] = { 0x794c7630 /* overlay */, 0x61756673 /* aufs */,
					  0xf15f /* ecryptfs */ };
	struct statfs fs;

	if (statfs(home, &fs) < 0)
		return err_sys(err, "stat file system of %s", home);
	for (size_t i = 0; i < ARRAY_SIZE(unfit); i++)
		if ((unsigned)fs.f_type == unfit[i])
			return err_set(err, CSTORE_E_INVALID,
				       "%s is on a file system that the overlay driver cannot use; "
				       "the vfs driver can", home);
	return 0;
}

static int prepare_home(const char *home, struct cstore_error *err)
{
	_cleanup_free_ char *links = strf("%s/" LINKS, home);
	int r;

	if (!links)
		return err_oom(err);
	r = make_dir(home, 0700, err);
	if (!r)
		r = make_dir(links, 0755, err);
	return r ? r : write_mount_program(home, err);
}

static int overlay_prepare(struct cstore *s, struct cstore_error *err)
{
	int r = 0;

	for (int i = 0; i <= s->image_place && !r; i++)
		r = prepare_home(s->places[i].home, err);
	if (!r && !s->no_mounts)
		r = check_backing(s->home, err);
	return r ? r : overlay_mount_home(s, err);
}

static char *overlay_dir(const struct place *p, const char *id)
{
	return strf("%s/%s", p->home, id);
}

static char *overlay_content(const struct place *p, const char *id)
{
	return strf("%s/%s/diff", p->home, id);
}

bool overlay_link_valid(const char *s)
{
	return strlen(s) == LINK_LEN && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == LINK_LEN;
}

int overlay_new_link(char out[LINK_LEN + 1])
{
	unsigned char bytes[LINK_LEN];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -errno;
	for (int i = 0; i < LINK_LEN; i++)
		out[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[bytes[i] & 31];
	out[LINK_LEN] = '\0';
	return 0;
}

/* The text of home/<id>/<name>; CSTORE_E_NOT_FOUND when there is no such file. */
static int read_layer_file(struct cstore *s, const char *id, const char *name, char **ret,
			   struct cstore_error *err)
{
	_cleanup_free_ char *path = strf("%s/%s/%s", layer_place(s, id)->home, id, name);
	int r;

	if (!path)
		return err_oom(err);
	r = read_file(path, LOWER_FILE_MAX, ret, NULL);
	if (r == -ENOENT)
		return err_set(err, CSTORE_E_NOT_FOUND, "%s does not exist", path);
	return r ? err_sysr(err, r, "read %s", path) : 0;
}

static int read_link_name(struct cstore *s, const char *id, char out[LINK_LEN + 1],
			  struct cstore_error *err)
{
	_cleanup_free_ char *text = NULL;
	int r = read_layer_file(s, id, "link", &text, err);

	if (r)
		return r;
	if (!overlay_link_valid(text))
		return err_set(err, CSTORE_E_DAMAGED, "layer %s has a damaged link file", id);
	memcpy(out, text, LINK_LEN + 1);
	return 0;
}

static int overlay_frame(const char *dir, char link[LINK_LEN + 1], struct cstore_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = overlay_new_link(link);

	if (r)
		return err_sysr(err, r, "get random bytes");
	fd = open_dir(dir, err);
	if (fd < 0)
		return fd;
	if (mkdirat(fd, "diff", 0700) < 0 || mkdirat(fd, "work", 0700) < 0 ||
	    mkdirat(fd, "merged", 0700) < 0)
		return err_sys(err, "make directories in %s", dir);
	r = write_file_at(fd, "link", 0644, link, LINK_LEN, 0);
	return r ? err_sysr(err, r, "write %s/link", dir) : 0;
}

/* "l/PARENT:l/ITS PARENT..." */
static int lower_text(struct cstore *s, const char *parent, struct str *out,
		      struct cstore_error *err)
{
	_cleanup_free_ char *above = NULL;
	char link[LINK_LEN + 1];
	int r;

	r = read_link_name(s, parent, link, err);
	if (r)
		return r == CSTORE_E_NOT_FOUND
			       ? err_set(err, CSTORE_E_DAMAGED, "layer %s has no link file", parent)
			       : r;
	str_appendf(out, LINKS "/%s", link);
	r = read_layer_file(s, parent, "lower", &above, err);
	if (r && r != CSTORE_E_NOT_FOUND)
		return r;
	if (!r && *above)
		str_appendf(out, ":%s", above);
	if (str_failed(out))
		return err_oom(err);
	if (out->len > LOWER_FILE_MAX)
		return err_set(err, CSTORE_E_LIMIT, "layer %s has more than %d layers below it",
			       parent, LOWERS_MAX);
	return 0;
}

static int write_lower(struct cstore *s, int fd, const char *dir, const char *parent,
		       struct cstore_error *err)
{
	_cleanup_str_ struct str text = STR_INIT;
	int r = lower_text(s, parent, &text, err);

	if (r)
		return r;
	r = write_file_at(fd, "lower", 0644, text.data, text.len, 0);
	return r ? err_sysr(err, r, "write %s/lower", dir) : 0;
}

static uint32_t map_id(const struct id_range *ranges, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (id >= ranges[i].inside && id - ranges[i].inside < ranges[i].count)
			return id - ranges[i].inside + ranges[i].outside;
	return count ? ranges[0].outside : id; /* what has no place there belongs to its first user */
}

/* Owner and mode of the parent's diff, moved into the user namespace; and what is below. */
static int fill_in(struct cstore *s, const char *dir, const struct new_layer *l,
		   struct cstore_error *err)
{
	_cleanup_free_ char *model = l->parent ? layer_content(s, l->parent) : NULL;
	_cleanup_close_ int fd = open_dir(dir, err), diff = -1;
	struct stat st = { .st_mode = BASE_MODE };
	int r;

	if (fd < 0)
		return fd;
	if (l->parent && !model)
		return err_oom(err);
	if (model && stat(model, &st) < 0)
		return errno == ENOENT ? err_set(err, CSTORE_E_DAMAGED, "%s does not exist", model)
				       : err_sys(err, "stat %s", model);
	if (l->maps) {
		st.st_uid = map_id(l->maps->uids, l->maps->uid_count, st.st_uid);
		st.st_gid = map_id(l->maps->gids, l->maps->gid_count, st.st_gid);
	}
	diff = openat(fd, "diff", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (diff < 0)
		return err_sys(err, "open %s/diff", dir);
	if (fchown(diff, st.st_uid, st.st_gid) < 0 || fchmod(diff, st.st_mode & 07777) < 0)
		return err_sys(err, "set owner and mode of %s/diff", dir);
	if (l->parent)
		return write_lower(s, fd, dir, l->parent, err);
	r = mkdirat(fd, "empty", 0700) < 0 ? -errno : 0;
	return r ? err_sysr(err, r, "make directory %s/empty", dir) : 0;
}

static int overlay_complete(struct cstore *s, const char *dir, const char *parent,
			    struct cstore_error *err)
{
	const struct new_layer l = { .parent = parent };

	return fill_in(s, dir, &l, err);
}

static int make_link(const char *home, const char *id, const char *link, struct cstore_error *err)
{
	_cleanup_free_ char *target = strf("../%s/diff", id),
			    *path = strf("%s/" LINKS "/%s", home, link);

	if (!target || !path)
		return err_oom(err);
	return symlink(target, path) < 0 ? err_sys(err, "make link %s", path) : 0;
}

static int overlay_placed(struct cstore *s, const char *id, const char *link,
			  struct cstore_error *err)
{
	return make_link(s->places[s->image_place].home, id, link, err);
}

static int sync_path(const char *path, struct cstore_error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open %s", path);
	return fsync(fd) < 0 ? err_sys(err, "write %s to disk", path) : 0;
}

static int overlay_sync(struct cstore *s, const char *id, struct cstore_error *err)
{
	const char *home = s->places[s->image_place].home;
	_cleanup_free_ char *dir = strf("%s/%s", home, id), *lower = strf("%s/%s/lower", home, id),
			    *diff = strf("%s/%s/diff", home, id), *links = strf("%s/l", home);
	const char *const paths[] = { lower, diff, dir, links, home };
	int r = 0;

	if (!dir || !lower || !diff || !links)
		return err_oom(err);
	for (size_t i = 0; i < ARRAY_SIZE(paths) && !r; i++)
		r = sync_path(paths[i], err);
	return r;
}

static int overlay_create(struct cstore *s, const struct new_layer *l, struct cstore_error *err)
{
	_cleanup_trash_ struct trash left = { .records = NULL };
	_cleanup_free_ char *dir = overlay_dir(&s->places[0], l->id);
	char link[LINK_LEN + 1];
	int r;

	if (!dir)
		return err_oom(err);
	r = layer_move_aside(s, l->id, &left, err);
	if (r)
		return r;
	if (mkdir(dir, 0700) < 0)
		return err_sys(err, "make directory %s", dir);
	r = l->size || l->inodes ? quota_set(s->home, dir, l->size, l->inodes, err) : 0;
	if (!r)
		r = overlay_frame(dir, link, err);
	if (!r)
		r = fill_in(s, dir, l, err);
	if (!r)
		r = make_link(s->home, l->id, link, err);
	if (r)
		layer_move_aside(s, l->id, &left, NULL);
	return r;
}

/* The short link goes first: a link to nothing is garbage, a directory without link is damage. */
static int overlay_forget(struct cstore *s, const struct place *p, const char *id,
			  struct cstore_error *err)
{
	_cleanup_free_ char *file = strf("%s/%s/link", p->home, id), *link = NULL, *path = NULL;

	if (!file)
		return err_oom(err);
	if (read_file(file, LOWER_FILE_MAX, &link, NULL) || !overlay_link_valid(link))
		return 0;
	path = strf("%s/" LINKS "/%s", p->home, link);
	if (!path)
		return err_oom(err);
	unlink(path);
	return 0;
}

static int recreate_link(struct cstore *s, int links, const char *id)
{
	_cleanup_free_ char *target = strf("../%s/diff", id);
	char link[LINK_LEN + 1], now[PATH_MAX];
	ssize_t n;

	if (!target)
		return -ENOMEM;
	if (read_link_name(s, id, link, NULL))
		return 0; /* no layer, or beyond help */
	n = readlinkat(links, link, now, sizeof(now) - 1);
	if (n >= 0) {
		now[n] = '\0';
		if (streq(now, target))
			return 0;
		unlinkat(links, link, 0);
	}
	return symlinkat(target, links, link) < 0 && errno != EEXIST ? -errno : 0;
}

static int recreate_links(struct cstore *s, const char *home, struct cstore_error *err)
{
	_cleanup_closedir_ DIR *d = opendir(home);
	_cleanup_close_ int links = -1;
	struct dirent *e;
	int r;

	if (!d)
		return err_sys(err, "open %s", home);
	links = openat(dirfd(d), LINKS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (links < 0)
		return err_sys(err, "open %s/" LINKS, home);
	while ((e = readdir(d))) {
		if (!id_valid(e->d_name))
			continue;
		r = recreate_link(s, links, e->d_name);
		if (r)
			return err_sysr(err, r, "make the link of layer %s", e->d_name);
	}
	return 0;
}

int overlay_recreate_links(struct cstore *s, struct cstore_error *err)
{
	int r = 0;

	for (int i = 0; i <= s->image_place && !r; i++)
		r = recreate_links(s, s->places[i].home, err);
	return r;
}

/* In the first place that has it; [owned], NULL: nowhere, or out of memory. */
static char *find_lower(struct cstore *s, const char *entry)
{
	for (int i = 0; i < s->place_count; i++) {
		_cleanup_free_ char *path = strf("%s/%s", s->places[i].home, entry);

		if (path && access(path, F_OK) == 0)
			return take(path);
	}
	return NULL;
}

/* One lower directory, and diff1, diff2... beside it, which an id-map change of another program left. */
static int push_lower(struct cstore *s, const char *entry, char ***out, struct cstore_error *err)
{
	_cleanup_free_ char *path = find_lower(s, entry);
	struct stat st;
	int r;

	if (!path) {
		r = overlay_recreate_links(s, err);
		if (r)
			return r;
		path = find_lower(s, entry);
	}
	if (!path)
		return err_set(err, CSTORE_E_DAMAGED, "lower directory %s/%s does not exist",
			       s->home, entry);
	if (strv_push(out, path))
		return err_oom(err);
	for (int i = 1; i < LOWERS_MAX; i++) {
		_cleanup_free_ char *more = strf("%s/../diff%d", path, i);

		if (!more)
			return err_oom(err);
		if (stat(more, &st) < 0)
			break;
		if (strv_push(out, more))
			return err_oom(err);
	}
	return 0;
}

static bool lower_entry_valid(const char *entry)
{
	return str_starts(entry, LINKS "/") && overlay_link_valid(entry + 2);
}

int overlay_lowers(struct cstore *s, const char *id, char ***ret, struct cstore_error *err)
{
	_cleanup_free_ char *text = NULL, *empty = NULL;
	_cleanup_strv_ char **entries = NULL, **out = NULL;
	int r;

	r = read_layer_file(s, id, "lower", &text, err);
	if (r && r != CSTORE_E_NOT_FOUND)
		return r;
	if (!r && strv_split(text, ':', &entries))
		return err_oom(err);
	for (size_t i = 0; i < strv_len(entries); i++) {
		if (!lower_entry_valid(entries[i]))
			return err_set(err, CSTORE_E_DAMAGED, "layer %s has a damaged lower file",
				       id);
		r = push_lower(s, entries[i], &out, err);
		if (r)
			return r;
	}
	if (!strv_len(out)) {
		empty = strf("%s/%s/empty", layer_place(s, id)->home, id);
		if (!empty || strv_push(&out, empty))
			return err_oom(err);
	}
	if (strv_len(out) > LOWERS_MAX)
		return err_set(err, CSTORE_E_LIMIT, "layer %s has more than %d layers below it", id,
			       LOWERS_MAX);
	*ret = take(out);
	return 0;
}

static char *overlay_mount_path(struct cstore *s, const char *id)
{
	const struct place *p = layer_place(s, id);

	return strf("%s/%s/merged", p->read_only ? s->run_home : p->home, id);
}

const struct driver driver_overlay = {
	.name = "overlay",
	.prepare = overlay_prepare,
	.layer_dir = overlay_dir,
	.content_dir = overlay_content,
	.create = overlay_create,
	.frame = overlay_frame,
	.complete = overlay_complete,
	.placed = overlay_placed,
	.sync = overlay_sync,
	.forget = overlay_forget,
	.mount_path = overlay_mount_path,
	.mount = overlay_mount,
	.unmount = overlay_unmount,
};
