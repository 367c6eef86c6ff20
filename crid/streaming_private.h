/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of streaming.h: the library by its functions, the thread, and what it serves. */
#ifndef CRID_STREAMING_PRIVATE_H
#define CRID_STREAMING_PRIVATE_H

#include <crisvc-streaming.h>
#include "streaming.h"

/* libcrisvc-streaming, which is not linked: one member for each function that is used. */
#define STREAMING_FUNCTIONS(X)                                                                     \
	X(crisvc_streaming_new)                                                                    \
	X(crisvc_streaming_free)                                                                   \
	X(crisvc_streaming_listen)                                                                 \
	X(crisvc_streaming_set_tls)                                                                \
	X(crisvc_streaming_set_tls_ciphers)                                                        \
	X(crisvc_streaming_set_idle_timeout)                                                       \
	X(crisvc_streaming_get_fd)                                                                 \
	X(crisvc_streaming_dispatch)                                                               \
	X(crisvc_streaming_expect)                                                                 \
	X(crisvc_streaming_busy)                                                                   \
	X(crisvc_stream_data)                                                                      \
	X(crisvc_stream_port)                                                                      \
	X(crisvc_stream_set_user)                                                                  \
	X(crisvc_stream_user)                                                                      \
	X(crisvc_stream_run)                                                                       \
	X(crisvc_stream_exit)                                                                      \
	X(crisvc_stream_fail)

struct streaming_library {
#define STREAMING_MEMBER(f) __typeof__(f) *f;
	STREAMING_FUNCTIONS(STREAMING_MEMBER)
#undef STREAMING_MEMBER
};

/* What the backend, on the streaming thread, gets: all of it is that thread's own or immutable. */
struct streaming_thread {
	const struct config *config;
	struct streaming_library lib;
	struct loop *loop;
	struct jobs *jobs;
};

/* The backend; user is a struct streaming_thread. */
extern const struct crisvc_stream_backend streaming_backend;

/*
 * One stream that the backend knows. Its first operation connects or starts, on an operation thread,
 * and fills io or r and err; then only the streaming thread has it, until the library is done with it.
 */
struct backend_stream {
	struct job start, kill;
	struct streaming_thread *t;
	struct crisvc_stream *stream;
	const struct stream_target *target;
	unsigned port;
	struct crisvc_stream_io io;
	int r;
	struct cb_error err;
	bool starting, cancelled;
	int control;			/* EXEC: the terminal; ATTACH: conmon's ctl; -1 */
	/* EXEC */
	struct child *child;
	struct loop_source *source;
	bool killing, ended;
};

/* streaming_console.c: where a runtime brings the terminal that it has made. */
struct console {
	int dir, fd;
	char name[32]; /* of the socket in dir */
};
#define CONSOLE_NONE ((struct console){ -1, -1, "" })

int console_open(struct console *c, const char *dir, struct cb_error *err);
void console_close(struct console *c);
/* Blocks until the runtime, a pidfd, has brought it or has died: then *ret is untouched. 0, E_DEADLINE, E_FAILED. */
int console_receive(struct console *c, int runtime, int *ret, struct cb_error *err);

/* streaming_exec.c, streaming_attach.c, streaming_port.c: the blocking part. */
int stream_exec_start(struct backend_stream *b, struct cb_error *err);
int stream_attach_start(struct backend_stream *b, struct cb_error *err);
int stream_port_start(struct backend_stream *b, struct cb_error *err);

#endif
