/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4: a hash whose collisions nobody can choose who does not know the key. */
#ifndef CSTORAGE_SIPHASH_H
#define CSTORAGE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t key[2], const void *p, size_t n);

#endif
