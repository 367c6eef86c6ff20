/* SPDX-License-Identifier: Apache-2.0 */
/* ExecSync: a short operation to start it, a pidfd while it runs, a short operation for its result. */
#ifndef CRID_EXECS_H
#define CRID_EXECS_H

#include "daemon.h"

/* Takes over the call and the message. */
void exec_sync(struct container *c, struct crisvc_call *call, Runtime__V1__ExecSyncRequest *q);

#endif
