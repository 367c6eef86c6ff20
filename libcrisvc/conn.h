/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections of a server: sockets around sessions (HTTP/2) and requests of HTTP/1. Everything
 * here is the dispatching thread's.
 */
#ifndef CRISVC_CONN_H
#define CRISVC_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "session.h"

/* What an epoll event points to. */
struct source {
	enum { SOURCE_WAKE, SOURCE_TIMER, SOURCE_LISTENER, SOURCE_CONN } kind;
	int fd;
};

int source_poll(int epoll_fd, int op, struct source *src, uint32_t events);

struct conn;

struct conns {
	struct host *host;
	int epoll_fd;
	bool http; /* is there a handler for HTTP/1? */
	size_t n;
	LIST_HEAD(, conn) list;
	STAILQ_HEAD(, conn) attention; /* to be looked at in this turn */
	unsigned char *buf;	       /* IO_BUFFER */
};

/* Also makes host->want_attention(). 0 or -ENOMEM. */
int conns_init(struct conns *all, struct host *host, int epoll_fd);
void conns_done(struct conns *all); /* cancels the calls */
/* Takes over a new socket; what fails here only fails this client. */
void conns_add(struct conns *all, int fd);
void conn_handle(struct source *src, uint32_t events); /* a SOURCE_CONN */
/* Writes what became ready, and buries the dead: pointers to connections are good until then. */
void conns_attend(struct conns *all);
void conns_drain(struct conns *all);

#endif
