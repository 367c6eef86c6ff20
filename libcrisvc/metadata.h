/* SPDX-License-Identifier: Apache-2.0 */
/* Custom-Metadata of a call ("gRPC over HTTP2"): headers that are nobody's but the applications'. */
#ifndef CRISVC_METADATA_H
#define CRISVC_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <cbase/str.h>

struct metadata {
	struct str text; /* "name\0value\0" each; all zero when empty */
	size_t n;
};

void metadata_done(struct metadata *m);
struct metadata metadata_take(struct metadata *m); /* leaves it empty */
/* Is the name the applications', in a form that HTTP/2 allows, and the value printable ASCII? */
bool metadata_valid(const char *name, const char *value);
/* The bytes are copied; they have no NUL. 0 or -ENOMEM. */
int metadata_add(struct metadata *m, const char *name, size_t name_len, const char *value,
		 size_t value_len);
/* The name of entry i and its value, or NULL. */
const char *metadata_at(const struct metadata *m, size_t i, const char **ret_value);

#endif
