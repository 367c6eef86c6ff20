/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples are kept one by one and sorted when a quantile is asked for: a bench has thousands of
 * them, not millions, and exact quantiles need no explaining.
 */
#include <math.h>
#include "bench_stats.h"

void samples_add(struct samples *s, int64_t ns)
{
	size_t size = s->size ? 2 * s->size : 64;
	int64_t *bigger;

	if (s->n == s->size) {
		bigger = reallocarray(s->ns, size, sizeof(*bigger));
		if (!bigger) {
			s->failed = true;
			return;
		}
		s->ns = bigger;
		s->size = size;
	}
	s->ns[s->n++] = ns;
}

void samples_done(struct samples *s)
{
	free(s->ns);
	*s = (struct samples){ 0 };
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

double samples_quantile_ms(struct samples *s, double q)
{
	double at, low;
	size_t i;

	if (!s->n || !(q >= 0 && q <= 1))
		return NAN;
	qsort(s->ns, s->n, sizeof(*s->ns), compare);
	at = q * (double)(s->n - 1);
	i = (size_t)at;
	low = (double)s->ns[i];
	if (i + 1 < s->n)
		low += (at - (double)i) * ((double)s->ns[i + 1] - low);
	return low / 1e6;
}

double stats_ratio(double a, double b)
{
	return b > 0 ? a / b : NAN;
}

double stats_each(double with, double idle, size_t n)
{
	return n ? (with - idle) / (double)n : NAN;
}

void stats_append(struct str *out, double v)
{
	double size = fabs(v);

	if (isnan(v))
		str_append_char(out, '-');
	else
		str_appendf(out, "%.*f",
			    size >= 99.95 || size == 0 ? 0
			    : size >= 9.995	       ? 1
			    : size >= 0.9995	       ? 2
			    : size >= 0.09995	       ? 3
						       : 4,
			    v);
}
