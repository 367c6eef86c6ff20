/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time at which functions are called. Knows no clock: the caller says what time it is. */
#ifndef CRISVC_TIMERS_H
#define CRISVC_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
	int64_t when; /* ns */
	size_t pos;   /* in the heap, from 1; 0 = not set */
	void (*fn)(struct timer *t);
};

struct timers {
	struct timer **heap; /* heap[0] is not used */
	size_t n, size;
};

void timers_done(struct timers *ts); /* all timers must be unset or forgotten */
/* Also moves a timer that is set, which never fails. 0 or -ENOMEM. */
int timers_set(struct timers *ts, struct timer *t, int64_t when);
void timers_unset(struct timers *ts, struct timer *t);
int64_t timers_next(const struct timers *ts); /* INT64_MAX when there is none */
/* Calls those that are due; each is unset before and may be set again by its function. */
void timers_run(struct timers *ts, int64_t now);

#endif
