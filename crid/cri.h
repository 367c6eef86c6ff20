/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CRI as seen by callers: which RPCs there are and what each checks and answers. Every handler owns
 * its call and its request message.
 */
#ifndef CRID_CRI_H
#define CRID_CRI_H

#include "daemon.h"

typedef void (*cri_handler)(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q);

struct cri_rpc {
	const char *name;
	cri_handler fn;
};

/* Tables ended by an entry without a name. */
extern const struct cri_rpc cri_pod_rpcs[], cri_container_rpcs[], cri_image_rpcs[], cri_runtime_rpcs[],
	cri_streaming_rpcs[], cri_stats_rpcs[], cri_metrics_rpcs[];

/* Tells the server which methods exist. 0 or -errno. */
int cri_register(struct daemon *d);
/* Unpacks the request and hands it to its handler. */
void cri_dispatch(struct daemon *d, struct crisvc_call *call);

/* The request's bytes as an own copy, for joining retries; NULL when out of memory. */
void *cri_request_copy(const struct crisvc_call *call, size_t *ret_len);
/*
 * The filter of a request for a list, which has one field. The streaming twin of a list (StreamContainers
 * of ListContainers) has a request and a reply of the same shape, so one handler serves both.
 */
const void *cri_filter(const ProtobufCMessage *q);
/* The message, made in the arena; or the failure when that ran out of memory. */
void cri_reply(struct crisvc_call *call, const ProtobufCMessage *m, const struct arena *a);
/* Answers a list whose reply has one repeated field: with one message, or with several to a streaming call. */
void cri_reply_list(struct crisvc_call *call, ProtobufCMessage *m, const struct arena *a);
/* Fails with E_NOT_FOUND "WHAT ID does not exist". */
void cri_not_found(struct crisvc_call *call, const char *what, const char *id);
/* Time left until the caller's deadline, or otherwise if it has none; in ns. */
int64_t cri_time_left(const struct crisvc_call *call, int64_t otherwise);

#endif
