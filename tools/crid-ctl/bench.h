/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of `crid-ctl bench`: bench.c decides what is measured in which order, bench_calls.c makes
 * the calls and the pods, bench_proc.c looks at the daemon from outside, bench_share.c asks crid for
 * its own share, bench_report.c prints.
 */
#ifndef CRID_CTL_BENCH_H
#define CRID_CTL_BENCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include "bench_stats.h"
#include "ctl.h"

#define BENCH_SIDES_MAX 2
#define BENCH_LABEL "crid-ctl.bench" /* of every pod we make; the value is bench.run_id */

enum bench_call {
	CALL_VERSION,
	CALL_LIST,
	CALL_RUN_POD,
	CALL_CREATE,
	CALL_START,
	CALL_EXEC,
	CALL_STOP,
	CALL_REMOVE,
	CALL_STOP_POD,
	CALL_REMOVE_POD,
	N_CALLS
};
enum bench_net { NET_NONE, NET_CNI, NET_HOST, N_NETS }; /* NET_NONE: the call concerns no pod */
enum bench_load { LOAD_ONE, LOAD_MANY, N_LOADS };	/* one client, or all of them at once */
/* Before anything was made; when one pod had come and gone; with all pods. */
enum bench_stage { STAGE_IDLE, STAGE_WARM, STAGE_FULL, N_STAGES };

struct series {
	struct samples wall;
	int64_t cpu_ns; /* of the daemon, over cpu_calls calls */
	size_t cpu_calls;
};

struct memory {
	double pss, private_dirty; /* bytes; NAN: unknown */
};

struct made_pod {
	char *pod, *container; /* ids */
};

/* One server. */
struct side {
	const char *endpoint;
	char *server;	     /* "crid 0.1.0" */
	pid_t pid;	     /* 0: unknown */
	char *image;	     /* id */
	struct ctl *clients; /* bench.clients of them, one for each thread */
	struct series series[N_LOADS][N_NETS][N_CALLS];
	struct memory memory[N_STAGES], monitors;
	size_t n_monitors;
	size_t listed;	       /* containers in the answers of ListContainers */
	struct made_pod *pods; /* bench.pods of them */
	double own_share_ms;
};

struct bench {
	struct side sides[BENCH_SIDES_MAX];
	size_t n_sides;
	size_t count, clients, n_pods;
	long long settle; /* seconds without calls before memory is read */
	bool nets[N_NETS];
	const char *image;
	char run_id[17];
	char *log_dir;
	pthread_mutex_t lock; /* the series */
	atomic_uint next;     /* number of the next pod */
	atomic_bool failed;
};

static inline bool bench_ends(struct bench *b)
{
	return atomic_load(&b->failed) || interrupted();
}

/* ---- bench_calls.c: all complain, set bench.failed, and do nothing more once it is set ---- */

/* Time goes into the series of load and net; record NULL: not measured. */
struct place {
	enum bench_load load;
	enum bench_net net;
};

/* n calls of Version or ListContainers. */
void bench_version(struct bench *b, struct side *s, struct ctl *c, const struct place *record,
		   size_t n);
void bench_list(struct bench *b, struct side *s, struct ctl *c, const struct place *record,
		size_t n);
/* One pod with one container from RunPodSandbox to RemovePodSandbox. */
void bench_cycle(struct bench *b, struct side *s, struct ctl *c, enum bench_net net,
		 const struct place *record);
/* One pod that stays, not measured. */
void bench_make_pod(struct bench *b, struct side *s, struct ctl *c, enum bench_net net,
		    struct made_pod *ret);
/* Every pod that carries our label, also one whose call was given up. Exit status. */
int bench_remove_pods(struct bench *b, struct side *s);

/* ---- bench_proc.c ---- */

int proc_peer(const char *endpoint, pid_t *ret); /* who listens; 0 or -errno */
int64_t proc_cpu_ns(pid_t pid);			 /* user and system time so far; -1: unknown */
void proc_memory(pid_t pid, struct memory *ret);
/* conmon and containerd-shim processes with one of these ids in their command line, summed up. */
size_t proc_monitors(const struct made_pod *pods, size_t n, struct memory *ret);

/* ---- bench_share.c ---- */

enum { SHARE_KINDS = 3 };
struct share {
	bool known;
	int64_t own_ns[SHARE_KINDS], count[SHARE_KINDS]; /* totals of run, create, start */
};
void share_read(const char *endpoint, struct share *ret);
/* The body of a whole HTTP answer; false: it is not crid's. For the unit tests, too. */
bool share_parse(const char *answer, size_t n, struct share *ret);
/* Milliseconds of one pod: the mean of each kind between the two, added up; NAN: unknown. */
double share_between(const struct share *before, const struct share *after);

/* ---- bench_report.c ---- */

int report_tables(struct bench *b); /* exit status */
int report_json(struct bench *b);
void report_line(struct bench *b, FILE *f);

#endif
