/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrisvc: gRPC over HTTP/2 for CRI, server and client, made to be driven by any event loop.
 *
 * Server: crisvc_server_get_fd() polls readable when there is something to do; then call
 * crisvc_server_dispatch(), then crisvc_server_pop_call() until it gives NULL. A call is answered
 * once, at once or later and from any thread, with crisvc_call_reply() or crisvc_call_fail().
 *
 * The ABI is calls, method paths and bytes; the CRI messages are in <crisvc-cri.h>.
 * Return values: 0 done; > 0 one of CRISVC_E_*; < 0 a negative errno.
 *
 * Threads: one thread, "the dispatching one", calls the crisvc_server_*() functions of a server.
 * The crisvc_call_*() functions may be called from any thread, by one thread at a time per call. A
 * client is used by one thread at a time. The library starts no threads, handles no signals (it
 * sends with MSG_NOSIGNAL) and prints nothing.
 *
 * What peers control has limits: messages (below), connections, calls, header bytes, memory of
 * requests and of answers, floods of frames. See limit.h of the sources, or README.md.
 */
#ifndef CRISVC_H
#define CRISVC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CRISVC_ERROR_MESSAGE_MAX 1024

enum {
	CRISVC_E_STATUS = 1, /* the peer answered with a gRPC status: grpc_status tells */
	CRISVC_E_DISCONNECTED = 2,
	CRISVC_E_DEADLINE = 3,
	CRISVC_E_PROTOCOL = 4, /* the peer broke HTTP/2 or gRPC */
	CRISVC_E_LIMIT = 5,
	CRISVC_E_AGAIN = 6, /* not now */
	CRISVC_E_END = 7,   /* all was received */
};

/* gRPC status codes */
enum {
	CRISVC_OK = 0,
	CRISVC_CANCELLED = 1,
	CRISVC_UNKNOWN = 2,
	CRISVC_INVALID_ARGUMENT = 3,
	CRISVC_DEADLINE_EXCEEDED = 4,
	CRISVC_NOT_FOUND = 5,
	CRISVC_ALREADY_EXISTS = 6,
	CRISVC_PERMISSION_DENIED = 7,
	CRISVC_RESOURCE_EXHAUSTED = 8,
	CRISVC_FAILED_PRECONDITION = 9,
	CRISVC_ABORTED = 10,
	CRISVC_OUT_OF_RANGE = 11,
	CRISVC_UNIMPLEMENTED = 12,
	CRISVC_INTERNAL = 13,
	CRISVC_UNAVAILABLE = 14,
	CRISVC_DATA_LOSS = 15,
	CRISVC_UNAUTHENTICATED = 16,
};

struct crisvc_error {
	int code; /* CRISVC_E_*, or 0 */
	int sys_errno;
	char message[CRISVC_ERROR_MESSAGE_MAX]; /* with CRISVC_E_STATUS: the grpc-message */
	int grpc_status;
};

/* Bytes, each direction, as CRI-O. */
#define CRISVC_MESSAGE_MAX_DEFAULT (80u << 20)

/* ---- server ---- */

struct crisvc_server;
struct crisvc_call;

/**
 * crisvc_server_new() - make a server without methods and sockets
 * @ret: [owned] crisvc_server_free()
 *
 * Return: 0; negative errno.
 * Since: 0.1
 */
int crisvc_server_new(struct crisvc_server **ret);

/**
 * crisvc_server_free() - end a server at once
 * @s: NULL is fine
 *
 * Closes listening sockets and connections, and frees the calls that are not answered: nobody may
 * use them any more, in no thread, and no callback is called for them.
 *
 * Return: NULL.
 * Since: 0.1
 */
struct crisvc_server *crisvc_server_free(struct crisvc_server *s);

/**
 * crisvc_server_add_method() - name a method that exists
 * @path: "/runtime.v1.RuntimeService/Version"; copied. Requests must name it byte by byte.
 * @user: [borrowed] what crisvc_call_method_user() gives
 *
 * Calls of other paths are answered UNIMPLEMENTED by the library.
 *
 * Return: 0; -EEXIST; -EINVAL no path, or one without a leading slash; -EBUSY there are connections
 *         or calls; -ENOMEM.
 * Since: 0.1
 */
int crisvc_server_add_method(struct crisvc_server *s, const char *path, void *user);

