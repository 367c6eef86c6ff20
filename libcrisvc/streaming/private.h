/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the streaming server and who knows whom:
 *
 *	server.c	epoll, timers, listeners, tokens in use
 *	conn.c		one connection: its socket (or TLS) with a buffer each way, and a protocol on top:
 *			http.c first, then spdy.c or websocket.c (or spdy.c inside websocket.c)
 *	stream.c	one exec, attach or forwarded connection: the descriptors of the backend
 *
 * A protocol calls stream_receive() with what came from the client; a stream calls its protocol's
 * send() with what is for the client. Neither ever buffers without bound: stream_receive() takes less
 * than it was given and the connection is then not read until stream.c calls conn_resume(); send() is
 * only called while room() says so, and conn.c calls stream_pump() when there is room again.
 *
 * Objects are freed at the end of a dispatch, so everything may be used to the end of a callback.
 */
#ifndef CRISVC_STREAMING_PRIVATE_H
#define CRISVC_STREAMING_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cbase/cleanup.h>
#include <cbase/err.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "../crisvc-streaming.h"
#include "../timers.h"
#include "bounds.h"
#include "buf.h"
#include "token.h"

#define PUBLIC __attribute__((visibility("default")))
#define container_of(p, type, member)                                                              \
	((type *)(void *)((char *)(p) - offsetof(type, member)))

/* A descriptor in the server's epoll. */
struct source {
	int fd; /* -1: gone */
	uint32_t events;
	void (*fn)(struct source *s, uint32_t events);
};

struct tls_files;
struct conn;

struct crisvc_streaming {
	int epoll;
	struct source clock; /* a timerfd */
	struct timers timers;
	int64_t clock_set; /* when it fires; INT64_MAX: never */
	struct listener *listeners;
	struct timer accept_pause;
	struct conn *conns, *dead_conns;
	size_t n_conns;
	struct conn *ready; /* to be parsed further */
	struct crisvc_stream *streams, *dead_streams;
	size_t n_streams;
	struct tokens tokens;
	struct crisvc_stream_backend backend;
	void *user;
	int64_t idle_ns;
	struct tls_files *tls; /* NULL: plain */
	char *tls_ciphers;     /* for the next crisvc_streaming_set_tls(); NULL: none were named */
	uint8_t chunk[CHUNK + 1];
};

/* ---- server.c ---- */

/* Sets what is waited for: EPOLLIN | EPOLLOUT; 0 for nothing, not even a hang-up. */
int source_watch(struct crisvc_streaming *s, struct source *x, uint32_t events);
void source_close(struct crisvc_streaming *s, struct source *x);
/* After what was done from outside of a dispatch: there will be one. */
void server_kick(struct crisvc_streaming *s);

/* ---- conn.c ---- */

enum channel { CH_STDIN, CH_STDOUT, CH_STDERR, CH_ERROR, CH_RESIZE, CH_COUNT };

/*
 * Of a port-forward: what the client sends is CH_STDIN, what it gets CH_STDOUT, so a stream needs not
 * know the difference.
 */
struct protocol {
	/* Bytes of the client: how many were used, or -errno when they make no sense. */
	ssize_t (*feed)(struct conn *c, const uint8_t *p, size_t n);
	/* Is there something left to parse inside the protocol (feed() with no bytes)? NULL: never. */
	bool (*pending)(struct conn *c);
	/* Last words, before the connection is shut down; r: 0 or a negative errno. */
	void (*goodbye)(struct conn *c, int r);
	void (*free)(struct conn *c);
	/* for streams: */
	size_t (*room)(struct crisvc_stream *s, enum channel ch); /* bytes that may be sent now */
	void (*send)(struct crisvc_stream *s, enum channel ch, const void *p, size_t n);
	void (*finish)(struct crisvc_stream *s, enum channel ch); /* no more from us; also twice */
	void (*consumed)(struct crisvc_stream *s, enum channel ch, size_t n);
	/* A forwarded connection could not be made: tell so. */
	void (*reset)(struct crisvc_stream *s);
	/* The stream goes away; what the client still sends for it is dropped. */
	void (*detach)(struct crisvc_stream *s);
};

enum conn_state {
	CONN_OPEN,
	CONN_FLUSHING, /* the last bytes wait to be sent */
	CONN_LINGERING, /* shut down for writing; the client has to close */
	CONN_DEAD
};

struct conn {
	struct conn *next, *next_ready, *next_dead;
	struct crisvc_streaming *server;
	struct source source;
	struct tls *tls; /* NULL: plain */
	enum conn_state state;
	struct buf in, out;
	struct timer timer;   /* deadline of the state, or the idle timeout */
	int64_t limit;	      /* the deadline; 0: none but the idle timeout */
	int64_t active;	      /* when something was said last */
	bool blocked, queued; /* not parsed: a stream has no room; in the list ready */
	bool full;	      /* some output waits for room */
	bool quiet;	      /* unused buffers were given back */
	bool ended;	      /* the client has closed its side */
	bool tls_wants_write; /* to read on */
	bool ends_with_streams; /* when the last one has gone */
	const struct protocol *protocol;
	struct spdy *spdy;
	struct websocket *websocket;
	struct request *request; /* NULL until the token was seen */
	int version;		 /* of remotecommand: 1 to 5 */
	struct crisvc_stream *streams;
};

