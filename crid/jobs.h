/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operation threads. A job's run() does the blocking work on a thread of its lane and touches nothing
 * but the job; done() then runs on the loop's thread and takes the result into the table. Lanes keep
 * kinds of work apart: whatever hangs in one cannot hold up another.
 */
#ifndef CRID_JOBS_H
#define CRID_JOBS_H

#include "log.h"
#include "loop.h"

enum lane {
	LANE_OPS,	/* run, create, start, remove */
	LANE_STOP,	/* stop, kill, exit handling: nothing else may use it */
	LANE_NET,	/* network teardown and status: plugins may hang */
	LANE_EXEC,	/* exec set-up and results */
	LANE_IMAGE,	/* image records, worker hand-over */
	LANE_SELF,	/* what the daemon does with itself: its watchdog, its configuration */
	LANE_STATS,	/* the sampler */
	LANE_LAYERS,	/* what writable layers take */
	LANE_COUNT
};

/* What is measured (docs/inspect.md), and nothing else. */
enum operation {
	OP_UNMEASURED,
	OP_RUN_POD,
	OP_STOP_NETWORK,
	OP_STOP_POD,
	OP_REMOVE_POD,
	OP_CREATE_CONTAINER,
	OP_START_CONTAINER,
	OP_END_CONTAINER,
	OP_REMOVE_CONTAINER,
	OP_UPDATE_CONTAINER,
	OP_COUNT
};

struct job {
	void (*run)(struct job *j);
	void (*done)(struct job *j);	/* owns the job */
	enum operation op;
	int64_t submitted;		/* CLOCK_MONOTONIC ns, of a measured one */
	struct log_request request;	/* on whose behalf: that of the submitter */
	struct job *next;
};

struct jobs;

int jobs_new(struct loop *l, struct jobs **ret);
/* Waits for what runs; what is queued does not run. */
struct jobs *jobs_free(struct jobs *j);
void jobs_submit(struct jobs *j, enum lane lane, struct job *job);
/* Totals of one kind since the start: from submitting to the end of done(). Loop's thread. */
struct op_stats {
	uint64_t count;
	int64_t wall_ns, own_ns;	/* own: without the children that were waited for */
};
struct op_stats jobs_op_stats(const struct jobs *j, enum operation op);
size_t jobs_threads(struct jobs *j);
size_t jobs_running(struct jobs *j);	/* queued and running, all lanes */
/* fn runs on the loop's thread after a job's done(), whenever none is left. */
void jobs_on_idle(struct jobs *j, void (*fn)(void *user), void *user);

#endif
