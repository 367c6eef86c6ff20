/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol between a service and systemd, sd_notify(3): what the daemon says of itself goes as
 * a datagram to $NOTIFY_SOCKET. Without that variable nobody listens and nothing is said.
 */
#ifndef CRID_NOTIFY_H
#define CRID_NOTIFY_H

#include <stdint.h>
#include <cbase/cleanup.h>

/*
 * Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that no child speaks
 * for the daemon. Before any thread exists.
 */
void notify_init(void);
/* "READY=1" and the like; newlines separate several. Any thread. */
void notify(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* How often a WATCHDOG=1 is expected at least; 0: never. */
int64_t notify_watchdog_ns(void);

#endif
