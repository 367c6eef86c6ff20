/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See watch.h. A watch only says that something may have changed; whoever is told looks for himself.
 * When the kernel's queue overflowed, everybody is told.
 */
#include <limits.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <cbase/io.h>
#include "containers.h"
#include "errors.h"
#include "image_sync.h"
#include "images.h"
#include "log.h"
#include "watch.h"


struct watch {
	int fd, exits, images;
	struct loop_source *source;
};

/* ---- exit files ---- */

/* false: there is no such container. */
static bool hint_container(struct daemon *d, const char *id)
{
	struct container *c;
	struct pod *p;

	for (p = d->pods; p; p = p->next) {
		if (p->infra && streq(p->info->id, id)) {
			container_hint(p->infra);
			return true;
		}
		for (c = p->containers; c; c = c->next)
			if (streq(c->info->id, id)) {
				container_hint(c);
				return true;
			}
	}
	return false;
}

/* A monitor that came to its end only after its container was removed: nobody else would take it away. */
static void drop_exit_file(const struct daemon *d, const char *id)
{
	_cleanup_free_ char *path = str_is_hex(id, 64) ? strf("%s/%s", d->config->container_exits_dir, id) : NULL;

	if (path)
		unlink(path);
}

static void hint_all(struct daemon *d)
{
	struct container *c, *next_c;
	struct pod *p, *next_p;

	for (p = d->pods; p; p = next_p) {
		next_p = p->next;
		for (c = p->containers; c; c = next_c) {
			next_c = c->next;
			container_hint(c);
		}
		if (p->infra)
			container_hint(p->infra);
	}
}

/* ---- events ---- */

static void on_event(struct daemon *d, const struct watch *w, const struct inotify_event *e)
{
	const char *name = e->len ? e->name : "";

	if (e->mask & IN_Q_OVERFLOW) {
		log_warn("the inotify queue overflowed: everything is looked at again");
		hint_all(d);
		image_sync(d, NULL, NULL);
	} else if (e->wd == w->exits) {
		if (!hint_container(d, name))
			drop_exit_file(d, name);
	} else if (e->wd == w->images && streq(name, "images.json")) {
		image_sync(d, NULL, NULL);
	}
}

static void on_readable(void *user, uint32_t events)
{
	_Alignas(struct inotify_event) char buf[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	struct daemon *d = user;
	const struct inotify_event *e;
	ssize_t n;
	char *p;

	while ((n = read(d->watch->fd, buf, sizeof(buf))) > 0)
		for (p = buf; p < buf + n; p += sizeof(*e) + e->len) {
			e = (const void *)p;
			on_event(d, d->watch, e);
		}
}

static int add(struct watch *w, const char *path, uint32_t mask, int *ret_wd, struct cb_error *err)
{
	int wd = inotify_add_watch(w->fd, path, mask | IN_ONLYDIR);

	if (wd < 0)
		return err_sys(err, "watch %s", path);
	if (ret_wd)
		*ret_wd = wd;
	return 0;
}

int watch_start(struct daemon *d, struct cb_error *err)
{
	_cleanup_free_ char *images = images_dir(d->sv.store);
	struct watch *w = arena_alloc(&d->arena, sizeof(*w));
	int r;

	if (!w || !images)
		return err_oom(err);
	*w = (struct watch){ .exits = -1, .images = -1 };
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd < 0)
		return err_sys(err, "make an inotify instance");
	d->watch = w;
	r = add(w, d->config->container_exits_dir, IN_CREATE | IN_MOVED_TO, &w->exits, err);
	if (!r)
		r = add(w, images, IN_MOVED_TO | IN_CLOSE_WRITE, &w->images, err);
	if (r)
		return r;
	r = loop_add(d->loop, w->fd, EPOLLIN, on_readable, d, &w->source);
	return r ? err_sysr(err, r, "watch directories") : 0;
}

void watch_stop(struct daemon *d)
{
	loop_remove(d->watch->source);
	close_fd(d->watch->fd);
}
