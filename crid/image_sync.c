/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See image_sync.h. Whoever asks while a reading runs waits for the next one: the running one may have
 * read the records just before the change.
 */
#include <stdlib.h>
#include "image_sync.h"
#include "log.h"

struct asker {
	struct asker *next;
	void (*fn)(void *user);
	void *user;
};

struct image_sync {
	struct asker *waiting;
	bool running, wanted;
};

struct sync_job {
	struct job job;
	struct daemon *d;
	struct image_table *old, *fresh;
	struct asker *askers;
	int r;
	struct cb_error err;
};

static void start(struct daemon *d);

static void run(struct job *job)
{
	struct sync_job *j = (struct sync_job *)job;

	j->r = image_table_load(&j->d->sv, j->old, &j->fresh, &j->err);
}

static void done(struct job *job)
{
	struct sync_job *j = (struct sync_job *)job;
	struct daemon *d = j->d;
	struct asker *a;

	if (j->r) {
		log_error("read the images of the store: %s", j->err.message);
	} else {
		image_table_unref(d->images);
		d->images = j->fresh;
	}
	image_table_unref(j->old);
	d->image_sync->running = false;
	if (d->image_sync->wanted)
		start(d);
	while ((a = j->askers)) {
		j->askers = a->next;
		a->fn(a->user);
		free(a);
	}
	free(j);
}

static void start(struct daemon *d)
{
	struct sync_job *j = calloc(1, sizeof(*j));

	if (!j)
		abort();
	*j = (struct sync_job){ .job = { .run = run, .done = done }, .d = d, .askers = d->image_sync->waiting };
	if (d->images)
		j->old = image_table_ref(d->images);
	*d->image_sync = (struct image_sync){ .running = true };
	jobs_submit(d->jobs, LANE_IMAGE, &j->job);
}

void image_sync(struct daemon *d, void (*fn)(void *), void *user)
{
	struct asker *a;

	if (!d->image_sync)
		d->image_sync = calloc(1, sizeof(*d->image_sync));
	if (fn) {
		a = malloc(sizeof(*a));
		if (!a || !d->image_sync)
			abort();
		*a = (struct asker){ .next = d->image_sync->waiting, .fn = fn, .user = user };
		d->image_sync->waiting = a;
	}
	d->image_sync->wanted = true;
	if (!d->image_sync->running)
		start(d);
}

void image_sync_free(struct image_sync *s)
{
	free(s);
}
