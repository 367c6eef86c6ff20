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
#include "log.h"
#include "watch.h"

#define CHANGED (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)

struct watch {
	int fd, exits, images;
	struct loop_source *source;
};

/* ---- exit files ---- */

static void hint_container(struct daemon *d, const char *id)
{
	struct container *c;
	struct pod *p;

	for (p = d->pods; p; p = p->next) {
		if (p->infra && streq(p->info->id, id)) {
			container_hint(p->infra);
			return;
		}
		for (c = p->containers; c; c = c->next)
			if (streq(c->info->id, id)) {
				container_hint(c);
				return;
			}
	}
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

/* ---- network ---- */

struct network_job {
	struct job job;
	struct daemon *d;
	int r;
	struct cb_error err;
};

static void run_network(struct job *job)
{
	struct network_job *j = (struct network_job *)job;

	j->r = network_reload(j->d->sv.network, &j->err);
}

static void done_network(struct job *job)
{
	struct network_job *j = (struct network_job *)job;
	struct daemon *d = j->d;

	if (d->network_ready != !j->r)
		log_info("network is %s%s", j->r ? "not ready: " : "ready", j->r ? j->err.message : "");
	d->network_ready = !j->r;
	utf8_copy(d->network_message, sizeof(d->network_message), j->r ? j->err.message : "");
	d->network_asking = false;
	if (d->network_ask_again)
		watch_network(d);
	free(j);
}

void watch_network(struct daemon *d)
{
	struct network_job *j;

	d->network_ask_again = d->network_asking;
	if (d->network_asking)
		return;
	j = calloc(1, sizeof(*j));
	if (!j)
		return;
	*j = (struct network_job){ .job = { .run = run_network, .done = done_network }, .d = d };
	d->network_asking = true;
	jobs_submit(d->jobs, LANE_NET, &j->job);
}

/* ---- events ---- */

static void on_event(struct daemon *d, const struct watch *w, const struct inotify_event *e)
{
	const char *name = e->len ? e->name : "";

	if (e->mask & IN_Q_OVERFLOW) {
		log_warn("the inotify queue overflowed: everything is looked at again");
		hint_all(d);
		image_sync(d, NULL, NULL);
		watch_network(d);
	} else if (e->wd == w->exits) {
		hint_container(d, name);
	} else if (e->wd == w->images) {
		if (streq(name, "images.json"))
			image_sync(d, NULL, NULL);
	} else {
		watch_network(d);
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

/* A directory that does not exist yet is made, so that what is put there later is seen. */
static void add_network_dir(struct watch *w, const char *path)
{
	struct cb_error err = { 0 };

	if (mkdir_p(path, 0755) || add(w, path, CHANGED, NULL, &err))
		log_warn("changes of %s are not noticed: %s", path, *err.message ? err.message : "it does not exist");
}

int watch_start(struct daemon *d, struct cb_error *err)
{
	_cleanup_free_ char *images = strf("%s/%s-images", cstore_graph_root(d->sv.store), cstore_driver(d->sv.store));
	struct watch *w = arena_alloc(&d->arena, sizeof(*w));
	char **dir;
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
	add_network_dir(w, d->config->network_dir);
	for (dir = d->config->plugin_dirs; dir && *dir; dir++)
		add_network_dir(w, *dir);
	r = loop_add(d->loop, w->fd, EPOLLIN, on_readable, d, &w->source);
	return r ? err_sysr(err, r, "watch directories") : 0;
}

void watch_stop(struct daemon *d)
{
	loop_remove(d->watch->source);
	close_fd(d->watch->fd);
}
