/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One queue and a bounded number of threads per lane. Threads are made when work waits and no thread
 * is idle, and end after IDLE_SECONDS without work, so that an idle daemon has none. Jobs may have no
 * thread for a while when none can be made; they are then taken by the next one that is free.
 */
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <cbase/io.h>
#include "jobs.h"
#include "log.h"
#include "optime.h"

#define IDLE_SECONDS 10
#define STACK_SIZE (256u << 10)

static const size_t lane_threads[LANE_COUNT] = {
	[LANE_OPS] = 32, [LANE_STOP] = 16, [LANE_NET] = 32, [LANE_EXEC] = 8, [LANE_IMAGE] = 4,
	[LANE_SELF] = 2,
	[LANE_STATS] = 1, [LANE_LAYERS] = 1,
};

struct lane_state {
	struct jobs *jobs;
	size_t max, threads, idle, queued;
	struct job *first, **last;
	pthread_cond_t work;
};

struct jobs {
	struct loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t all_ended;
	bool ending;
	size_t threads, running;
	void (*on_idle)(void *user);	/* loop's thread only */
	void *idle_user;
	struct op_stats stats[OP_COUNT];	/* loop's thread only */
	struct lane_state lanes[LANE_COUNT];
};

struct finished {
	struct jobs *jobs;
	struct job *job;
	int64_t waited;		/* ns for children */
};

int jobs_new(struct loop *l, struct jobs **ret)
{
	struct jobs *j = calloc(1, sizeof(*j));
	pthread_condattr_t attr;
	size_t i;

	if (!j)
		return -ENOMEM;
	j->loop = l;
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->all_ended, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	for (i = 0; i < LANE_COUNT; i++) {
		j->lanes[i] = (struct lane_state){ .jobs = j, .max = lane_threads[i] };
		j->lanes[i].last = &j->lanes[i].first;
		pthread_cond_init(&j->lanes[i].work, &attr);
	}
	pthread_condattr_destroy(&attr);
	*ret = j;
	return 0;
}

/* On the loop's thread. */
static void finish(void *user)
{
	struct finished f = *(struct finished *)user;
	struct op_stats *stats = &f.jobs->stats[f.job->op];
	int64_t submitted = f.job->submitted, wall;
	size_t left;

	free(user);
	log_request_set(&f.job->request);
	f.job->done(f.job);
	if (submitted) {
		wall = mono_ns() - submitted;
		stats->count++;
		stats->wall_ns += wall;
		stats->own_ns += wall - f.waited;
	}
	pthread_mutex_lock(&f.jobs->lock);
	left = --f.jobs->running;
	pthread_mutex_unlock(&f.jobs->lock);
	if (!left && f.jobs->on_idle)
		f.jobs->on_idle(f.jobs->idle_user);
}

void jobs_on_idle(struct jobs *j, void (*fn)(void *), void *user)
{
	j->on_idle = fn;
	j->idle_user = user;
}

static void run_one(struct jobs *j, struct job *job)
{
	struct finished *f = malloc(sizeof(*f));

	if (!f)
		abort();
	*f = (struct finished){ .jobs = j, .job = job };
	log_request_set(&job->request);
	optime_begin();
	job->run(job);
	f->waited = optime_end();
	loop_post(j->loop, finish, f);
}

/* Waits for work; NULL: none came for a while, or the daemon ends. Locked. */
static struct job *next_job(struct lane_state *lane)
{
	struct jobs *j = lane->jobs;
	struct timespec until;
	struct job *job;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	while (!lane->first && !j->ending) {
		int r;

		lane->idle++;
		r = pthread_cond_timedwait(&lane->work, &j->lock, &until);
		lane->idle--;
		if (r == ETIMEDOUT)
			break;
	}
	job = j->ending ? NULL : lane->first;
	if (job) {
		lane->first = job->next;
		if (!lane->first)
			lane->last = &lane->first;
		lane->queued--;
	}
	return job;
}

/*
 * What many pods needed at once is scattered over the heap and stays there when they are gone. A
 * thread that ends, because there was no work for a while, gives it back to the system unless
 * another one works now: it would wait for the heap's lock. Locked.
 */
static bool trim_is_due(const struct jobs *j)
{
	size_t i, idle = 0;

	for (i = 0; i < LANE_COUNT; i++)
		idle += j->lanes[i].idle;
	return !j->ending && j->threads == idle + 1;
}

static void *lane_main(void *user)
{
	struct lane_state *lane = user;
	struct jobs *j = lane->jobs;
	struct job *job;
	bool trim;

	pthread_mutex_lock(&j->lock);
	while ((job = next_job(lane))) {
		pthread_mutex_unlock(&j->lock);
		run_one(j, job);
		pthread_mutex_lock(&j->lock);
	}
	lane->threads--;
	trim = trim_is_due(j);
	if (--j->threads == 0)
		pthread_cond_signal(&j->all_ended);
	pthread_mutex_unlock(&j->lock);
	if (trim)
		malloc_trim(0);
	return NULL;
}

/* Locked. Signals stay with the loop's thread. */
static void start_thread(struct lane_state *lane)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t t;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE > (size_t)PTHREAD_STACK_MIN ? STACK_SIZE : (size_t)PTHREAD_STACK_MIN);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&t, &attr, lane_main, lane);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r) {
		log_warn("start an operation thread: errno %d; %zu jobs wait for %zu threads", r, lane->queued, lane->threads);
		return;
	}
	lane->threads++;
	lane->jobs->threads++;
}

void jobs_submit(struct jobs *j, enum lane which, struct job *job)
{
	struct lane_state *lane = &j->lanes[which];

	job->next = NULL;
	job->submitted = job->op ? mono_ns() : 0;
	job->request = log_request_get();
	pthread_mutex_lock(&j->lock);
	*lane->last = job;
	lane->last = &job->next;
	lane->queued++;
	j->running++;
	if (lane->queued > lane->idle && lane->threads < lane->max)
		start_thread(lane);
	pthread_cond_signal(&lane->work);
	pthread_mutex_unlock(&j->lock);
}

struct op_stats jobs_op_stats(const struct jobs *j, enum operation op)
{
	return j->stats[op];
}

size_t jobs_threads(struct jobs *j)
{
	size_t n;

	pthread_mutex_lock(&j->lock);
	n = j->threads;
	pthread_mutex_unlock(&j->lock);
	return n;
}

size_t jobs_running(struct jobs *j)
{
	size_t n;

	pthread_mutex_lock(&j->lock);
	n = j->running;
	pthread_mutex_unlock(&j->lock);
	return n;
}

struct jobs *jobs_free(struct jobs *j)
{
	size_t i;

	if (!j)
		return NULL;
	pthread_mutex_lock(&j->lock);
	j->ending = true;
	for (i = 0; i < LANE_COUNT; i++)
		pthread_cond_broadcast(&j->lanes[i].work);
	while (j->threads)
		pthread_cond_wait(&j->all_ended, &j->lock);
	pthread_mutex_unlock(&j->lock);
	for (i = 0; i < LANE_COUNT; i++)
		pthread_cond_destroy(&j->lanes[i].work);
	pthread_cond_destroy(&j->all_ended);
	pthread_mutex_destroy(&j->lock);
	free(j);
	return NULL;
}
