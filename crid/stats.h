/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pods and containers use. Nothing is measured unless somebody asks: a question names its objects,
 * one sampler at a time measures them for all questions that wait, and hands over samples that do not
 * change any more; the loop's thread answers from them. What writable layers take is measured apart, because a
 * large one takes long.
 */
#ifndef CRID_STATS_H
#define CRID_STATS_H

#include "cgroup_usage.h"
#include "daemon.h"
#include "netns_usage.h"
#include "process_usage.h"

#define STATS_RATE_NS 500000000ll	/* the processor's rate is a mean over at least this */
#define STATS_LAYER_AGE_NS 10000000000ll	/* how old the size of a writable layer may be in an answer */
#define STATS_LAYER_PATIENCE_NS 1000000000ll	/* how long an answer waits for a size that was never measured */

struct stats_sample {
	struct cgroup_usage cgroup;
	bool detailed, has_cgroup, has_processes, has_disk;
	uint64_t disk_bytes, disk_inodes, disk_inodes_free;	/* of the file system of the writable layers */
	struct process_usage processes;
	struct interface_usage *interfaces;	/* pods */
	size_t n_interfaces;
};

/* What is known of one object. References are taken and dropped on the loop's thread. */
struct stats_slot {
	int refs;
	struct container_info *container;	/* whose it is: one of the two */
	struct pod_info *pod;
	pid_t init;
	struct stats_sample *sample;		/* the last one; NULL */
	int64_t base_mono;			/* where the rate is counted from */
	uint64_t base_cpu, rate;		/* nanoseconds of processor time per second */
	bool has_rate;
	int64_t layer_when, layer_mono;		/* 0: never measured; CLOCK_REALTIME and _MONOTONIC */
	uint64_t layer_bytes, layer_inodes;
	unsigned round;				/* the last that it was in */
};

struct stats_slot *stats_slot_unref(struct stats_slot *s);	/* NULL is fine; returns NULL */

/* A call that waits for samples. */
struct stats_question;
typedef void (*stats_reply)(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q);

/* Owns call and q, which reply gets (and q it only borrows) on the loop's thread. detail: for metrics. NULL: out of memory, answered. */
struct stats_question *stats_question_new(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q, bool detail,
					  stats_reply reply);
void stats_question_container(struct stats_question *s, struct container *c);
void stats_question_pod(struct stats_question *s, struct pod *p);	/* without its containers */
void stats_question_ask(struct stats_question *s);

/* At the daemon's end. */
void stats_end(struct daemon *d);

#endif
