/* SPDX-License-Identifier: Apache-2.0 */
/* Id mappings of a user namespace, from CRI-O's form to the kernel's. */
#ifndef PINNS_IDMAP_H
#define PINNS_IDMAP_H

#include <cbase/str.h>

#define IDMAP_LINES_MAX 340	/* what the kernel takes */

/*
 * "C-H-S[@C-H-S...][@]" (container id, host id, size; decimal, 32 bits) as lines "C H S\n". 0,
 * -EINVAL, -ENOMEM.
 */
int idmap_format(const char *text, struct str *ret);

#endif
