/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program nft. libnftables has the same parser, but may only be linked to programs under its own
 * license.
 */
#ifndef CRID_HOSTPORTS_NFT_H
#define CRID_HOSTPORTS_NFT_H

#include <cbase/err.h>
#include <stddef.h>

/* All that it prints for a command, [owned]; script NULL: none. E > 0: it failed; err has what it said. */
int nft_run(char *const *args, const char *script, size_t n, char **ret_out, size_t *ret_len, struct cb_error *err);

#endif
