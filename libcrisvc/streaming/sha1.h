/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-1 (RFC 3174), for the handshake of WebSocket, where it protects nothing. */
#ifndef CRISVC_STREAMING_SHA1_H
#define CRISVC_STREAMING_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_INPUT_MAX 119 /* two blocks with the padding */
void sha1(const void *p, size_t n, uint8_t out[20]);

#endif
