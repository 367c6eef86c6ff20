/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of the bench: samples, their quantiles, and numbers that may be unknown. */
#ifndef CRID_CTL_BENCH_STATS_H
#define CRID_CTL_BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cbase/str.h>

struct samples {
	int64_t *ns;
	size_t n, size;
	bool failed; /* out of memory: it has fewer than were added */
};

void samples_add(struct samples *s, int64_t ns);
void samples_done(struct samples *s);
/*
 * The value below which q (0 to 1) of the samples lie, between two of them interpolated, so that
 * the 0.5 quantile of an even number is the usual median. Milliseconds; NAN without samples. Sorts
 * them.
 */
double samples_quantile_ms(struct samples *s, double q);

/* Unknown numbers are NAN, and what is made of one is NAN, too. */
double stats_ratio(double a, double b); /* a / b; NAN unless b > 0 */
/* What each of n objects added, the measured value having been idle without them. */
double stats_each(double with, double idle, size_t n);
/* Three digits, more when large, fewer below 0.01; "-" for an unknown number: "0.0521", "376", "1240". */
void stats_append(struct str *out, double v);

#endif
