/* SPDX-License-Identifier: Apache-2.0 */
/* The process of a pull that talks to the registry. */
#ifndef WORKER_FETCH_H
#define WORKER_FETCH_H

#include <sys/types.h>
#include <cimage.h>
#include <cbase/err.h>
#include "job.h"

/* Settings of the job; nothing is read yet. Credentials are left out. */
int fetch_context(const struct job *j, struct cimage_context **ret, struct cb_error *err);

/*
 * Starts it: candidates are tried in order. *ret_control is our end of the socket (wire.h); when
 * it is closed, the process ends.
 */
int fetch_start(const struct job *j, struct cimage_context *c, char *const *candidates,
		pid_t *ret_pid, int *ret_control, struct cb_error *err);

#endif
