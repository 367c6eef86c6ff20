/* SPDX-License-Identifier: Apache-2.0 */
/* Eight bytes at a time by eight tables ("slicing"); made at compile time would be 16 KiB of text, so at load time. */
#include <string.h>
#include "codec.h"

#define POLY 0xd800000000000000u

static uint64_t tables[8][256];

__attribute__((constructor)) static void make_tables(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ POLY : crc >> 1;
		tables[0][i] = crc;
	}
	for (int t = 1; t < 8; t++)
		for (unsigned i = 0; i < 256; i++)
			tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 0xff];
}

static uint64_t eight(uint64_t v)
{
	uint64_t crc = 0;

	for (int i = 0; i < 8; i++)
		crc ^= tables[7 - i][v >> 8 * i & 0xff];
	return crc;
}

uint64_t crc64_update(uint64_t crc, const void *p, size_t n)
{
	const uint8_t *at = p;

	crc = ~crc;
	for (; n >= 8; at += 8, n -= 8) {
		uint64_t v = 0;

		for (int i = 7; i >= 0; i--)
			v = v << 8 | at[i];
		crc = eight(crc ^ v);
	}
	for (; n; at++, n--)
		crc = crc >> 8 ^ tables[0][(crc ^ *at) & 0xff];
	return ~crc;
}
