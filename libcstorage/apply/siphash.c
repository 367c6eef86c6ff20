/* SPDX-License-Identifier: Apache-2.0 */
/* See siphash.h. */
#include "siphash.h"

#define ROTATE(x, b) ((x) << (b) | (x) >> (64 - (b)))

/* clang-format off */
static void sip_round(uint64_t v[4])
{
	v[0] += v[1]; v[1] = ROTATE(v[1], 13) ^ v[0]; v[0] = ROTATE(v[0], 32);
	v[2] += v[3]; v[3] = ROTATE(v[3], 16) ^ v[2];
	v[0] += v[3]; v[3] = ROTATE(v[3], 21) ^ v[0];
	v[2] += v[1]; v[1] = ROTATE(v[1], 17) ^ v[2]; v[2] = ROTATE(v[2], 32);
}
/* clang-format on */

uint64_t siphash(const uint64_t key[2], const void *p, size_t n)
{
	const unsigned char *at = p;
	size_t left = n;
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575u,
		key[1] ^ 0x646f72616e646f6du,
		key[0] ^ 0x6c7967656e657261u,
		key[1] ^ 0x7465646279746573u,
	};

	for (;; at += 8, left -= 8) {
		uint64_t word = left < 8 ? (uint64_t)n << 56 : 0;

		for (size_t i = 0; i < 8 && i < left; i++)
			word |= (uint64_t)at[i] << 8 * i;
		v[3] ^= word;
		sip_round(v);
		sip_round(v);
		v[0] ^= word;
		if (left < 8)
			break;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
