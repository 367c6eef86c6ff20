/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What crid asks of systemd, over the system bus. libsystemd is loaded with the first question, so that a
 * daemon that manages cgroups by directory never maps it. All calls block, each with a connection of its own: for
 * operation threads and the start.
 */
#ifndef CRID_SYSTEMD_H
#define CRID_SYSTEMD_H

#include <stdint.h>
#include <sys/types.h>
#include <cbase/err.h>

/* Does the manager answer? E_UNSUPPORTED: no libsystemd; E_FAILED with what the bus says. */
int systemd_check(struct cb_error *err);
/*
 * Puts a process into the new scope unit ("crio-conmon-ID.scope") under a slice; returns when that is done, or
 * E_DEADLINE when that is not by the time deadline (of mono_ns()). The scope goes when its last process ends.
 */
int systemd_start_scope(const char *unit, const char *slice, pid_t pid, int64_t deadline, struct cb_error *err);

#endif
