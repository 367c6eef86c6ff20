/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials that were left for one pull of one namespace. */
#ifndef WORKER_AUTH_H
#define WORKER_AUTH_H

#include "job.h"

/*
 * *ret [owned]: the file there is for the job's namespace and image, renamed so that no other pull takes it;
 * who asks removes it when it was read. NULL: there is none.
 */
int auth_take(const struct job *j, const char *name, char **ret, struct cb_error *err);

#endif
