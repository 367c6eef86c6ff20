/* SPDX-License-Identifier: Apache-2.0 */
/* Credential helpers: programs docker-credential-NAME that keep credentials. */
#ifndef CIMAGE_AUTH_HELPER_H
#define CIMAGE_AUTH_HELPER_H

#include "auth.h"

#define HELPER_SECONDS 60		/* it may ask something over the network */
#define HELPER_OUTPUT_MAX (1u << 20)

/* What helpers said, so that they are asked once; not thread-safe. */
struct helper_cache;
struct helper_cache *helper_cache_free(struct helper_cache *h);

/*
 * 0 also when the helper knows none: then *ret is empty. The cache is made when *cache is NULL; without one
 * (cache NULL) none is started: CIMAGE_E_UNSUPPORTED. */
int helper_get(struct helper_cache **cache, const char *name, const char *server, struct credentials *ret,
	       struct cimage_error *err);
int helper_store(const char *name, const char *server, const char *user, const char *password, struct cimage_error *err);
/* CIMAGE_E_NOT_FOUND: it had none. */
int helper_erase(const char *name, const char *server, struct cimage_error *err);
/* [owned] the servers it has credentials for. */
int helper_list(const char *name, char ***ret, struct cimage_error *err);

#endif
