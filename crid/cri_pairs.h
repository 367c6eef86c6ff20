/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of strings: protobuf's list of entries on one side, flat vectors of pairs (info.h) on the
 * other. Every map<string, string> of CRI has entries of one shape, so one conversion serves all.
 */
#ifndef CRID_CRI_PAIRS_H
#define CRID_CRI_PAIRS_H

#include <crisvc-cri.h>
#include <cbase/arena.h>

#define PAIRS_FROM(a, entries, n) pairs_from_entries((a), (void *const *)(void *)(entries), (n))
char **pairs_from_entries(struct arena *a, void *const *entries, size_t n);

/* The entries for a field, with the descriptor of its entry message; *ret_n of them. */
void *pairs_to_entries(struct arena *a, char *const *pairs, const ProtobufCMessageDescriptor *d, size_t *ret_n);

/* Do the pairs hold every entry (a label selector)? */
bool pairs_match(char *const *pairs, void *const *entries, size_t n);

/* A zeroed and initialised message in the arena; NULL when out of memory. */
void *cri_message(struct arena *a, const ProtobufCMessageDescriptor *d);
/* const text into a field of a message that is only packed. */
static inline char *cri_text(const char *s)
{
	return (char *)(uintptr_t)(s ? s : "");
}

#endif
