/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of an operation's time its children take: the length of the union of the spans in which
 * a child lived that the operation waited for. An operation is what a thread does between begin and
 * end; everything here is about the calling thread's own one and does nothing outside of it.
 * Times are CLOCK_MONOTONIC ns.
 */
#ifndef CRID_OPTIME_H
#define CRID_OPTIME_H

#include <stdint.h>

void optime_begin(void);
/* A child that was waited for lived from then to now, or to its death a moment ago. */
void optime_waited(int64_t from, int64_t to);
int64_t optime_end(void);	/* ns */

#endif
