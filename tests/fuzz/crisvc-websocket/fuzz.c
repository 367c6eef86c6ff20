/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket messages; a port-forward is a tunnel with SPDY inside. See ../crisvc-spdy/fuzz.c. */
#define FUZZ_REQUEST                                                                               \
	"GET /%s/%s HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"                      \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"               \
	"Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io, v5.channel.k8s.io\r\n\r\n"
#include "../crisvc-spdy/fuzz.c"
