/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <cbase/io.h>
#include "loop.h"
#include "unit.h"

static struct loop *l;
static char trace[64];
static size_t n_trace;

#define NOTE(c) ((void *)(uintptr_t)(c))

static void note(char c)
{
	ck_assert_uint_lt(n_trace, sizeof(trace) - 1);
	trace[n_trace++] = c;
}

static void begin(void)
{
	ck_assert_int_eq(loop_new(&l), 0);
}

static void note_fn(void *user)
{
	note((char)(uintptr_t)user);
}

static void quit_fn(void *user)
{
	loop_quit(l);
}

START_TEST(timers_run_in_order_of_time_and_of_setting)
{
	int64_t now = mono_ns();
	struct loop_timer *t;

	begin();
	ck_assert_int_eq(loop_timer(l, now + 3000000, quit_fn, NULL, &t), 0);
	ck_assert_int_eq(loop_timer(l, now + 2000000, note_fn, NOTE('c'), &t), 0);
	ck_assert_int_eq(loop_timer(l, now - 5, note_fn, NOTE('a'), &t), 0);
	ck_assert_int_eq(loop_timer(l, now + 2000000, note_fn, NOTE('d'), &t), 0);
	ck_assert_int_eq(loop_timer(l, now + 1000000, note_fn, NOTE('b'), &t), 0);
	ck_assert_int_eq(loop_run(l), 0);
	ck_assert_int_ge(mono_ns(), now + 3000000);
	ck_assert_str_eq(trace, "abcd");
	loop_free(l);
}
END_TEST

START_TEST(cancelled_timer_does_not_run)
{
	int64_t now = mono_ns();
	struct loop_timer *first, *middle, *last, *t;

	begin();
	loop_timer(l, now, note_fn, NOTE('1'), &first);
	loop_timer(l, now + 1, note_fn, NOTE('2'), &middle);
	loop_timer(l, now + 2, note_fn, NOTE('3'), &last);
	loop_timer(l, now + 1000000, quit_fn, NULL, &t);
	ck_assert_ptr_null(loop_cancel(middle));
	ck_assert_ptr_null(loop_cancel(last));
	ck_assert_ptr_null(loop_cancel(NULL));
	loop_run(l);
	ck_assert_str_eq(trace, "1");
	loop_free(l);
}
END_TEST

static struct loop_timer *other;

static void cancel_other(void *user)
{
	note('x');
	other = loop_cancel(other);
	loop_timer(l, mono_ns(), note_fn, NOTE('y'), &other);
}

START_TEST(timer_may_cancel_and_set_timers)
{
	int64_t now = mono_ns();
	struct loop_timer *t;

	begin();
	loop_timer(l, now, cancel_other, NULL, &t);
	loop_timer(l, now + 1, note_fn, NOTE('n'), &other);
	loop_timer(l, now + 2000000, quit_fn, NULL, &t);
	loop_run(l);
	ck_assert_str_eq(trace, "xy");
	loop_free(l);
}
END_TEST

static struct loop_source *sources[2];
static int pipes[2][2];

/* Both are readable in one batch; the first removes both. */
static void remove_both(void *user, uint32_t events)
{
	note('r');
	for (int i = 0; i < 2; i++) {
		sources[i] = loop_remove(sources[i]);
		close(pipes[i][0]);
	}
	loop_post(l, quit_fn, NULL);
}

START_TEST(source_removed_in_the_same_batch_is_not_called)
{
	begin();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pipe2(pipes[i], O_CLOEXEC), 0);
		ck_assert_int_eq(write(pipes[i][1], "x", 1), 1);
		ck_assert_int_eq(loop_add(l, pipes[i][0], EPOLLIN, remove_both, NULL, &sources[i]), 0);
	}
	loop_run(l);
	ck_assert_str_eq(trace, "r");
	ck_assert_ptr_null(loop_remove(NULL));
	loop_free(l);
	close(pipes[0][1]);
	close(pipes[1][1]);
}
END_TEST

static void post_more(void *user)
{
	note('1');
	loop_post(l, note_fn, NOTE('3'));
	loop_post(l, quit_fn, NULL);
}

START_TEST(posts_run_in_order_also_those_from_posts)
{
	begin();
	loop_post(l, post_more, NULL);
	loop_post(l, note_fn, NOTE('2'));
	loop_run(l);
	ck_assert_str_eq(trace, "123");
	loop_free(l);
}
END_TEST

#define POSTS 10000
static size_t counted;

static void count(void *user)
{
	if (++counted == 4 * POSTS)
		loop_quit(l);
}

static void *post_many(void *user)
{
	for (int i = 0; i < POSTS; i++)
		loop_post(l, count, NULL);
	return NULL;
}

START_TEST(posts_of_several_threads_all_arrive)
{
	pthread_t t[4];

	begin();
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, post_many, NULL), 0);
	loop_run(l);
	ck_assert_uint_eq(counted, 4 * POSTS);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	loop_free(l);
}
END_TEST

START_TEST(bad_descriptor_is_an_error)
{
	struct loop_source *s = NULL;

	begin();
	ck_assert_int_eq(loop_add(l, -1, EPOLLIN, remove_both, NULL, &s), -EBADF);
	ck_assert_ptr_null(s);
	loop_post(l, note_fn, NOTE('n'));	/* dropped */
	loop_free(l);
	ck_assert_str_eq(trace, "");
	ck_assert_ptr_null(loop_free(NULL));
}
END_TEST

UNIT_MAIN("loop", timers_run_in_order_of_time_and_of_setting, cancelled_timer_does_not_run, timer_may_cancel_and_set_timers,
	  source_removed_in_the_same_batch_is_not_called, posts_run_in_order_also_those_from_posts,
	  posts_of_several_threads_all_arrive, bad_descriptor_is_an_error)
