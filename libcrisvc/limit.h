/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every size and rate that a peer controls. The peers of a CRI socket are trusted with the node
 * (the kubelet, an administrator), so the limits are wide; they are there because a broken client,
 * or one that a third party can drive, must not take the runtime down.
 */
#ifndef CRISVC_LIMIT_H
#define CRISVC_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#define SECOND_NS ((int64_t)1000000000)

/*
 * Connections at once. A node has the kubelet's two, some of monitoring agents and short ones of
 * crictl. When the table is full the connection that has been without a call for longest is closed
 * for the new one, so somebody who hoards idle connections locks nobody out; those that did not
 * show yet that they are HTTP/2, and HTTP/1 without a whole request, before all others.
 */
#define LIMIT_CONNECTIONS 256

/*
 * Calls at once on one connection (SETTINGS_MAX_CONCURRENT_STREAMS). The kubelet runs its workers
 * and every exec probe over one connection; with some hundred pods that can reach a few hundred.
 * Go clients wait for a free stream, so reaching the limit costs time and no errors.
 */
#define LIMIT_STREAMS 4096

/* ... and on all connections of a server; beyond it they are refused. About 1 KiB each. */
#define LIMIT_ALL_STREAMS 16384

/*
 * Calls that exist in one server, whether their client still waits or not. A client that starts
 * calls and resets them at once (CVE-2023-44487) frees its streams, but the work it caused goes
 * on: this counts the work. Further calls are answered RESOURCE_EXHAUSTED.
 */
#define LIMIT_CALLS 16384

/*
 * Streams reset by the client: burst, and then per second. A kubelet whose deadlines expire resets
 * some tens at once. nghttp2 counts, and ends the connection of who does more. The same for streams
 * that we have to reset because the client broke a rule on them (CVE-2025-8671).
 */
#define LIMIT_RESET_BURST 1000
#define LIMIT_RESET_RATE 33

/*
 * Header bytes of a request, counted as HPACK does (name + value + 32 each). gRPC clients send
 * about 300; tracing adds 200. The limit is on what comes out of HPACK, where a small block can
 * name a large entry many times.
 */
#define LIMIT_HEADER_BYTES (16u << 10)

/*
 * CONTINUATION frames of one header block (CVE-2023-45288). 16 KiB of headers fit one frame, so
 * even one is unusual.
 */
#define LIMIT_CONTINUATIONS 8

/* Entries in one SETTINGS frame: six are defined. */
#define LIMIT_SETTINGS 32

/*
 * Answers (PING and SETTINGS acknowledgements) that wait because the peer does not read
 * (CVE-2019-9512, -9515).
 */
#define LIMIT_OUTBOUND_ACKS 128

/*
 * Frames without data that wait because the peer does not read: from here on its own frames are not
 * read either. Each stream can have two of its own; what comes beyond are resets of streams that we
 * refuse, which nothing else counts.
 */
#define LIMIT_OUTBOUND_FRAMES (4 * LIMIT_STREAMS)

/*
 * Frames that carry nothing (PING, SETTINGS, PRIORITY, empty DATA): burst, and then per second. Go
 * sends a PING per read of bulk data to measure bandwidth, a few hundred per second at most. More
 * than this is a flood (CVE-2019-9512, -9513, -9515, -9518) and ends the connection.
 */
#define LIMIT_EMPTY_BURST 2000
#define LIMIT_EMPTY_RATE 1000

/*
 * Bytes of requests in memory, in one server: received in part, waiting, and being worked on. One
 * message may be as large as CRISVC_MESSAGE_MAX_DEFAULT; this stops many of them at once. Memory is
 * taken as the bytes arrive, never for a length that was only announced.
 */
#define LIMIT_REQUEST_BYTES ((size_t)256 << 20)

/*
 * Bytes of answers that wait for their readers: on one connection (two of the largest messages) and
 * in one server. An answer that would go beyond is replaced by RESOURCE_EXHAUSTED. Without this a
 * client that asks for large lists and never reads them would fill the memory.
 */
#define LIMIT_CONNECTION_OUTPUT ((size_t)160 << 20)
#define LIMIT_OUTPUT ((size_t)512 << 20)

/*
 * Bytes of a server-streaming answer that wait for their reader before crisvc_call_send() refuses
 * more; one message may be larger. A list of a thousand containers is about this much.
 */
#define LIMIT_QUEUED ((size_t)1 << 20)

/* Trailers that an application may add to an answer. */
#define LIMIT_TRAILERS 16

/*
 * A connection that has answers to take and has taken no byte for this long is closed. Local
 * clients read within milliseconds; a minute leaves room for one that is being debugged or swapped
 * out.
 */
#define LIMIT_STALL_NS (60 * SECOND_NS)

/*
 * A request must be complete this long after its headers, if its own deadline is not earlier.
 * Clients send the message right behind the headers; this ends streams that trickle.
 */
#define LIMIT_RECEIVE_NS (60 * SECOND_NS)

/* With keepalive: how long after a PING a connection may be silent. As gRPC's libraries. */
#define LIMIT_KEEPALIVE_NS (20 * SECOND_NS)

/* When draining: how long to wait for the peer to have seen the first GOAWAY. */
#define LIMIT_DRAIN_NS (1 * SECOND_NS)

/* When out of descriptors: pause before accepting again, instead of spinning on the listener. */
#define LIMIT_ACCEPT_PAUSE_NS (SECOND_NS / 4)

/*
 * Percent-encoded bytes of a grpc-message. Python's grpcio refuses header blocks above 8 KiB, so a
 * longer error text would hide the error; it is cut between characters.
 */
#define LIMIT_STATUS_MESSAGE (6u << 10)

/*
 * Flow control windows that we grant, per stream and per connection. Received bytes go straight to
 * the message they belong to, which has limits of its own, so the windows bound no memory; they
 * are large so that a message of 80 MiB does not wait for a window update every 32 KiB.
 */
#define WINDOW_STREAM (1 << 20)
#define WINDOW_CONNECTION (16 << 20)

/*
 * HTTP/1, which is for looking into the daemon: short requests of tools and agents, some of which
 * wait for news. One connection more is answered 503.
 */
#define LIMIT_HTTP_CONNECTIONS 64

/* The request line, and all of the head with it: 414 and 431. */
#define LIMIT_HTTP_LINE (4u << 10)
#define LIMIT_HTTP_HEAD (16u << 10)

/*
 * From the connection to the end of the request, as CRI-O. It also ends connections that never
 * say anything, if there is a handler for HTTP/1.
 */
#define LIMIT_HTTP_READ_NS (5 * SECOND_NS)

/*
 * After the answer: how long to wait for the peer to close, reading what it still sends. Closing
 * at once would take the answer away from one that has more to say (a body).
 */
#define LIMIT_HTTP_LINGER_NS (1 * SECOND_NS)

/*
 * One buffer for reading and writing in each server, and how often it is filled per connection and
 * turn.
 */
#define IO_BUFFER ((size_t)64 << 10)
#define IO_TURNS 32

#endif
