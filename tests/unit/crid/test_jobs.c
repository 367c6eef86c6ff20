/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <semaphore.h>
#include "jobs.h"
#include "unit.h"

static struct loop *l;
static struct jobs *jobs;
static pthread_t loop_thread;
static int ran, done;
static sem_t gate, entered;

static void begin(void)
{
	loop_thread = pthread_self();
	sem_init(&gate, 0, 0);
	sem_init(&entered, 0, 0);
	ck_assert_int_eq(loop_new(&l), 0);
	ck_assert_int_eq(jobs_new(l, &jobs), 0);
}

static void end(void)
{
	jobs_free(jobs);
	loop_free(l);
}

static void quit(void *user)
{
	loop_quit(l);
}

static void run_count(struct job *j)
{
	ck_assert(!pthread_equal(pthread_self(), loop_thread));
	__atomic_add_fetch(&ran, 1, __ATOMIC_RELAXED);
}

static void run_gate(struct job *j)
{
	sem_post(&entered);
	sem_wait(&gate);
	run_count(j);
}

static void done_count(struct job *j)
{
	ck_assert(pthread_equal(pthread_self(), loop_thread));
	done++;
}

START_TEST(every_job_runs_once_and_is_done_on_the_loop)
{
	struct job j[500];

	begin();
	jobs_on_idle(jobs, quit, NULL);
	for (int i = 0; i < 500; i++) {
		j[i] = (struct job){ .run = run_count, .done = done_count };
		jobs_submit(jobs, (enum lane)(i % LANE_COUNT), &j[i]);
	}
	ck_assert_int_eq(loop_run(l), 0);
	ck_assert_int_eq(ran, 500);
	ck_assert_int_eq(done, 500);
	ck_assert_uint_eq(jobs_running(jobs), 0);
	end();
}
END_TEST

static void open_gates(struct job *j)
{
	done++;
	for (int i = 0; i < 200; i++)
		sem_post(&gate);
}

/* All threads of one lane hang, with more waiting; another lane goes on. */
START_TEST(hanging_lane_does_not_hold_up_another)
{
	struct job hang[200], other = { .run = run_count, .done = open_gates };

	begin();
	jobs_on_idle(jobs, quit, NULL);
	for (int i = 0; i < 200; i++) {
		hang[i] = (struct job){ .run = run_gate, .done = done_count };
		jobs_submit(jobs, LANE_OPS, &hang[i]);
	}
	sem_wait(&entered);
	jobs_submit(jobs, LANE_STOP, &other);
	loop_run(l);
	ck_assert_int_eq(ran, 201);
	ck_assert_int_eq(done, 201);
	end();
}
END_TEST

/* As many as the lane has threads get in; one more does not. */
START_TEST(lane_has_a_bounded_number_of_threads)
{
	struct job j[40];
	int in = 0;

	begin();
	jobs_on_idle(jobs, quit, NULL);
	for (int i = 0; i < 40; i++) {
		j[i] = (struct job){ .run = run_gate, .done = done_count };
		jobs_submit(jobs, LANE_EXEC, &j[i]);
	}
	for (int i = 0; i < 8; i++)
		sem_wait(&entered);
	sem_getvalue(&entered, &in);
	ck_assert_int_eq(in, 0);
	ck_assert_uint_eq(jobs_threads(jobs), 8);
	for (int i = 0; i < 40; i++)
		sem_post(&gate);
	loop_run(l);
	ck_assert_int_eq(done, 40);
	end();
}
END_TEST

static struct job second = { .run = run_count, .done = done_count };

static void submit_second(struct job *j)
{
	done++;
	jobs_submit(jobs, LANE_NET, &second);
}

START_TEST(done_may_submit_and_idle_comes_after_it)
{
	struct job first = { .run = run_count, .done = submit_second };

	begin();
	jobs_on_idle(jobs, quit, NULL);
	jobs_submit(jobs, LANE_NET, &first);
	ck_assert_uint_eq(jobs_running(jobs), 1);
	loop_run(l);
	ck_assert_int_eq(done, 2);
	end();
}
END_TEST

START_TEST(only_measured_operations_count)
{
	struct job a = { .run = run_count, .done = done_count, .op = OP_RUN_POD };
	struct job b = { .run = run_count, .done = done_count };

	begin();
	jobs_on_idle(jobs, quit, NULL);
	jobs_submit(jobs, LANE_OPS, &a);
	jobs_submit(jobs, LANE_OPS, &b);
	loop_run(l);
	ck_assert_uint_eq(jobs_op_stats(jobs, OP_RUN_POD).count, 1);
	ck_assert_int_gt(jobs_op_stats(jobs, OP_RUN_POD).wall_ns, 0);
	ck_assert_uint_eq(jobs_op_stats(jobs, OP_STOP_POD).count, 0);
	end();
}
END_TEST

UNIT_MAIN("jobs", every_job_runs_once_and_is_done_on_the_loop, hanging_lane_does_not_hold_up_another,
	  lane_has_a_bounded_number_of_threads, done_may_submit_and_idle_comes_after_it, only_measured_operations_count)
