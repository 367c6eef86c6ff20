/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of the caller, and what was read from the files they name. */
#ifndef CIMAGE_CONTEXT_H
#define CIMAGE_CONTEXT_H

#include <pthread.h>
#include "common.h"

struct registries;
struct policy;
struct auth_files;
struct certs_cache;

struct cimage_context {
	char *registries_conf, *registries_conf_dir, *policy_path, *auth_path, *certs_dir;
	char *user, *password;		/* of the caller, for the registry that a reference names */
	char *os, *arch, *variant;	/* NULL: this machine */
	char *user_agent, *short_name_mode, *transport_dir;
	const int *cancel;

	/* Read on first use, under the lock; then constant until the context is freed. */
	pthread_mutex_t lock;
	struct registries *registries;
	struct policy *policy;
	struct auth_files *auth;
	struct certs_cache *certs;
};

int context_registries(struct cimage_context *c, const struct registries **ret, struct cimage_error *err);

/* [owned] $HOME or the home directory of the user database; "" when there is none. */
char *context_home(void);

#endif
