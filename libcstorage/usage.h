/* SPDX-License-Identifier: Apache-2.0 */
/* Disk usage of trees, and what is remembered of it. */
#ifndef CSTORAGE_USAGE_H
#define CSTORAGE_USAGE_H

#include <stdint.h>

struct usage_cache;

struct usage_cache *usage_cache_new(void);
void usage_cache_free(struct usage_cache *c);

struct usage {
	uint64_t bytes, inodes;
};
/*
 * Adds up a tree: blocks on disk and inodes, hard links once, one file system. What vanishes while
 * walking is not counted, nor what lies deeper than a path can name. 0 or -errno.
 */
int usage_walk(const char *path, struct usage *total);

#endif
