/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 3339 as Go writes it (RFC3339Nano), its durations, and the two clocks. */
#include <ctype.h>
#include <string.h>
#include <time.h>
#include <cbase/io.h>

#define NS 1000000000LL

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

int64_t mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

void time_format(int64_t ns, char out[TIME_MAX_LEN])
{
	int64_t frac = ns % NS;
	time_t sec;
	struct tm tm;
	size_t n;

	if (ns == TIME_ZERO_NS) {
		strcpy(out, "0001-01-01T00:00:00Z");
		return;
	}
	if (frac < 0)
		frac += NS;
	sec = (time_t)((ns - frac) / NS);
	gmtime_r(&sec, &tm);
	n = strftime(out, TIME_MAX_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
	if (frac) {
		n += (size_t)snprintf(out + n, TIME_MAX_LEN - n, ".%09lld", (long long)frac);
		while (out[n - 1] == '0')
			n--;
	}
	strcpy(out + n, "Z");
}

/* Exactly n digits at *s. */
static int digits(const char **s, int n, int *ret)
{
	int v = 0;

	for (; n; n--, (*s)++) {
		if (!isdigit((unsigned char)**s))
			return -EINVAL;
		v = v * 10 + (**s - '0');
	}
	*ret = v;
	return 0;
}

static int parse_fraction(const char **s, int64_t *ret)
{
	int64_t scale = NS / 10, v = 0;

	if (**s != '.')
		return 0;
	(*s)++;
	if (!isdigit((unsigned char)**s))
		return -EINVAL;
	for (; isdigit((unsigned char)**s); (*s)++, scale /= 10)
		v += (**s - '0') * scale;
	*ret = v;
	return 0;
}

static int parse_zone(const char *s, int *ret_minutes)
{
	int sign = *s == '-' ? -1 : 1, h, m;

	if ((*s == 'Z' || *s == 'z') && !s[1]) {
		*ret_minutes = 0;
		return 0;
	}
	if (*s != '+' && *s != '-')
		return -EINVAL;
	s++;
	if (digits(&s, 2, &h) || *s++ != ':' || digits(&s, 2, &m) || *s || h > 23 || m > 59)
		return -EINVAL;
	*ret_minutes = sign * (h * 60 + m);
	return 0;
}

int time_parse(const char *s, int64_t *ret_ns)
{
	struct tm tm = { 0 };
	int64_t frac = 0, sec;
	int zone;

	if (digits(&s, 4, &tm.tm_year) || *s++ != '-' || digits(&s, 2, &tm.tm_mon) || *s++ != '-' ||
	    digits(&s, 2, &tm.tm_mday) || (*s != 'T' && *s != 't' && *s != ' '))
		return -EINVAL;
	s++;
	if (digits(&s, 2, &tm.tm_hour) || *s++ != ':' || digits(&s, 2, &tm.tm_min) || *s++ != ':' ||
	    digits(&s, 2, &tm.tm_sec) || parse_fraction(&s, &frac) || parse_zone(s, &zone))
		return -EINVAL;
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return -EINVAL;
	if (tm.tm_year == 1 && tm.tm_mon == 1 && tm.tm_mday == 1) {
		*ret_ns = TIME_ZERO_NS;
		return 0;
	}
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	sec = timegm(&tm) - zone * 60;
	/* years outside 1678..2261 do not fit nanoseconds */
	if (__builtin_mul_overflow(sec, NS, &sec) || __builtin_add_overflow(sec, frac, &sec))
		return -EINVAL;
	*ret_ns = sec;
	return 0;
}

static double unit_ns(const char **p)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = { { "ns", 1 }, { "us", 1e3 }, { "\u00b5s", 1e3 }, { "\u03bcs", 1e3 }, { "ms", 1e6 },
		      { "s", 1e9 }, { "m", 60e9 }, { "h", 3600e9 } };
	size_t n = strcspn(*p, "0123456789.");

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strlen(units[i].name) != n || strncmp(*p, units[i].name, n) != 0)
			continue;
		*p += n;
		return units[i].ns;
	}
	return 0;
}

/* Digits with at most one point between or beside them; not strtod(), which knows locales and "1e3". */
static bool number(const char **p, double *ret)
{
	double scale = 0;
	bool any = false;

	for (*ret = 0; **p == '.' || (**p >= '0' && **p <= '9'); (*p)++) {
		if (**p == '.' && scale)
			return false;
		if (**p == '.') {
			scale = 1;
			continue;
		}
		any = true;
		*ret = *ret * 10 + (**p - '0');
		scale *= 10;
	}
	if (scale)
		*ret /= scale;
	return any;
}

int duration_parse(const char *s, int64_t *ret_ns)
{
	bool negative = *s == '-';
	double sum = 0, v, unit;
	const char *p = s + (*s == '-' || *s == '+');

	if (!strcmp(p, "0")) {
		*ret_ns = 0;
		return 0;
	}
	do {
		if (!number(&p, &v))
			return -EINVAL;
		unit = unit_ns(&p);
		if (!unit)
			return -EINVAL;
		sum += v * unit;
	} while (*p);
	if (sum >= 9.2e18)
		return -ERANGE;
	*ret_ns = (int64_t)(negative ? -sum : sum);
	return 0;
}
