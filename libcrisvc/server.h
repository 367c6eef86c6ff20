/* SPDX-License-Identifier: Apache-2.0 */
/* What the ready-made loop asks of a server. */
#ifndef CRISVC_SERVER_H
#define CRISVC_SERVER_H

#include <stdbool.h>
#include "crisvc.h"

int server_turn(struct crisvc_server *s, int timeout); /* waits so many ms for work; -1: for ever */
unsigned server_stops(const struct crisvc_server *s);  /* how often it was told to */
bool server_idle(const struct crisvc_server *s);       /* no connections, and no calls to answer */

#endif
