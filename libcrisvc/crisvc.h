/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrisvc: gRPC over HTTP/2 for CRI, server and client, made to be driven by any event loop.
 *
 * Server: crisvc_server_get_fd() polls readable when there is something to do; then call
 * crisvc_server_dispatch(), then crisvc_server_pop_call() until it gives NULL. A call is answered once,
 * at once or later and from any thread, with crisvc_call_reply() or crisvc_call_fail().
 *
 * The ABI is calls, method paths and bytes; the CRI messages are in <crisvc-cri.h>.
 * Return values: 0 done; > 0 one of CRISVC_E_*; < 0 a negative errno.
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
	CRISVC_E_STATUS = 1,		/* the peer answered with a gRPC status: grpc_status tells */
	CRISVC_E_DISCONNECTED = 2,
	CRISVC_E_DEADLINE = 3,
	CRISVC_E_PROTOCOL = 4,		/* the peer broke HTTP/2 or gRPC */
	CRISVC_E_LIMIT = 5,
};

/* gRPC status codes */
enum {
	CRISVC_OK = 0, CRISVC_CANCELLED = 1, CRISVC_UNKNOWN = 2, CRISVC_INVALID_ARGUMENT = 3,
	CRISVC_DEADLINE_EXCEEDED = 4, CRISVC_NOT_FOUND = 5, CRISVC_ALREADY_EXISTS = 6,
	CRISVC_PERMISSION_DENIED = 7, CRISVC_RESOURCE_EXHAUSTED = 8, CRISVC_FAILED_PRECONDITION = 9,
	CRISVC_ABORTED = 10, CRISVC_OUT_OF_RANGE = 11, CRISVC_UNIMPLEMENTED = 12, CRISVC_INTERNAL = 13,
	CRISVC_UNAVAILABLE = 14, CRISVC_DATA_LOSS = 15, CRISVC_UNAUTHENTICATED = 16,
};

struct crisvc_error {
	int code;			/* CRISVC_E_*, or 0 */
	int sys_errno;
	char message[CRISVC_ERROR_MESSAGE_MAX];	/* with CRISVC_E_STATUS: the grpc-message */
	int grpc_status;
};

#define CRISVC_MESSAGE_MAX_DEFAULT (80u << 20)	/* bytes, each direction, as CRI-O */

/* ---- server ---- */

struct crisvc_server;
struct crisvc_call;

int crisvc_server_new(struct crisvc_server **ret);
struct crisvc_server *crisvc_server_free(struct crisvc_server *s);	/* drops connections and unanswered calls */
/* Paths that exist, "/runtime.v1.RuntimeService/Version": others are answered UNIMPLEMENTED by the library. [borrowed] */
int crisvc_server_add_method(struct crisvc_server *s, const char *path, void *user);
int crisvc_server_set_max_message(struct crisvc_server *s, size_t recv, size_t send);
/* Takes over a listening stream socket. */
int crisvc_server_listen(struct crisvc_server *s, int fd);
int crisvc_server_get_fd(const struct crisvc_server *s);
/* Never blocks. Negative errno only when the server cannot go on. */
int crisvc_server_dispatch(struct crisvc_server *s);
/* Next complete request, or NULL. */
struct crisvc_call *crisvc_server_pop_call(struct crisvc_server *s);
/* Stops accepting, sends GOAWAY; running calls may still be answered. */
int crisvc_server_drain(struct crisvc_server *s);
/* Calls popped and not yet answered. */
size_t crisvc_server_pending(const struct crisvc_server *s);

const char *crisvc_call_path(const struct crisvc_call *c);
void *crisvc_call_method_user(const struct crisvc_call *c);
const void *crisvc_call_request(const struct crisvc_call *c, size_t *ret_len);
/* CLOCK_MONOTONIC ns, 0 when the client set none. The library itself answers DEADLINE_EXCEEDED to the client then. */
int64_t crisvc_call_deadline(const struct crisvc_call *c);
/*
 * Told when the client went away or the deadline passed, from crisvc_server_dispatch(); the call must
 * still be answered (which then goes nowhere). At most once, never after the answer.
 */
void crisvc_call_on_cancel(struct crisvc_call *c, void (*fn)(void *user), void *user);
/* Answers and frees the call; any thread. The bytes are copied. message: any bytes, sent percent-encoded. */
int crisvc_call_reply(struct crisvc_call *c, const void *p, size_t n);
int crisvc_call_fail(struct crisvc_call *c, int grpc_status, const char *message);

/* ---- client ---- */

struct crisvc_client;

/* path: "/run/x.sock" or "unix:///run/x.sock". Connects on first use and again after a loss. */
int crisvc_client_new(const char *path, struct crisvc_client **ret, struct crisvc_error *err);
struct crisvc_client *crisvc_client_free(struct crisvc_client *c);
/* One unary call; blocks. timeout_ms -1: no deadline. [owned] reply. One call at a time per client. */
int crisvc_client_call(struct crisvc_client *c, const char *path, const void *request, size_t len,
		       int timeout_ms, void **ret_reply, size_t *ret_len, struct crisvc_error *err);

#ifdef __cplusplus
}
#endif
#endif
