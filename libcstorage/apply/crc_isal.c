/* SPDX-License-Identifier: Apache-2.0 */
#include <isa-l/crc64.h>
#include "codec.h"

uint64_t crc64_update(uint64_t crc, const void *p, size_t n)
{
	return crc64_iso_refl(crc, p, n);
}
