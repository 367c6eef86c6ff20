/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is freed all at once. Allocations are zeroed and aligned for pointers and 64-bit
 * numbers, texts not at all. The first failure marks the arena and everything after it gives NULL, so
 * that building something large needs one check at its end (arena_failed()); the builders that take
 * the results must accept NULL.
 */
#ifndef CBASE_ARENA_H
#define CBASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include "cleanup.h"

struct arena {
	struct arena_block *blocks;
	bool failed;
};

#define ARENA_INIT { NULL, false }

void *arena_alloc(struct arena *a, size_t n);
char *arena_strdup(struct arena *a, const char *s);		/* NULL s gives NULL without a mark */
char *arena_strndup(struct arena *a, const char *s, size_t n);	/* copies n bytes, also NULs; adds a NUL */
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline bool arena_failed(const struct arena *a) { return a->failed; }
void arena_done(struct arena *a);

#define _cleanup_arena_ _cleanup_(arena_done)

#endif
