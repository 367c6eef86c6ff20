/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every size and time that a peer controls. Here the peers are whoever can connect to the streaming
 * address: the kubelet as a rule, but on a TCP socket, and with a container's process at the other
 * end. So memory is bounded for both directions of everything.
 */
#ifndef CRISVC_STREAMING_BOUNDS_H
#define CRISVC_STREAMING_BOUNDS_H

#define BOUND_SECOND ((int64_t)1000000000)

/* Connections at once; the listener waits beyond. One exec is one connection. */
#define BOUND_CONNECTIONS 1024

/* The request's head, and how long it (and the TLS handshake) may take. As CRI-O. */
#define BOUND_HEAD (16u << 10)
#define BOUND_HEAD_NS (30 * BOUND_SECOND)

/* A client opens the streams of an exec within this time. As CRI-O. */
#define BOUND_STREAMS_NS (30 * BOUND_SECOND)

/*
 * Bytes for the client that its connection does not take: above the first no output of a process is
 * read, above the second nothing of the client either, as it would only cause more answers.
 */
#define BOUND_OUT ((size_t)256 << 10)
#define BOUND_OUT_HARD ((size_t)512 << 10)

/*
 * Bytes of one stream for a process (or connection) that does not read. Clients written in Go know
 * no flow control, so beyond this the whole connection waits; those that know it wait per stream.
 */
#define BOUND_IN ((size_t)256 << 10)

/* One read of a process's output, one frame for the client. */
#define CHUNK ((size_t)32 << 10)

/* How often one descriptor is read (or a connection parsed) before others have their turn. */
#define TURNS 16

/*
 * SPDY. A control frame: Go clients send header blocks of 200 bytes. Header block when
 * inflated, and its entries. Streams at once on one connection: two per forwarded connection.
 */
#define BOUND_SPDY_CONTROL ((size_t)16 << 10)
#define BOUND_SPDY_HEADERS ((size_t)64 << 10)
#define BOUND_SPDY_ENTRIES 64
#define BOUND_SPDY_STREAMS 1000
/* A lone half of a pair of port-forward streams waits for the other. */
#define BOUND_PAIR_NS (30 * BOUND_SECOND)

/* WebSocket, base64 forms: a message is decoded as a whole. */
#define BOUND_WS_TEXT ((size_t)128 << 10)
/* Ports of one port-forward over WebSocket. */
#define BOUND_PORTS 32

/* {"Width":80,"Height":24} with room for blanks and members nobody knows. */
#define BOUND_RESIZE 1024

/* Text for the error stream. */
#define BOUND_MESSAGE (4u << 10)

/*
 * After the last byte: how long the client may take for it, and then how long it may take to close.
 * Closing at once would take away from it what it has not read yet.
 */
#define BOUND_FLUSH_NS (30 * BOUND_SECOND)
#define BOUND_LINGER_NS (5 * BOUND_SECOND)

/* One side of a forwarded connection has ended: the other gets this long. As CRI-O. */
#define BOUND_HALF_NS (1 * BOUND_SECOND)

/* Buffers that are empty for this long are given back. */
#define BOUND_QUIET_NS BOUND_SECOND

/* When out of descriptors: pause before accepting again. */
#define BOUND_ACCEPT_PAUSE_NS (BOUND_SECOND / 4)

/* TLS files are looked at this often at most. */
#define BOUND_TLS_LOOK_NS BOUND_SECOND

#endif
