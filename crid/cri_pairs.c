/* SPDX-License-Identifier: Apache-2.0 */
/* See cri_pairs.h. */
#include <cbase/str.h>
#include "cri_pairs.h"
#include "info.h"

typedef Runtime__V1__ContainerConfig__LabelsEntry map_entry;

char **pairs_from_entries(struct arena *a, void *const *entries, size_t n)
{
	char **v = arena_alloc(a, (2 * n + 1) * sizeof(*v));
	size_t i;

	for (i = 0; v && i < n; i++) {
		const map_entry *e = entries[i];

		v[2 * i] = arena_strdup(a, e->key);
		v[2 * i + 1] = arena_strdup(a, e->value);
	}
	return v;
}

void *cri_message(struct arena *a, const ProtobufCMessageDescriptor *d)
{
	ProtobufCMessage *m = arena_alloc(a, d->sizeof_message);

	if (m)
		protobuf_c_message_init(d, m);
	return m;
}

void *pairs_to_entries(struct arena *a, char *const *pairs, const ProtobufCMessageDescriptor *d, size_t *ret_n)
{
	map_entry **v;
	size_t n = 0;

	while (pairs && pairs[n])
		n += 2;
	v = arena_alloc(a, (n / 2 + 1) * sizeof(*v));
	for (n = 0; v && pairs && pairs[2 * n]; n++) {
		v[n] = cri_message(a, d);
		if (!v[n])
			return NULL;
		v[n]->key = pairs[2 * n];
		v[n]->value = cri_text(pairs[2 * n + 1]);
	}
	*ret_n = v ? n : 0;
	return v;
}

bool pairs_match(char *const *pairs, void *const *entries, size_t n)
{
	const char *value;
	size_t i;

	for (i = 0; i < n; i++) {
		const map_entry *e = entries[i];

		value = pairs_get(pairs, e->key);
		if (!value || !streq(value, e->value))
			return false;
	}
	return true;
}
