/* SPDX-License-Identifier: Apache-2.0 */
/* Docker references: what the other files need beyond the public functions. */
#ifndef CIMAGE_REF_H
#define CIMAGE_REF_H

#include "common.h"

#define REF_NAME_MAX 255	/* domain/path, as every registry client has it */
#define REF_TAG_MAX 128
#define REF_TEXT_MAX 1024	/* longer input is not looked at */
#define REF_DEFAULT_DOMAIN "docker.io"
#define REF_DEFAULT_TAG "latest"

/* [owned] the same name with another tag and digest, each possibly NULL; both are known to be valid. */
int ref_with(const struct cimage_ref *r, const char *tag, const char *digest, struct cimage_ref **ret);

/*
 * The form a registry is asked for: a digest wins over a tag, and neither of them means "latest".
 */
int ref_for_fetch(const struct cimage_ref *r, struct cimage_ref **ret);

/* host or host:port that is read as such before a '/': with '.' or ':' in it, or "localhost". */
bool ref_domain_valid(const char *s, size_t n);

#endif
