/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says when loading again may give something else. For each configuration and plugin directory
 * every existing directory on the way to it is watched, too, each for the name of the next one: so
 * a directory that is made later, replaced, or renamed away with its parents is noticed. After
 * every event that concerns a way it is walked again; watches of the same inode are one for the
 * kernel, so that costs nothing.
 *
 * A folder with plugins (<dir>/<name>/) of a list that was loaded is watched like the directories.
 */
#include <limits.h>
#include <sys/inotify.h>
#include "private.h"

#define CHANGES                                                                                    \
	(IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF |   \
	 IN_MOVE_SELF | IN_ATTRIB)
#define WATCHES_MAX 4096
#define WAYS_TRIES 8 /* while directories come and go under the walk */

struct watched {
	int wd;
	char *name; /* of the next directory; NULL: everything in this one counts */
};

struct cnic_watch {
	struct cnic *c;
	int fd;
	struct watched *v;
	size_t n;
};

static bool is_known(const struct cnic_watch *w, int wd, const char *name)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].wd == wd &&
		    (name ? w->v[i].name && streq(w->v[i].name, name) : !w->v[i].name))
			return true;
	return false;
}

/* -ENOENT: it is not there. */
static int watch_one(struct cnic_watch *w, const char *path, const char *name)
{
	int wd = inotify_add_watch(w->fd, path, CHANGES | IN_ONLYDIR);
	char *copy = NULL;
	struct watched *grown;

	if (wd < 0)
		return errno == ENOTDIR || errno == ENAMETOOLONG || errno == ELOOP ? -ENOENT : -errno;
	if (is_known(w, wd, name))
		return 0;
	if (w->n >= WATCHES_MAX)
		return -ENOSPC;
	grown = realloc(w->v, (w->n + 1) * sizeof(*grown));
	if (grown)
		w->v = grown;
	if (!grown || (name && !(copy = strdup(name))))
		return -ENOMEM;
	w->v[w->n++] = (struct watched){ wd, copy };
	return 0;
}

/* 0: to its end, or to a directory that is not there. -EAGAIN: that one came meanwhile. */
static int walk(struct cnic_watch *w, char *const *parts)
{
	_cleanup_str_ struct str path = STR_INIT;
	int r;

	str_append(&path, "/");
	for (size_t i = 0;; i++) {
		if (str_failed(&path))
			return -ENOMEM;
		r = watch_one(w, path.data, parts[i]);
		if (r || !parts[i])
			break;
		str_appendf(&path, "%s%s", i ? "/" : "", parts[i]);
	}
	if (r != -ENOENT)
		return r;
	return access(path.data, F_OK) == 0 ? -EAGAIN : 0;
}

static int watch_way(struct cnic_watch *w, const char *path)
{
	_cleanup_strv_ char **parts = NULL;
	int r = strv_split(path, '/', &parts);

	if (r == 0 && !parts)
		parts = strv_copy(NULL);
	if (r == 0 && !parts)
		r = -ENOMEM;
	if (r)
		return r;
	for (int i = 0; i < WAYS_TRIES; i++) {
		r = walk(w, parts);
		if (r != -EAGAIN)
			return r;
	}
	return 0; /* no directory, then: its parent is watched */
}

static int watch_folders(struct cnic_watch *w)
{
	_cleanup_network_set_ struct network_set *set = networks_now(w->c);
	int r = 0;

	for (size_t i = 0; r == 0 && i < set->n; i++) {
		_cleanup_free_ char *path = strf("%s/%s", w->c->o.conf_dir, set->networks[i]->name);

		r = path ? watch_way(w, path) : -ENOMEM;
	}
	return r;
}

static bool has_wd(const struct watched *v, size_t n, int wd)
{
	while (n > 0)
		if (v[--n].wd == wd)
			return true;
	return false;
}

static void drop(struct watched *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].name);
	free(v);
}

/* All ways anew; what is not on one any more is not watched any more. */
static int watch_ways(struct cnic_watch *w)
{
	struct watched *old = w->v;
	size_t n_old = w->n;
	int r;

	w->v = NULL;
	w->n = 0;
	r = watch_way(w, w->c->o.conf_dir);
	for (char **d = w->c->o.plugin_dirs; r == 0 && *d; d++)
		r = watch_way(w, *d);
	if (r == 0)
		r = watch_folders(w);
	for (size_t i = 0; i < n_old; i++)
		if (!has_wd(w->v, w->n, old[i].wd))
			inotify_rm_watch(w->fd, old[i].wd);
	drop(old, n_old);
	return r;
}

PUBLIC struct cnic_watch *cnic_watch_free(struct cnic_watch *w)
{
	if (!w)
		return NULL;
	drop(w->v, w->n);
	close_fd(w->fd);
	free(w);
	return NULL;
}

CB_DEFINE_CLEANUP(struct cnic_watch *, cnic_watch_free)

PUBLIC int cnic_watch_new(struct cnic *c, struct cnic_watch **ret, struct cnic_error *err)
{
	_cleanup_(cnic_watch_freep) struct cnic_watch *w = NULL;
	int r;

	err_start(err);
	if (!c || !ret)
		return err_sysr(err, -EINVAL, "watch CNI configuration");
	w = calloc(1, sizeof(*w));
	if (!w)
		return err_oom(err);
	w->c = c;
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	r = w->fd < 0 ? -errno : watch_ways(w);
	if (r)
		return err_sysr(err, r, "watch CNI configuration");
	*ret = take(w);
	return 0;
}

PUBLIC int cnic_watch_fd(const struct cnic_watch *w)
{
	return w ? w->fd : -1;
}

static bool concerns(const struct cnic_watch *w, const struct inotify_event *e)
{
	const char *name = e->len ? e->name : NULL;

	if (e->mask & IN_Q_OVERFLOW)
		return true;
	if (e->mask & IN_IGNORED)
		return has_wd(w->v, w->n, e->wd);
	if (!name) /* the directory itself; a change of its mode says nothing */
		return (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0;
	return is_known(w, e->wd, NULL) || is_known(w, e->wd, name);
}

PUBLIC int cnic_watch_dispatch(struct cnic_watch *w, int *ret_changed, struct cnic_error *err)
{
	_Alignas(struct inotify_event) char buf[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	const struct inotify_event *e;
	bool changed = false;
	ssize_t n;
	int r;

	err_start(err);
	if (!w || !ret_changed)
		return err_sysr(err, -EINVAL, "watch CNI configuration");
	while ((n = read(w->fd, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n; p += sizeof(*e) + e->len) {
			e = (const void *)p;
			changed |= concerns(w, e);
		}
	r = n < 0 && errno != EAGAIN && errno != EINTR ? -errno : 0;
	if (r == 0) /* also when nothing was said: networks with folders may have been loaded */
		r = watch_ways(w);
	if (r)
		return err_sysr(err, r, "watch CNI configuration");
	*ret_changed = changed;
	return 0;
}
