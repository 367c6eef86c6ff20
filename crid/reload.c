/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See reload.h. The files are read and the runtimes asked on a thread; then the loop puts the new
 * configuration in place of the old one as a whole. The old one stays as it is, since operations may
 * be using it, until the daemon ends: it is some kilobytes, and only if something changed.
 */
#include <unistd.h>
#include <cbase/io.h>
#include "apparmor.h"
#include "errors.h"
#include "handlers.h"
#include "image_sync.h"
#include "log.h"
#include "notify.h"
#include "reload.h"

struct reload {
	struct job job;
	struct daemon *d;
	struct config *fresh;
	char **warnings, **changed, **kept;
	int r;
	struct cb_error err;
};

/* Configurations that are in force no more, and the one that is unless it is the first. */
struct reloads {
	struct reloads *next;
	struct config *config;
};

static int read_again(struct reload *l, const struct config *running)
{
	int r = config_load(l->d->argc, l->d->argv, &l->fresh, &l->warnings, &l->err);

	if (!r && *l->fresh->pause_image_auth_file && access(l->fresh->pause_image_auth_file, R_OK) < 0)
		r = err_sys(&l->err, "pause_image_auth_file %s", l->fresh->pause_image_auth_file);
	if (!r && config_reload(running, l->fresh, &l->changed, &l->kept))
		r = err_oom(&l->err);
	if (!r && l->changed)
		r = handlers_probe(l->fresh, &l->err);
	if (!r && l->changed)
		apparmor_start(l->fresh->apparmor_profile);
	return r;
}

static void run(struct job *job)
{
	struct reload *l = (struct reload *)job;

	l->r = read_again(l, l->d->sv.config);
}

/* What a pod is made with must be there to stop and remove it. */
static int check_in_use(const struct daemon *d, const struct config *fresh, struct cb_error *err)
{
	const struct pod *p;

	for (p = d->pods; p; p = p->next)
		if (!config_runtime(fresh, p->info->handler))
			return err_set(err, E_STATE, "runtime handler %s is gone, but pod %s uses it", p->info->handler, p->info->id);
	return 0;
}

static int put_in_force(struct reload *l)
{
	struct reloads *one = malloc(sizeof(*one));
	struct daemon *d = l->d;
	int r;

	if (!one)
		return err_oom(&l->err);
	r = check_in_use(d, l->fresh, &l->err);
	if (!r)
		r = log_set_filter(l->fresh->log_filter, &l->err);
	if (r) {
		free(one);
		return r;
	}
	log_set_level(l->fresh->log_level);
	*one = (struct reloads){ .next = d->reloads, .config = take(l->fresh) };
	d->reloads = one;
	d->config = one->config;
	d->sv.config = one->config;
	/* which images are pinned */
	image_sync(d, NULL, NULL);
	return 0;
}

static void tell(const struct reload *l)
{
	char **one;

	for (one = l->warnings; one && *one; one++)
		log_warn("%s", *one);
	if (l->r) {
		log_error("configuration is not read again, nothing has changed: %s", l->err.message);
		return;
	}
	for (one = l->changed; one && *one; one++)
		log_info("configuration: %s", *one);
	for (one = l->kept; one && *one; one++)
		log_warn("configuration: %s has changed, which only a restart brings into force", *one);
	log_info("Configuration reload completed");
}

static void done(struct job *job)
{
	struct reload *l = (struct reload *)job;
	struct daemon *d = l->d;
	bool again = d->reload_again;

	if (!l->r && l->changed)
		l->r = put_in_force(l);
	tell(l);
	notify("READY=1");
	config_free(l->fresh);
	strv_free(l->warnings);
	strv_free(l->changed);
	strv_free(l->kept);
	free(l);
	d->reloading = d->reload_again = false;
	if (again)
		reload(d);
}

void reload(struct daemon *d)
{
	struct cb_error err = { 0 };
	struct reload *l;

	d->reload_again = d->reloading;
	if (d->reloading || d->ending)
		return;
	notify("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(mono_ns() / 1000));
	if (*d->config->log_file && log_open(d->config->log_file, &err))
		log_error("%s", err.message);
	l = calloc(1, sizeof(*l));
	if (!l) {
		log_error("configuration is not read again: out of memory");
		notify("READY=1");
		return;
	}
	*l = (struct reload){ .job = { .run = run, .done = done }, .d = d };
	d->reloading = true;
	jobs_submit(d->jobs, LANE_SELF, &l->job);
}

void reload_stop(struct daemon *d)
{
	struct reloads *one;

	while ((one = d->reloads)) {
		d->reloads = one->next;
		config_free(one->config);
		free(one);
	}
}
