/* SPDX-License-Identifier: Apache-2.0 */
/* ReopenContainerLog: after a rotation the monitor goes on in a new file. */
#ifndef CRID_LOG_REOPEN_H
#define CRID_LOG_REOPEN_H

#include "daemon.h"

#define LOG_REOPEN_SECONDS 10	/* that the monitor may take */

/* Answers when the new file is there. Owns the call. */
void log_reopen(struct container *c, struct crisvc_call *call);

#endif