int conn_new(struct crisvc_streaming *s, int fd);
/* Something for the client; never fails: out of memory ends the connection. */
void conn_write(struct conn *c, const void *p, size_t n);
/* Room for output of processes. */
size_t conn_room(struct conn *c);
/* The time by which something must have happened; 0: none any more. */
void conn_deadline(struct conn *c, int64_t ns);
/* A stream that had no room has some. */
void conn_resume(struct conn *c);
void conn_flush(struct conn *c);
/* Flush, say goodbye, close; r: 0 or the negative errno that the client caused. */
void conn_finish(struct conn *c, int r);
/* At once; conn_finish() and this may be called again. */
void conn_abort(struct conn *c);
void conn_run_ready(struct conn *c);

/* ---- http.c ---- */

extern const struct protocol http_protocol;

/* ---- spdy.c, websocket.c: both take over from http.c after the answer was written ---- */

int spdy_begin(struct conn *c);
/* What the tunnel needs. emit: how bytes get to the client. */
ssize_t spdy_feed(struct conn *c, const uint8_t *p, size_t n);
void spdy_goodbye(struct conn *c, int r);
void spdy_free(struct conn *c);
size_t spdy_room(struct crisvc_stream *s, enum channel ch);
void spdy_send(struct crisvc_stream *s, enum channel ch, const void *p, size_t n);
void spdy_finish(struct crisvc_stream *s, enum channel ch);
void spdy_consumed(struct crisvc_stream *s, enum channel ch, size_t n);
void spdy_reset(struct crisvc_stream *s);
void spdy_detach(struct crisvc_stream *s);
#define SPDY_STREAM_CALLS                                                                          \
	.room = spdy_room, .send = spdy_send, .finish = spdy_finish, .consumed = spdy_consumed,    \
	.reset = spdy_reset, .detach = spdy_detach
typedef void spdy_emit(struct conn *c, const void *head, size_t head_n, const void *p, size_t n);
int spdy_new(struct conn *c, spdy_emit *emit);
/* protocol: the subprotocol chosen by websocket_choose(). */
int websocket_begin(struct conn *c, const char *subprotocol);
/*
 * The first of the client's subprotocols (separated by commas) that serves the request; "" when it
 * names none at all, NULL when none fits.
 */
const char *websocket_choose(const struct request *q, const char *offered, char buf[64]);
/* For Sec-WebSocket-Accept; 0, -EINVAL the key is none. */
int websocket_accept_key(const char *key, char out[29]);

/* ---- stream.c ---- */

enum stream_state {
	STREAM_WAITING, /* for the wires of the client */
	STREAM_STARTING,
	STREAM_RUNNING,
	STREAM_DONE /* everything was said; or nobody is there to hear it */
};

struct crisvc_stream {
	struct crisvc_stream *next, *next_of_conn, *next_dead;
	struct crisvc_streaming *server;
	struct conn *conn; /* NULL: the client is gone */
	struct request *request;
	void *user;
	void *wires[CH_COUNT]; /* of the protocol */
	unsigned port;
	unsigned index; /* port-forward over WebSocket: which of the ports */
	enum stream_state state;
	bool owned;    /* the backend has still to call exit or fail */
	bool has_code, failed;
	int code;
	char *message; /* of a failure */

	int flags;  /* CRISVC_STREAM_IO_* */
	struct source in, out[2]; /* in has no descriptor of its own when it is that of out[0] */
	bool one_fd, is_socket;
	bool in_ended;	  /* the client has ended stdin */
	bool in_closed;	  /* and the process knows, or does not listen any more */
	bool out_done[2]; /* stdout and stderr were read to their end */
	bool finishing;	  /* a forwarded connection: the timer runs, bytes moved since */
	bool moved;
	bool ctrl_p; /* was typed and is held back */
	struct buf to_process;
	struct buf resize;
	unsigned width, height; /* not told yet; 0: nothing to tell */
	struct timer timer;
};

struct crisvc_stream *stream_new(struct conn *c, unsigned port);
/* Not all wires are there; without the rest for long, it is abandoned. */
void stream_wait(struct crisvc_stream *s);
/* All wires are there: call the backend. */
void stream_start(struct crisvc_stream *s);
/* How many of the bytes were taken; fewer than n: not before conn_resume(). */
size_t stream_receive(struct crisvc_stream *s, enum channel ch, const uint8_t *p, size_t n);
void stream_receive_end(struct crisvc_stream *s, enum channel ch);
/* The client broke off this one (RST_STREAM) or all (its connection is gone). */
void stream_abandon(struct crisvc_stream *s);
/* There is room for output. */
void stream_pump(struct crisvc_stream *s);
void stream_free(struct crisvc_stream *s);
/* Is that channel a part of the stream? */
bool stream_has(const struct request *q, enum channel ch, int version);

/* status.c: what goes to the error stream, "" for nothing. 0 or -ENOMEM. */
int status_text(int version, bool failed, int code, const char *message, struct str *out);
/* {"Width":80,"Height":24}: bytes used of one whole object, 0 when it is not whole, -EINVAL. */
ssize_t resize_parse(const char *p, size_t n, unsigned *ret_width, unsigned *ret_height);

#endif