/**
 * crisvc_server_set_max_message() - limit single messages
 * @recv: bytes of a request; a larger one is answered RESOURCE_EXHAUSTED. 0 to UINT32_MAX.
 * @send: bytes of a reply
 *
 * Both are CRISVC_MESSAGE_MAX_DEFAULT at first. For connections that come later.
 *
 * Return: 0; -EINVAL.
 * Since: 0.1
 */
int crisvc_server_set_max_message(struct crisvc_server *s, size_t recv, size_t send);

/**
 * crisvc_server_set_max_queued() - limit what waits for the client of a server-streaming call
 * @bytes: after which crisvc_call_send() refuses; 0 for one message at a time
 *
 * 1 MiB at first.
 *
 * Return: 0; -EINVAL.
 * Since: 0.1
 */
int crisvc_server_set_max_queued(struct crisvc_server *s, size_t bytes);

/**
 * crisvc_server_set_keepalive() - notice clients that are gone without a word
 * @interval_ms: after so long without a byte a client is sent a PING, and after 20 more seconds its
 *               connection is closed. 0, as at first: never. A unix socket needs none of this.
 *
 * For connections that come later. What clients ask by PING is always answered.
 *
 * Return: 0; -EINVAL.
 * Since: 0.1
 */
int crisvc_server_set_keepalive(struct crisvc_server *s, int interval_ms);

/**
 * crisvc_server_listen() - serve a socket
 * @fd: a listening stream socket (unix or TCP, which must be a trusted network: there is no TLS).
 *      Taken over when 0 is returned; made non-blocking and close-on-exec.
 *
 * May be called for several sockets.
 *
 * Return: 0; -EINVAL not a listening stream socket, or the server is draining; negative errno.
 * Since: 0.1
 */
int crisvc_server_listen(struct crisvc_server *s, int fd);

/**
 * crisvc_server_get_fd() - the descriptor to poll for reading
 *
 * Return: [borrowed] a descriptor, the same for the life of the server; -EINVAL for NULL.
 * Since: 0.1
 */
int crisvc_server_get_fd(const struct crisvc_server *s);

/**
 * crisvc_server_dispatch() - do what there is to do
 *
 * Accepts, reads, writes, collects answers, ends what is overdue, and calls the callbacks of
 * crisvc_call_on_cancel(), which must not call functions of the server. Never blocks; does a
 * bounded part of the work, and then the descriptor stays readable.
 *
 * Return: 0; negative errno only when the server cannot go on. What goes wrong with one connection
 *         ends that connection.
 * Since: 0.1
 */
int crisvc_server_dispatch(struct crisvc_server *s);

/**
 * crisvc_server_pop_call() - the next complete request
 *
 * To be called until it returns NULL. With that it writes what this thread has answered meanwhile, as
 * crisvc_server_dispatch() does, callbacks included.
 *
 * Requests whose client has gone, or whose deadline has passed, before they were popped do not
 * come.
 *
 * Return: [owned] a call, to be given to crisvc_call_reply() or crisvc_call_fail(); NULL when there
 *         is none now.
 * Since: 0.1
 */
struct crisvc_call *crisvc_server_pop_call(struct crisvc_server *s);

/**
 * crisvc_server_drain() - begin to end
 *
 * Closes the listening sockets and sends GOAWAY. Calls that clients had sent before they knew are
 * still served, so go on dispatching and popping; each connection is closed after its last answer.
 *
 * Return: 0; -EINVAL.
 * Since: 0.1
 */
int crisvc_server_drain(struct crisvc_server *s);

/**
 * crisvc_server_pending() - calls popped and not yet answered, and requests of HTTP/1 likewise
 * Since: 0.1
 */
size_t crisvc_server_pending(const struct crisvc_server *s);

/**
 * crisvc_server_run() - a loop for a program that has no other
 * @fn: called for each call, which it owns, as if it was popped
 * @user: [borrowed] given to @fn
 *
 * Dispatches until crisvc_server_stop() was called and then drains: returns when every call is
 * answered and every connection is closed. A second stop does not wait for that.
 *
 * Context: blocks; the calling thread is the dispatching one.
 * Return: 0; -EINVAL; negative errno when the server cannot go on.
 * Since: 0.1
 */
int crisvc_server_run(struct crisvc_server *s,
		      void (*fn)(struct crisvc_call *call, void *user), void *user);

