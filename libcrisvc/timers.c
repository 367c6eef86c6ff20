/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary heap of pointers, earliest first; each timer knows its place, so that unsetting one is
 * as cheap as setting it. Almost every timer here is a deadline that never comes.
 */
#include <errno.h>
#include <stdlib.h>

#include "timers.h"

#define FIRST_SIZE 16

void timers_done(struct timers *ts)
{
	free(ts->heap);
	*ts = (struct timers){ 0 };
}

static void place(struct timers *ts, struct timer *t, size_t pos)
{
	ts->heap[pos] = t;
	t->pos = pos;
}

static void sift_up(struct timers *ts, struct timer *t, size_t pos)
{
	while (pos > 1 && ts->heap[pos / 2]->when > t->when) {
		place(ts, ts->heap[pos / 2], pos);
		pos /= 2;
	}
	place(ts, t, pos);
}

static void sift_down(struct timers *ts, struct timer *t, size_t pos)
{
	for (size_t child; (child = 2 * pos) <= ts->n; pos = child) {
		if (child < ts->n && ts->heap[child + 1]->when < ts->heap[child]->when)
			child++;
		if (ts->heap[child]->when >= t->when)
			break;
		place(ts, ts->heap[child], pos);
	}
	place(ts, t, pos);
}

int timers_set(struct timers *ts, struct timer *t, int64_t when)
{
	struct timer **heap;
	size_t size;

	timers_unset(ts, t);
	if (ts->n + 1 >= ts->size) {
		size = ts->size ? 2 * ts->size : FIRST_SIZE;
		heap = realloc(ts->heap, size * sizeof(*heap));
		if (!heap)
			return -ENOMEM;
		ts->heap = heap;
		ts->size = size;
	}
	t->when = when;
	sift_up(ts, t, ++ts->n);
	return 0;
}

void timers_unset(struct timers *ts, struct timer *t)
{
	size_t pos = t->pos;
	struct timer *last;

	if (!pos)
		return;
	t->pos = 0;
	last = ts->heap[ts->n--];
	if (last == t)
		return;
	if (pos > 1 && ts->heap[pos / 2]->when > last->when)
		sift_up(ts, last, pos);
	else
		sift_down(ts, last, pos);
}

int64_t timers_next(const struct timers *ts)
{
	return ts->n ? ts->heap[1]->when : INT64_MAX;
}

void timers_run(struct timers *ts, int64_t now)
{
	struct timer *t;

	while (ts->n && (t = ts->heap[1])->when <= now) {
		timers_unset(ts, t);
		t->fn(t);
	}
}
