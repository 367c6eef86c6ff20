/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exec, Attach and PortForward: the URLs of the RPCs and the server behind them. libcrisvc-streaming is
 * loaded with the first of these calls, and runs on a thread of its own that there is only while
 * somebody uses it. That thread has a loop and operation threads like the daemon's, and nothing of the
 * table: what it needs of a container or pod is copied into a struct stream_target.
 */
#ifndef CRID_STREAMING_H
#define CRID_STREAMING_H

#include "daemon.h"

struct streaming;

/* Immutable; of its own, so that it may end on another thread than the table's. */
struct stream_target {
	struct arena arena;
	int kind, flags;		/* of crisvc-streaming.h */
	const char *id;			/* container or pod */
	char **args;			/* EXEC */
	const struct runtime_handler *handler;
	const char *dir, *run_dir;
	uint32_t uid, gid;
	bool tty, stdin, stdin_once;	/* of the container */
	const char *netns;		/* PORT_FORWARD; "" is the host's */
	uint16_t *ports;		/* when the call named some */
	size_t n_ports;
};

struct stream_target *stream_target_new(void);	/* NULL: out of memory */
struct stream_target *stream_target_free(struct stream_target *t);

/* Takes the address; nothing more until the first call. */
int streaming_new(struct daemon *d, struct streaming **ret, struct cb_error *err);
/* Ends all streams, and what runs for them. NULL is fine; returns NULL. */
struct streaming *streaming_free(struct streaming *s);
/*
 * Answers the call with an URL, in a message of that descriptor, which has nothing but a string "url".
 * Takes over call and target.
 */
void streaming_expect(struct streaming *s, struct crisvc_call *call, struct stream_target *t,
		      const ProtobufCMessageDescriptor *response);

#endif
