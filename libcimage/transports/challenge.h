/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate headers (RFC 7235, section 4.1), as far as registries use them. */
#ifndef CIMAGE_CHALLENGE_H
#define CIMAGE_CHALLENGE_H

#include "common.h"

enum challenge_scheme { CHALLENGE_OTHER, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
	enum challenge_scheme scheme;
	char *realm, *service, *scope, *error;	/* NULL when not given */
};

/*
 * The challenges of all header values in their order, [owned]; at most CHALLENGES_MAX, what is
 * malformed ends its header. 0 or -ENOMEM.
 */
#define CHALLENGES_MAX 8
int challenges_parse(char *const *headers, struct challenge **ret, size_t *ret_count);
struct challenge *challenges_free(struct challenge *c, size_t count);

#endif
