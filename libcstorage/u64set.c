/* SPDX-License-Identifier: Apache-2.0 */
/* See u64set.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include "u64set.h"

#define SLOTS_MIN 64

int u64set_init(struct u64set *set)
{
	*set = (struct u64set){ NULL };
	return getrandom(&set->seed, sizeof(set->seed), 0) == sizeof(set->seed) ? 0 : -errno;
}

void u64set_done(struct u64set *set)
{
	free(set->slots);
	set->slots = NULL;
}

static size_t slot_of(const struct u64set *set, uint64_t v)
{
	uint64_t h = v ^ set->seed;
	size_t i;

	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * (0x94d049bb133111ebu ^ set->seed << 1);
	i = (size_t)(h ^ h >> 31) & (set->size - 1);
	while (set->slots[i] && set->slots[i] != v)
		i = (i + 1) & (set->size - 1);
	return i;
}

static int grow(struct u64set *set)
{
	struct u64set bigger = *set;

	bigger.size = set->size ? 2 * set->size : SLOTS_MIN;
	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < set->size; i++)
		if (set->slots[i])
			bigger.slots[slot_of(&bigger, set->slots[i])] = set->slots[i];
	free(set->slots);
	*set = bigger;
	return 0;
}

int u64set_add(struct u64set *set, uint64_t v, bool *ret_new)
{
	size_t i;

	if (!v) {
		*ret_new = !set->has_zero;
		set->has_zero = true;
		return 0;
	}
	if (2 * set->used >= set->size && grow(set))
		return -ENOMEM;
	i = slot_of(set, v);
	*ret_new = !set->slots[i];
	if (*ret_new) {
		set->slots[i] = v;
		set->used++;
	}
	return 0;
}

size_t u64set_count(const struct u64set *set)
{
	return set->used + set->has_zero;
}

bool u64set_has(const struct u64set *set, uint64_t v)
{
	if (!v)
		return set->has_zero;
	return set->used && set->slots[slot_of(set, v)];
}
