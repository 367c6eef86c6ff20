/* SPDX-License-Identifier: Apache-2.0 */
/* A set of 64-bit numbers, some of which a hostile peer may have chosen. */
#ifndef CSTORAGE_U64SET_H
#define CSTORAGE_U64SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct u64set {
	uint64_t *slots; /* open addressing, at most half full, 0 is empty */
	size_t size, used;
	uint64_t seed; /* random, so that nobody can choose colliding numbers */
	bool has_zero;
};

int u64set_init(struct u64set *set); /* 0 or -errno */
void u64set_done(struct u64set *set);
/* 0 or -ENOMEM */
int u64set_add(struct u64set *set, uint64_t v, bool *ret_new);
bool u64set_has(const struct u64set *set, uint64_t v);
size_t u64set_count(const struct u64set *set);

#endif
