/* SPDX-License-Identifier: Apache-2.0 */
/* A header for nghttp2, which copies it and whose pointers are not const for no reason. */
#ifndef CRISVC_NV_H
#define CRISVC_NV_H

#include <stdint.h>
#include <string.h>
#include <nghttp2/nghttp2.h>

static inline nghttp2_nv header(const char *name, const char *value)
{
	return (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
	};
}

#endif
