/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WORKER_PULL_H
#define WORKER_PULL_H

#include <cbase/err.h>
#include "job.h"

/*
 * Does the job and tells the daemon how it ends, unless the daemon is gone: E_CANCELLED. The
 * process is sandboxed afterwards and has nothing more to do but end.
 */
int pull_run(struct job *j, int daemon_fd, struct cb_error *err);
int clean_run(struct job *j, int daemon_fd, struct cb_error *err);

#endif