/**
 * crisvc_server_stop() - end crisvc_server_run()
 *
 * Context: any thread, and signal handlers.
 * Since: 0.1
 */
void crisvc_server_stop(struct crisvc_server *s);

/* All [borrowed], valid until the call is answered. */
const char *crisvc_call_path(const struct crisvc_call *c);
void *crisvc_call_method_user(const struct crisvc_call *c);
const void *crisvc_call_request(const struct crisvc_call *c, size_t *ret_len); /* never NULL */

/**
 * crisvc_call_deadline() - when the client stops waiting
 *
 * The library itself answers DEADLINE_EXCEEDED to the client then.
 *
 * Return: CLOCK_MONOTONIC, nanoseconds; 0 when the client set none.
 * Since: 0.1
 */
int64_t crisvc_call_deadline(const struct crisvc_call *c);

/**
 * crisvc_call_metadata() - what the client said besides the message
 * @i: from 0
 * @ret_value: [borrowed] as sent; of names that end in "-bin" it is base64, with or without padding
 *
 * Headers in their order, user-agent among them; not those of HTTP/2 and gRPC.
 *
 * Return: [borrowed] the name, in small letters; NULL when there are not that many. Valid until the
 *         call is answered.
 * Since: 0.1
 */
const char *crisvc_call_metadata(const struct crisvc_call *c, size_t i, const char **ret_value);

/**
 * crisvc_call_add_trailer() - say more than the status
 * @name: small letters, digits and -_. ; none of HTTP's and gRPC's own
 * @value: printable ASCII, no blank at either end; base64 when @name ends in "-bin"
 *
 * Sent behind the answer or the error, if the application and not the library ends the call.
 *
 * Return: 0; -E2BIG too many (16) or too long (6 KiB); -EINVAL; -ENOMEM.
 * Since: 0.1
 */
int crisvc_call_add_trailer(struct crisvc_call *c, const char *name, const char *value);

/**
 * crisvc_call_on_cancel() - be told that nobody waits for the answer any more
 * @fn: called from crisvc_server_dispatch() when the client went away or the deadline passed, at
 *      most once and never after the answer; also when that had happened before this was called.
 *      NULL for nobody. It may answer the call. It must not wait for another thread that does: an
 *      answering thread waits for it.
 * @user: [borrowed] given to @fn
 *
 * The call must still be answered (which then goes nowhere).
 * Since: 0.1
 */
void crisvc_call_on_cancel(struct crisvc_call *c, void (*fn)(void *user), void *user);

/**
 * crisvc_call_reply() - answer a call with a message
 * @c: freed, whatever is returned
 * @p: the bytes, copied; may be NULL when @n is 0
 *
 * Context: any thread; wakes the descriptor of the server.
 * Return: 0, also when the client is gone; -EMSGSIZE larger than allowed, -ENOMEM: the client gets
 *         RESOURCE_EXHAUSTED; -EINVAL without @c, or without @p: nothing was done.
 * Since: 0.1
 */
int crisvc_call_reply(struct crisvc_call *c, const void *p, size_t n);

/**
 * crisvc_call_send() - hand in one message of an answer that has several (server streaming)
 * @p: the bytes, copied; may be NULL when @n is 0
 *
 * The call goes on, until crisvc_call_end() or _fail() ends the answer, or crisvc_call_reply() with
 * a last message. Messages that the client has not taken yet wait in memory, 1 MiB for a call (one
 * message may be larger; crisvc_server_set_max_queued()). When there is no room nothing is done:
 * wait for crisvc_call_on_room(), or go without the message.
 *
 * Context: any thread; wakes the descriptor of the server.
 * Return: 0; CRISVC_E_AGAIN no room; CRISVC_E_DISCONNECTED the client is gone or its deadline has
 *         passed: end the call; -EMSGSIZE larger than messages may be; -ENOMEM; -EINVAL.
 * Since: 0.1
 */
int crisvc_call_send(struct crisvc_call *c, const void *p, size_t n);

/**
 * crisvc_call_on_room() - be told that crisvc_call_send() will take messages again
 * @fn: called from crisvc_server_dispatch() once after CRISVC_E_AGAIN, when half of the room is
 *      free; never after the answer. It may send and end. Also the rules of
 *      crisvc_call_on_cancel(), which is called instead when the client left. NULL for nobody.
 * @user: [borrowed] given to @fn
 *
 * Set it before sending.
 * Since: 0.1
 */
