/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrisvc-streaming: the server behind the URLs that CRI's Exec, Attach and PortForward answer
 * with. Clients speak SPDY/3.1 (remotecommand v4 down to v1, portforward.k8s.io) or WebSocket
 * ([v2. to v5.][base64.]channel.k8s.io, port-forward, SPDY/3.1+portforward.k8s.io), over TCP or TLS.
 *
 * How it goes: an RPC calls crisvc_streaming_expect() and answers with a URL that has the token in
 * it. A client that comes with the token gets a stream: the backend's start() is called, starts the
 * command (or connects) and answers with descriptors, between which and the client the library moves
 * bytes until all is said. What the library does not know is containers.
 *
 * Threads: one thread, "the dispatching one", calls everything, and is where the callbacks come
 * from; only crisvc_streaming_expect() may be called from any thread. The library starts no threads,
 * handles no signals and prints nothing. What peers control has limits: see README.md.
 *
 * Return values: 0 done; > 0 one of CRISVC_STREAMING_E_*; < 0 a negative errno.
 */
#ifndef CRISVC_STREAMING_H
#define CRISVC_STREAMING_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CRISVC_STREAMING_ERROR_MESSAGE_MAX 1024

enum {
	CRISVC_STREAMING_E_LIMIT = 1,	/* too many tokens are outstanding */
	CRISVC_STREAMING_E_INVALID = 2, /* the request makes no sense: message says why */
	CRISVC_STREAMING_E_TLS = 3,	/* certificate, key or CA cannot be used */
};

struct crisvc_streaming_error {
	int code; /* CRISVC_STREAMING_E_*, or 0 */
	int sys_errno;
	char message[CRISVC_STREAMING_ERROR_MESSAGE_MAX];
};

struct crisvc_streaming; /* the server */
struct crisvc_stream;	 /* one exec, one attach, or one forwarded connection */

/* ---- what is asked for ---- */

enum { CRISVC_STREAM_EXEC = 1, CRISVC_STREAM_ATTACH = 2, CRISVC_STREAM_PORT_FORWARD = 3 };

/* Of an exec or attach: what is wanted of the process. */
enum {
	CRISVC_STREAM_STDIN = 1,
	CRISVC_STREAM_STDOUT = 2,
	CRISVC_STREAM_STDERR = 4,
	CRISVC_STREAM_TTY = 8, /* not with STDERR */
};

struct crisvc_stream_request {
	size_t size; /* sizeof(struct crisvc_stream_request) */
	int kind;    /* CRISVC_STREAM_EXEC, ... */
	int flags;   /* CRISVC_STREAM_STDIN | ...; of PORT_FORWARD: 0 */
	/* PORT_FORWARD over WebSocket: the ports, in the order of the channels. [borrowed] */
	const uint16_t *ports;
	size_t n_ports; /* at most 32 */
	/*
	 * The backend's own, for example which container. release (NULL: nobody) is called for it
	 * once, on the dispatching thread or in crisvc_streaming_expect(), when neither token nor
	 * stream needs it any more. On failure of crisvc_streaming_expect() it is not called.
	 */
	void *data;
	void (*release)(void *data);
};

/* ---- the backend ---- */

struct crisvc_stream_backend {
	size_t size; /* sizeof(struct crisvc_stream_backend) */
	/*
	 * Begin. Answered once, now or later, with crisvc_stream_run() or crisvc_stream_fail(). Must
	 * not block. Of a port-forward: called for each connection that the client forwards.
	 */
	void (*start)(void *user, struct crisvc_stream *s);
	/* The client's terminal has a new size, in characters: 1 to 65535. May be NULL. */
	void (*resize)(void *user, struct crisvc_stream *s, unsigned width, unsigned height);
	/*
	 * The client has gone. What was started must end: an exec is still answered with
	 * crisvc_stream_exit(), a start that is under way with any of the three; an attach or a
	 * connection needs no more. Not called after these. May be NULL.
	 */
	void (*cancel)(void *user, struct crisvc_stream *s);
	/* The last call for s, once for every start(). May be NULL. */
	void (*done)(void *user, struct crisvc_stream *s);
};

