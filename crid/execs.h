/* SPDX-License-Identifier: Apache-2.0 */
/* ExecSync: a short operation to start it, a pidfd while it runs, a short operation for its result. */
#ifndef CRID_EXECS_H
#define CRID_EXECS_H

#include "daemon.h"

/* Takes over the call and the message. */
void exec_sync(struct container *c, struct crisvc_call *call, Runtime__V1__ExecSyncRequest *q);

/* A container's own process (dir has its config.json) with other arguments, as JSON for the runtime; [owned]. */
int exec_process_text(const char *dir, char *const *args, bool tty, char **ret, size_t *ret_len,
		      struct cb_error *err);

#endif
