/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>

#include "timers.h"

#define N 200

static struct timers ts;
static struct timer timers[N];
static int64_t fired[N];
static size_t n_fired;

static void note(struct timer *t)
{
	ck_assert_uint_eq(t->pos, 0);
	fired[n_fired++] = t->when;
}

static void setup(void)
{
	n_fired = 0;
	for (size_t i = 0; i < N; i++)
		timers[i] = (struct timer){ .fn = note };
}

static void teardown(void)
{
	timers_done(&ts);
}

START_TEST(timers_fire_in_order_and_once)
{
	srand(1);
	for (size_t i = 0; i < N; i++)
		ck_assert_int_eq(timers_set(&ts, &timers[i], rand() % 1000), 0);
	timers_run(&ts, 499);
	for (size_t i = 1; i < n_fired; i++)
		ck_assert_int_le(fired[i - 1], fired[i]);
	ck_assert_int_le(fired[n_fired - 1], 499);
	ck_assert_int_ge(timers_next(&ts), 500);
	timers_run(&ts, 1000);
	ck_assert_uint_eq(n_fired, N);
	ck_assert_int_eq(timers_next(&ts), INT64_MAX);
}
END_TEST

START_TEST(unset_timers_do_not_fire)
{
	size_t left = 0;

	srand(2);
	for (size_t i = 0; i < N; i++)
		ck_assert_int_eq(timers_set(&ts, &timers[i], rand() % 50), 0);
	for (size_t i = 0; i < N; i++) {
		if (rand() % 3)
			timers_unset(&ts, &timers[i]);
		else
			left++;
	}
	timers_unset(&ts, &timers[0]);
	timers_unset(&ts, &timers[0]);
	timers_run(&ts, 100);
	ck_assert_uint_le(left - n_fired, 1);
	for (size_t i = 1; i < n_fired; i++)
		ck_assert_int_le(fired[i - 1], fired[i]);
}
END_TEST

START_TEST(moved_timer_fires_at_its_new_time)
{
	for (size_t i = 0; i < N; i++)
		ck_assert_int_eq(timers_set(&ts, &timers[i], 10), 0);
	for (size_t i = 0; i < N; i++)
		ck_assert_int_eq(timers_set(&ts, &timers[i], i % 2 ? 5 : 20), 0);
	timers_run(&ts, 10);
	ck_assert_uint_eq(n_fired, N / 2);
	timers_run(&ts, 20);
	ck_assert_uint_eq(n_fired, N);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("timers");
	TCase *tc = tcase_create("timers");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, timers_fire_in_order_and_once);
	tcase_add_test(tc, unset_timers_do_not_fire);
	tcase_add_test(tc, moved_timer_fires_at_its_new_time);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
