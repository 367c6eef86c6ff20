/* SPDX-License-Identifier: Apache-2.0 */
/* policy.json(5): which images may be used. */
#ifndef CIMAGE_POLICY_H
#define CIMAGE_POLICY_H

#include "common.h"

struct policy;

/* name is for messages. Everything in the text is checked, also what is not for the docker transport. */
int policy_parse(const char *text, size_t n, const char *name, struct policy **ret, struct cimage_error *err);
struct policy *policy_free(struct policy *p);
CB_DEFINE_CLEANUP(struct policy *, policy_free)

/* 0: accepted. CIMAGE_E_POLICY otherwise. ref has a tag or a digest. */
int policy_check_docker(const struct policy *p, const struct cimage_ref *ref, struct cimage_error *err);

#endif
