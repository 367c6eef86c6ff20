/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inspect API: HTTP/1.1 on the CRI socket (docs/inspect.md). Everything is answered on the loop
 * from the table.
 */
#ifndef CRID_INSPECT_H
#define CRID_INSPECT_H

#include "daemon.h"

int inspect_start(struct daemon *d);	/* once, after the server is made; 0 or -ENOMEM */
void inspect_stop(struct daemon *d);	/* answers who still waits */
/* A pull began, went on or ended: tells those who wait for that. */
void inspect_pulls_changed(struct daemon *d);

#endif
