/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The undo log of an operation: every step that has an effect pushes its inverse; undo_run() runs them
 * in reverse, undo_forget() when the operation succeeded. An inverse reports its own failure to the
 * log and goes on: the next start finds what it left.
 */
#ifndef CRID_UNDO_H
#define CRID_UNDO_H

#include <stddef.h>

#define UNDO_MAX 16

struct undo {
	size_t n;
	struct {
		void (*fn)(void *user);
		void *user;
	} step[UNDO_MAX];
};

static inline void undo_push(struct undo *u, void (*fn)(void *user), void *user)
{
	if (u->n == UNDO_MAX)
		__builtin_trap();	/* an operation has a fixed number of steps */
	u->step[u->n].fn = fn;
	u->step[u->n++].user = user;
}

static inline void undo_run(struct undo *u)
{
	while (u->n) {
		u->n--;
		u->step[u->n].fn(u->step[u->n].user);
	}
}

static inline void undo_forget(struct undo *u)
{
	u->n = 0;
}

#endif
