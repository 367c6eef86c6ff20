/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store, opened inside the private root by a process that then keeps only what the store
 * needs.
 */
#ifndef WORKER_STORE_H
#define WORKER_STORE_H

#include <cstorage.h>
#include <cbase/err.h>
#include "job.h"

struct store {
	struct cstore *store;
	struct cstore_staging *staging;		/* NULL unless asked for */
};

/*
 * Goes into the sandbox on the way: afterwards this process has no network, and writes nowhere but
 * in the store.
 */
int store_enter(const struct job *j, bool with_staging, struct store *ret, struct cb_error *err);
void store_done(struct store *s);

#endif