/* ---- server ---- */

/**
 * crisvc_streaming_new() - make a server without sockets
 * @backend: copied
 * @user: [borrowed] given to the callbacks
 * @ret: [owned] crisvc_streaming_free()
 *
 * Return: 0; -EINVAL no start, or a size that is not known; negative errno.
 * Since: 0.1
 */
int crisvc_streaming_new(const struct crisvc_stream_backend *backend, void *user,
			 struct crisvc_streaming **ret);

/**
 * crisvc_streaming_free() - end at once
 * @s: NULL is fine
 *
 * Closes all sockets. done() is called for the streams there are, which nobody may use any more, and
 * release for requests; cancel() is not.
 *
 * Return: NULL.
 * Since: 0.1
 */
struct crisvc_streaming *crisvc_streaming_free(struct crisvc_streaming *s);

/**
 * crisvc_streaming_listen() - serve a socket
 * @fd: a listening stream socket, TCP or unix. Taken over when 0 is returned; made non-blocking
 *      and close-on-exec.
 *
 * Return: 0; -EINVAL not a listening stream socket; negative errno.
 * Since: 0.1
 */
int crisvc_streaming_listen(struct crisvc_streaming *s, int fd);

/**
 * crisvc_streaming_set_tls() - speak TLS on all connections that come later
 * @cert: path of a PEM file, the server's certificate and then those of its issuers
 * @key: path of a PEM file
 * @ca: path of a PEM file: clients must show a certificate that one of these signed. NULL or "":
 *      clients need none.
 * @min_version: 12 or 13, for TLS 1.2 and 1.3
 * @err: [optional]
 *
 * The files are looked at again when they change: new connections get the new ones, as soon as these
 * can be loaded; until then the old ones. Loads OpenSSL (a module of this library).
 *
 * Return: 0; CRISVC_STREAMING_E_TLS; -EINVAL; -ENOENT no module; negative errno.
 * Since: 0.1
 */
int crisvc_streaming_set_tls(struct crisvc_streaming *s, const char *cert, const char *key,
			     const char *ca, int min_version, struct crisvc_streaming_error *err);

/**
 * crisvc_streaming_set_tls_ciphers() - restrict TLS 1.2 to some cipher suites
 * @names: NULL-terminated, by IANA's names ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), the best first;
 *         copied. NULL or none: OpenSSL's choice, as at first.
 *
 * Is for the calls of crisvc_streaming_set_tls() behind this one, which refuse names that OpenSSL does not
 * know. The suites of TLS 1.3 cannot be chosen, they may be named: when no others are, TLS 1.2 is not spoken.
 *
 * Return: 0; -EINVAL, -ENOMEM.
 * Since: 0.1
 */
int crisvc_streaming_set_tls_ciphers(struct crisvc_streaming *s, const char *const *names);

/**
 * crisvc_streaming_set_idle_timeout() - end connections on which nothing is said
 * @ns: nanoseconds without a byte of a process, or a frame of the client; 0: never end them. Four
 *      hours at first.
 *
 * Return: 0; -EINVAL negative.
 * Since: 0.1
 */
int crisvc_streaming_set_idle_timeout(struct crisvc_streaming *s, int64_t ns);

/**
 * crisvc_streaming_get_fd() - the descriptor to poll for reading
 *
 * Return: [borrowed] a descriptor, the same for the life of the server; -EINVAL for NULL.
 * Since: 0.1
 */
int crisvc_streaming_get_fd(const struct crisvc_streaming *s);

/**
 * crisvc_streaming_dispatch() - do what there is to do
 *
 * Accepts, reads, writes, ends what is overdue and calls the backend. Never blocks; does a bounded
 * part of the work, and then the descriptor stays readable.
 *
 * Return: 0; negative errno only when the server cannot go on.
 * Since: 0.1
 */
int crisvc_streaming_dispatch(struct crisvc_streaming *s);

/* What may be outstanding: more is CRISVC_STREAMING_E_LIMIT. As CRI-O. */
#define CRISVC_STREAMING_TOKENS_MAX 1000
#define CRISVC_STREAMING_TOKEN_SECONDS 60
/* Characters of a token and the NUL. */
#define CRISVC_STREAMING_TOKEN_SIZE 33

