/* SPDX-License-Identifier: Apache-2.0 */
/* cimage sync, between its files. */
#ifndef CIMAGE_SYNC_H
#define CIMAGE_SYNC_H

#include "cimage_tool.h"

/* One image: where it is, and what it is called at the destination. */
struct item {
	struct cimage_context *from;	/* [borrowed] from the list */
	char *place, *name;
};
struct items {
	struct item *v;
	size_t n;
	struct cimage_context **contexts;	/* [owned] */
	size_t contexts_n;
};

/* Takes both texts, which may be NULL for want of memory; exit status. */
int sync_add(struct items *l, struct cimage_context *from, char *place, char *name);
/* A context for a side, kept with the list. */
int sync_context(struct items *l, const struct side *side, struct cimage_context **ret);
/* NAME[:TAG|@DIGEST]: all tags if none is named; matching: of these, those it accepts. */
int sync_find(struct cimage_context *c, const char *text, bool (*matching)(void *user, const char *tag), void *user,
	      struct items *l);
/* sync_yaml.c: what the file lists. */
int sync_find_yaml(const char *path, struct items *l);

#endif
