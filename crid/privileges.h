/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon itself may do, and so may ask of a runtime: asking for more makes runc and crun fail.
 */
#ifndef CRID_PRIVILEGES_H
#define CRID_PRIVILEGES_H

#include <stdbool.h>
#include <stdint.h>

/* Is the capability in our bounding set? */
bool privileges_have_cap(unsigned number);
/* Those of the set (bits by number) that are; what is missing is logged once. */
uint64_t privileges_caps(uint64_t wanted);
/* The nearest value to adj that we can set for a child. */
int privileges_oom_score_adj(int64_t adj);

#endif
