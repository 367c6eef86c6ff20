/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's event loop: descriptors, timers, and work posted by other threads. Everything but
 * loop_post() is for the loop's own thread. Callbacks never block.
 */
#ifndef CRID_LOOP_H
#define CRID_LOOP_H

#include <stdint.h>
#include <cbase/err.h>

struct loop;
struct loop_source;
struct loop_timer;

int loop_new(struct loop **ret);
struct loop *loop_free(struct loop *l);	/* posted work that did not run is dropped */
int loop_run(struct loop *l);			/* until loop_quit(); 0 or -errno */
void loop_quit(struct loop *l);

/* events: EPOLLIN | EPOLLOUT; fd is borrowed. */
int loop_add(struct loop *l, int fd, uint32_t events, void (*fn)(void *user, uint32_t events), void *user,
	     struct loop_source **ret);
struct loop_source *loop_remove(struct loop_source *s);	/* NULL is fine; returns NULL; allowed inside its callback */

/* Runs fn once at a CLOCK_MONOTONIC time (ns). The timer is gone when fn runs: fn's owner forgets it. */
int loop_timer(struct loop *l, int64_t when, void (*fn)(void *user), void *user, struct loop_timer **ret);
struct loop_timer *loop_cancel(struct loop_timer *t);	/* NULL is fine; returns NULL */

/* From any thread: fn(user) runs on the loop's thread, in the order of posting. Never fails: aborts when out of memory. */
void loop_post(struct loop *l, void (*fn)(void *user), void *user);

#endif
