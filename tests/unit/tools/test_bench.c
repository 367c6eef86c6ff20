/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles, ratios, how figures are printed, and crid's own share out of its answer. */
#include <math.h>
#include "bench.h"
#include "ctl_main.h"

#define MS 1000000

static void add_ms(struct samples *s, const int *ms, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		samples_add(s, (int64_t)ms[i] * MS);
}

static void is_near(double v, double wanted)
{
	ck_assert_double_eq_tol(v, wanted, 1e-9);
}

START_TEST(no_samples_have_no_quantile)
{
	struct samples s = { 0 };

	ck_assert(isnan(samples_quantile_ms(&s, 0.5)));
	samples_add(&s, MS);
	ck_assert(isnan(samples_quantile_ms(&s, -0.1)));
	ck_assert(isnan(samples_quantile_ms(&s, 1.1)));
	ck_assert(isnan(samples_quantile_ms(&s, NAN)));
	samples_done(&s);
}
END_TEST

START_TEST(one_sample_is_every_quantile)
{
	struct samples s = { 0 };

	samples_add(&s, 7 * MS / 2);
	is_near(samples_quantile_ms(&s, 0), 3.5);
	is_near(samples_quantile_ms(&s, 0.5), 3.5);
	is_near(samples_quantile_ms(&s, 1), 3.5);
	samples_done(&s);
}
END_TEST

START_TEST(median_is_the_middle_whatever_the_order)
{
	static const int odd[] = { 9, 1, 5 }, even[] = { 4, 10, 1, 2 };
	struct samples s = { 0 };

	add_ms(&s, odd, 3);
	is_near(samples_quantile_ms(&s, 0.5), 5);
	samples_done(&s);
	add_ms(&s, even, 4);
	is_near(samples_quantile_ms(&s, 0.5), 3);
	samples_done(&s);
}
END_TEST

START_TEST(samples_may_come_after_a_quantile)
{
	struct samples s = { 0 };

	samples_add(&s, 4 * MS);
	samples_add(&s, 2 * MS);
	is_near(samples_quantile_ms(&s, 0.5), 3);
	samples_add(&s, 1 * MS);
	is_near(samples_quantile_ms(&s, 0.5), 2);
	samples_done(&s);
}
END_TEST

START_TEST(quantiles_of_a_thousand)
{
	struct samples s = { 0 };
	int i;

	for (i = 1000; i >= 0; i--)
		samples_add(&s, (int64_t)i * MS);
	ck_assert_uint_eq(s.n, 1001);
	is_near(samples_quantile_ms(&s, 0.5), 500);
	is_near(samples_quantile_ms(&s, 0.95), 950);
	is_near(samples_quantile_ms(&s, 0.99), 990);
	is_near(samples_quantile_ms(&s, 0.9995), 999.5);
	is_near(samples_quantile_ms(&s, 1), 1000);
	samples_done(&s);
	ck_assert_uint_eq(s.n, 0);
}
END_TEST

START_TEST(unknown_numbers_stay_unknown)
{
	is_near(stats_ratio(3, 4), 0.75);
	is_near(stats_ratio(0, 4), 0);
	ck_assert(isnan(stats_ratio(3, 0)));
	ck_assert(isnan(stats_ratio(3, NAN)));
	ck_assert(isnan(stats_ratio(NAN, 3)));
	is_near(stats_each(500, 100, 20), 20);
	is_near(stats_each(100, 140, 20), -2);
	ck_assert(isnan(stats_each(500, 100, 0)));
	ck_assert(isnan(stats_each(500, NAN, 20)));
}
END_TEST

static void prints_as(double v, const char *text)
{
	_cleanup_str_ struct str s = STR_INIT;

	stats_append(&s, v);
	ck_assert_str_eq(s.data, text);
}

START_TEST(figures_have_three_digits_or_a_dash)
{
	prints_as(NAN, "-");
	prints_as(0.0521234, "0.0521");
	prints_as(1, "1.00");
	prints_as(12.345, "12.3");
	prints_as(376.4, "376");
	prints_as(999.4, "999");
	prints_as(999.7, "1000");
	prints_as(12345.6, "12346");
	prints_as(-2.5, "-2.50");
	prints_as(0, "0");
}
END_TEST

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
#define KIND(name, count, own)                                                                     \
	"\"" name "\": {\"count\": " count ", \"wall_ns\": 9, \"own_ns\": " own "}"
#define STATS(run, create, start) "{\"pods\": 2, \"operations\": {" run ", " create ", " start "}}"

START_TEST(own_share_is_the_sum_of_the_means)
{
	static const char first[] = HEAD STATS(KIND("run_pod", "2", "1000000"),
					       KIND("create_container", "3", "0"),
					       KIND("start_container", "0", "0")),
			  second[] = HEAD STATS(KIND("run_pod", "6", "9000000"),
						KIND("create_container", "5", "3000000"),
						KIND("start_container", "1", "500000"));
	struct share a, b;

	ck_assert(share_parse(first, strlen(first), &a));
	ck_assert(share_parse(second, strlen(second), &b));
	ck_assert_int_eq(a.count[1], 3);
	ck_assert_int_eq(b.own_ns[0], 9000000);
	is_near(share_between(&a, &b), 2 + 1.5 + 0.5);
	ck_assert(isnan(share_between(&a, &a))); /* nothing happened meanwhile */
}
END_TEST

START_TEST(other_answers_tell_no_share)
{
	static const char *const answers[] = {
		"",
		"HTTP/1.1 200 ",
		"HTTP/1.1 404 Not Found\r\n\r\n" STATS(KIND("run_pod", "1", "1"),
						       KIND("create_container", "1", "1"),
						       KIND("start_container", "1", "1")),
		HEAD "",
		HEAD "{",
		HEAD "[]",
		HEAD STATS(KIND("run_pod", "1", "1"), KIND("create_container", "1", "1"),
			   KIND("other", "1", "1")),
		HEAD STATS(KIND("run_pod", "\"1\"", "1"), KIND("create_container", "1", "1"),
			   KIND("start_container", "1", "1")),
		"\0\0\x12\x04\0\0\0\0\0", /* HTTP/2 */
	};
	struct share known = { .known = true, .count = { 1, 1, 1 } }, s;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		ck_assert(!share_parse(answers[i], strlen(answers[i]), &s));
		ck_assert(!s.known);
		ck_assert(isnan(share_between(&s, &known)));
		ck_assert(isnan(share_between(&known, &s)));
	}
}
END_TEST

START_TEST(own_process_has_memory_and_time)
{
	struct memory m;

	ck_assert(proc_cpu_ns(getpid()) > 0);
	proc_memory(getpid(), &m);
	ck_assert(m.pss > 4096 && m.private_dirty > 4096 && m.pss >= m.private_dirty);
	ck_assert_int_eq(proc_cpu_ns(0), -1);
	proc_memory(0, &m);
	ck_assert(isnan(m.pss) && isnan(m.private_dirty));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		no_samples_have_no_quantile,
		one_sample_is_every_quantile,
		median_is_the_middle_whatever_the_order,
		samples_may_come_after_a_quantile,
		quantiles_of_a_thousand,
		unknown_numbers_stay_unknown,
		figures_have_three_digits_or_a_dash,
		own_share_is_the_sum_of_the_means,
		other_answers_tell_no_share,
		own_process_has_memory_and_time,
	};

	return run_tests("bench", tests, ARRAY_SIZE(tests));
}