/**
 * crisvc_streaming_expect() - let one client come
 * @q: what it will get; copied
 * @ret_token: 32 characters of [A-Za-z0-9_-] from 192 random bits. The path of the URL is
 *             /exec/TOKEN, /attach/TOKEN or /portforward/TOKEN.
 * @err: [optional]
 *
 * The token is good for one connection within CRISVC_STREAMING_TOKEN_SECONDS.
 *
 * Context: any thread.
 * Return: 0; CRISVC_STREAMING_E_INVALID TTY and STDERR, none of the three streams, or too many ports;
 *         CRISVC_STREAMING_E_LIMIT; negative errno.
 * Since: 0.1
 */
int crisvc_streaming_expect(struct crisvc_streaming *s, const struct crisvc_stream_request *q,
			    char ret_token[CRISVC_STREAMING_TOKEN_SIZE],
			    struct crisvc_streaming_error *err);

/**
 * crisvc_streaming_busy() - connections, streams and tokens that are still good
 *
 * 0 means that nothing happens until a client connects (and gets 404) or a token is made.
 * Since: 0.1
 */
size_t crisvc_streaming_busy(struct crisvc_streaming *s);

/* ---- streams ---- */

int crisvc_stream_kind(const struct crisvc_stream *s);
int crisvc_stream_flags(const struct crisvc_stream *s);
void *crisvc_stream_data(const struct crisvc_stream *s);     /* of the request */
unsigned crisvc_stream_port(const struct crisvc_stream *s); /* 1 to 65535; of a port-forward */
/* One pointer for the backend; NULL at first. */
void crisvc_stream_set_user(struct crisvc_stream *s, void *user);
void *crisvc_stream_user(const struct crisvc_stream *s);

enum {
	/*
	 * in and out are one SOCK_SEQPACKET socket: what is read begins with a byte, 2 for stdout and 3
	 * for stderr, what is written has none. As conmon's attach socket.
	 */
	CRISVC_STREAM_IO_PACKETS = 1,
	/* The stream ends when the client has ended stdin, though there may be more output. */
	CRISVC_STREAM_IO_ENDS_WITH_STDIN = 2,
	/* Ctrl-P Ctrl-Q, each typed alone, ends the stream. */
	CRISVC_STREAM_IO_DETACH_KEYS = 4,
};

/*
 * Descriptors, -1 for none. in and out may be the same: a terminal's master, or a socket, which is
 * then shut down for writing when the client ended its side. Made non-blocking.
 */
struct crisvc_stream_io {
	size_t size;	  /* sizeof(struct crisvc_stream_io) */
	/*
	 * in is written to, out and err are read to their end. With CRISVC_STREAM_TTY what comes from
	 * err is shown as if it came from out.
	 */
	int in, out, err;
	int flags;	  /* CRISVC_STREAM_IO_* */
};

/**
 * crisvc_stream_run() - it has been started
 * @io: the descriptors are taken over, whatever happens
 *
 * An attach or a forwarded connection is over when out and err have ended; an exec when besides
 * crisvc_stream_exit() was called. Anything but an exec may be over, and done() called, before this
 * returns.
 * Since: 0.1
 */
void crisvc_stream_run(struct crisvc_stream *s, const struct crisvc_stream_io *io);

/**
 * crisvc_stream_exit() - the process of an exec has ended
 * @code: 0 to 255
 *
 * Called once. What is still in out and err reaches the client before the code. @s may not be used
 * any more but in callbacks.
 * Since: 0.1
 */
void crisvc_stream_exit(struct crisvc_stream *s, int code);

/**
 * crisvc_stream_fail() - it could not be started, or there is no telling how it ended
 * @message: for the client; copied, cut after 4 KiB, made valid UTF-8
 *
 * In place of crisvc_stream_run() or crisvc_stream_exit().
 * Since: 0.1
 */
void crisvc_stream_fail(struct crisvc_stream *s, const char *message);

#ifdef __cplusplus
}
#endif
#endif
