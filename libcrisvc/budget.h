/* SPDX-License-Identifier: Apache-2.0 */
/* A limit on a sum of sizes, shared by threads. */
#ifndef CRISVC_BUDGET_H
#define CRISVC_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
	atomic_size_t used;
	size_t max;
};

static inline bool budget_take(struct budget *b, size_t n)
{
	size_t before = atomic_fetch_add(&b->used, n);

	if (before <= b->max && n <= b->max - before)
		return true;
	atomic_fetch_sub(&b->used, n);
	return false;
}

static inline void budget_give(struct budget *b, size_t n)
{
	atomic_fetch_sub(&b->used, n);
}

#endif
