/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRISVC_PRIVATE_H
#define CRISVC_PRIVATE_H

/* Part of the ABI; everything else is hidden. */
#define PUBLIC __attribute__((visibility("default")))

#endif