void crisvc_call_on_room(struct crisvc_call *c, void (*fn)(void *user), void *user);

/**
 * crisvc_call_end() - end an answer of several messages, or of none, with status OK
 * @c: freed, unless it is NULL
 *
 * Context: any thread; wakes the descriptor of the server.
 * Return: 0; -EINVAL.
 * Since: 0.1
 */
int crisvc_call_end(struct crisvc_call *c);

/**
 * crisvc_call_fail() - answer a call with a status
 * @c: freed, whatever is returned
 * @grpc_status: CRISVC_CANCELLED to CRISVC_UNAUTHENTICATED; anything else becomes CRISVC_UNKNOWN
 * @message: copied; sent percent-encoded, so any bytes will do, and cut after 6 KiB of that. NULL
 *           for none.
 *
 * Context: any thread; wakes the descriptor of the server.
 * Return: 0; -ENOMEM the client gets the status without the message; -EINVAL without @c.
 * Since: 0.1
 */
int crisvc_call_fail(struct crisvc_call *c, int grpc_status, const char *message);

/* ---- HTTP/1 on the same sockets ---- */

struct crisvc_http;

/**
 * crisvc_server_set_http() - serve HTTP/1 too
 * @fn: called from crisvc_server_dispatch() for each request; must not call functions of the
 *      server. It owns @h, which must be given to crisvc_http_reply() once: at once, or later and
 *      from any thread.
 * @user: [borrowed] given to @fn
 *
 * What a connection is, its first bytes tell: the preface of HTTP/2, or a request line. A
 * connection serves one request of HTTP/1.0 or 1.1 and is closed after the answer; a body of the
 * request is not read. Lines may end with a bare LF. The library itself answers what is malformed
 * or too large, and cuts off who is not done with the request (or with the preface) after 5 seconds.
 * For connections that come later.
 *
 * Return: 0; -EINVAL.
 * Since: 0.1
 */
int crisvc_server_set_http(struct crisvc_server *s,
			   void (*fn)(struct crisvc_http *h, void *user), void *user);

/*
 * All [borrowed], valid until the request is answered. Path and query are as the client sent them:
 * printable ASCII without blanks, escapes (%2F) not decoded. The path begins with a slash, or is
 * "*"; the query is what follows the first '?', "" when there is none.
 */
const char *crisvc_http_method(const struct crisvc_http *h);
const char *crisvc_http_path(const struct crisvc_http *h);
const char *crisvc_http_query(const struct crisvc_http *h);

/**
 * crisvc_http_on_cancel() - be told that the client went away before the answer
 *
 * As crisvc_call_on_cancel(); the request must still be answered. A client that only ended its own
 * side of the connection is waiting for the answer.
 * Since: 0.1
 */
void crisvc_http_on_cancel(struct crisvc_http *h, void (*fn)(void *user), void *user);

/**
 * crisvc_http_add_header() - say more than status and type
 * @name: a token; not Content-Type, Content-Length, Connection or Date, which are there anyway
 * @value: without control bytes
 *
 * Return: 0; -EINVAL; -ENOMEM.
 * Since: 0.1
 */
int crisvc_http_add_header(struct crisvc_http *h, const char *name, const char *value);

/**
 * crisvc_http_reply() - answer a request
 * @h: freed, unless -EINVAL is returned
 * @status: 200 to 599
 * @content_type: NULL for none
 * @body: the bytes, copied; may be NULL when @n is 0. Not sent when the method is HEAD.
 *
 * Context: any thread; wakes the descriptor of the server.
 * Return: 0, also when the client is gone; -EMSGSIZE larger than messages may be, -ENOMEM: the
 *         client gets 500; -EINVAL: nothing was done.
 * Since: 0.1
 */
int crisvc_http_reply(struct crisvc_http *h, int status, const char *content_type,
		      const void *body, size_t n);

/* ---- client ---- */

struct crisvc_client;

/**
 * crisvc_client_new() - make a client
 * @path: absolute path of a unix socket, also as "unix:///run/x.sock"
 * @ret: [owned] crisvc_client_free()
 * @err: [optional]
 *
 * Connects on first use and again after a loss.
 *
 * Return: 0; -EINVAL, -ENAMETOOLONG the path; -ENOMEM.
 * Since: 0.1
 */
int crisvc_client_new(const char *path, struct crisvc_client **ret, struct crisvc_error *err);
struct crisvc_client *crisvc_client_free(struct crisvc_client *c); /* NULL is fine; returns NULL */

/**
 * crisvc_client_set_max_message() - limit single messages
 * @recv: bytes of an answer
 * @send: bytes of a request
 *
 * Both are CRISVC_MESSAGE_MAX_DEFAULT at first. For calls that come later.
 *
 * Return: 0; -EINVAL more than UINT32_MAX.
 * Since: 0.1
 */
int crisvc_client_set_max_message(struct crisvc_client *c, size_t recv, size_t send);

/**
 * crisvc_client_add_metadata() - send a header with every call
 *
 * Names and values as for crisvc_call_add_trailer().
 *
 * Return: 0; -E2BIG; -EINVAL; -ENOMEM.
 * Since: 0.1
 */
int crisvc_client_add_metadata(struct crisvc_client *c, const char *name, const char *value);

/**
 * crisvc_client_call() - make one unary call
 * @path: of the method
 * @request: the message; may be NULL when @len is 0
 * @timeout_ms: the server is told, too; -1: no deadline
 * @ret_reply: [owned] the message, free(); never NULL on success
 * @err: [optional]
 *
 * Blocks. A call that the server has certainly not begun (it said so while going away) is repeated
 * once on a new connection; no other call is ever sent twice.
 *
 * Return: 0; CRISVC_E_STATUS with err->grpc_status and the server's message; CRISVC_E_DISCONNECTED
 *         no connection (err->sys_errno tells, if known), or lost during the call, which may have
 *         been carried out; CRISVC_E_DEADLINE; CRISVC_E_PROTOCOL; CRISVC_E_LIMIT a message larger
 *         than the limit or too many headers; negative errno.
 * Since: 0.1
 */
int crisvc_client_call(struct crisvc_client *c, const char *path, const void *request, size_t len,
		       int timeout_ms, void **ret_reply, size_t *ret_len, struct crisvc_error *err);

/* A call in progress whose answer is any number of messages. */
struct crisvc_stream;

/**
 * crisvc_client_stream() - make a server-streaming call
 * @path: of the method
 * @request: the message; may be NULL when @len is 0
 * @timeout_ms: for the whole of it; the server is told, too; -1: no deadline
 * @ret: [owned] crisvc_stream_free()
 *
 * Connects and sends, and does not wait for the server. A client may have several of these at a
 * time, and make unary calls meanwhile: all go over one connection. What is not taken waits, 1 MiB
 * at most (or one message), and then the server has to wait.
 *
 * Return: 0; CRISVC_E_DISCONNECTED; CRISVC_E_DEADLINE; CRISVC_E_PROTOCOL; CRISVC_E_LIMIT; negative
 *         errno.
 * Since: 0.1
 */
int crisvc_client_stream(struct crisvc_client *c, const char *path, const void *request,
			 size_t len, int timeout_ms, struct crisvc_stream **ret,
			 struct crisvc_error *err);

/**
 * crisvc_stream_next() - wait for the next message
 * @timeout_ms: how long; 0: not at all; -1: until the end
 * @ret_message: [owned] free(); never NULL on success
 *
 * All but CRISVC_E_AGAIN are the end, and are told again when asked again. After a lost connection
 * make a new stream: the client connects anew.
 *
 * Return: 0; CRISVC_E_AGAIN no message yet; CRISVC_E_END the server ended with status OK;
 *         CRISVC_E_STATUS it ended with another; CRISVC_E_DISCONNECTED; CRISVC_E_DEADLINE that of
 *         the stream; CRISVC_E_PROTOCOL; CRISVC_E_LIMIT; negative errno.
 * Since: 0.1
 */
int crisvc_stream_next(struct crisvc_stream *st, int timeout_ms, void **ret_message,
		       size_t *ret_len, struct crisvc_error *err);

/* Cancels what is not at its end. NULL is fine; returns NULL. Also after its client was freed. */
struct crisvc_stream *crisvc_stream_free(struct crisvc_stream *st);

#ifdef __cplusplus
}
#endif
#endif
