/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See cgroup_usage.h. Most files are numbers, alone or behind a key, so a table says where each goes; rows
 * of one file stand together, and the file is read once for all of them. Pressure, devices and huge
 * pages have shapes of their own. What is missing or is no number stays unknown.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "cgroup.h"
#include "cgroup_path.h"
#include "cgroup_usage.h"

#define FILE_MAX_BYTES 16384		/* what is longer is cut behind its last whole line */
#define V1_UNLIMITED (1ull << 62)	/* limits of v1 are huge numbers in place of "max" */
#define TICK 10000000ull		/* ns: cpuacct.stat counts in USER_HZ, which is 100 on every Linux */

enum { DETAIL = 1, LIMIT = 2 };

struct number {
	const char *controller;		/* v1: of the hierarchy */
	const char *file, *key;		/* key NULL: the first word of the file */
	size_t offset;
	uint64_t scale;
	int flags;
};

#define AT(m) offsetof(struct cgroup_usage, m)

static const struct number v1_numbers[] = {
	{ "cpuacct", "cpuacct.usage", NULL, AT(cpu), 1, 0 },
	{ "cpuacct", "cpuacct.stat", "user", AT(cpu_user), TICK, DETAIL },
	{ "cpuacct", "cpuacct.stat", "system", AT(cpu_system), TICK, DETAIL },
	{ "cpu", "cpu.stat", "nr_periods", AT(periods), 1, DETAIL },
	{ "cpu", "cpu.stat", "nr_throttled", AT(throttled), 1, DETAIL },
	{ "cpu", "cpu.stat", "throttled_time", AT(throttled_time), 1, DETAIL },
	{ "memory", "memory.usage_in_bytes", NULL, AT(memory), 1, 0 },
	{ "memory", "memory.limit_in_bytes", NULL, AT(memory_limit), 1, LIMIT },
	{ "memory", "memory.stat", "total_rss", AT(rss), 1, 0 },
	{ "memory", "memory.stat", "total_cache", AT(cache), 1, 0 },
	{ "memory", "memory.stat", "total_mapped_file", AT(mapped), 1, 0 },
	{ "memory", "memory.stat", "total_inactive_file", AT(inactive_file), 1, 0 },
	{ "memory", "memory.stat", "total_pgfault", AT(faults), 1, 0 },
	{ "memory", "memory.stat", "total_pgmajfault", AT(major_faults), 1, 0 },
	{ "memory", "memory.memsw.usage_in_bytes", NULL, AT(memsw), 1, 0 },
	{ "memory", "memory.memsw.limit_in_bytes", NULL, AT(memsw_limit), 1, LIMIT },
	{ "memory", "memory.oom_control", "oom_kill", AT(oom_kills), 1, DETAIL },
	{ "memory", "memory.max_usage_in_bytes", NULL, AT(memory_peak), 1, DETAIL },
	{ "memory", "memory.failcnt", NULL, AT(memory_failures), 1, DETAIL },
	{ "memory", "memory.kmem.usage_in_bytes", NULL, AT(kernel), 1, DETAIL },
	{ "memory", "memory.soft_limit_in_bytes", NULL, AT(memory_reservation), 1, DETAIL | LIMIT },
	{ "pids", "pids.current", NULL, AT(tasks), 1, 0 },
	{ "pids", "pids.max", NULL, AT(tasks_limit), 1, DETAIL | LIMIT },
	{ NULL, NULL, NULL, 0, 0, 0 },
};

static const struct number v2_numbers[] = {
	{ "", "cpu.stat", "usage_usec", AT(cpu), 1000, 0 },
	{ "", "cpu.stat", "user_usec", AT(cpu_user), 1000, 0 },
	{ "", "cpu.stat", "system_usec", AT(cpu_system), 1000, 0 },
	{ "", "cpu.stat", "nr_periods", AT(periods), 1, 0 },
	{ "", "cpu.stat", "nr_throttled", AT(throttled), 1, 0 },
	{ "", "cpu.stat", "throttled_usec", AT(throttled_time), 1000, 0 },
	{ "", "memory.current", NULL, AT(memory), 1, 0 },
	{ "", "memory.max", NULL, AT(memory_limit), 1, LIMIT },
	{ "", "memory.stat", "anon", AT(rss), 1, 0 },
	{ "", "memory.stat", "file", AT(cache), 1, 0 },
	{ "", "memory.stat", "file_mapped", AT(mapped), 1, 0 },
	{ "", "memory.stat", "inactive_file", AT(inactive_file), 1, 0 },
	{ "", "memory.stat", "kernel", AT(kernel), 1, 0 },
	{ "", "memory.stat", "pgfault", AT(faults), 1, 0 },
	{ "", "memory.stat", "pgmajfault", AT(major_faults), 1, 0 },
	{ "", "memory.swap.current", NULL, AT(swap), 1, 0 },
	{ "", "memory.swap.max", NULL, AT(swap_limit), 1, LIMIT },
	{ "", "memory.events", "oom_kill", AT(oom_kills), 1, DETAIL },
	{ "", "memory.events", "max", AT(memory_failures), 1, DETAIL },
	{ "", "memory.peak", NULL, AT(memory_peak), 1, DETAIL },
	{ "", "memory.low", NULL, AT(memory_reservation), 1, DETAIL | LIMIT },
	{ "", "pids.current", NULL, AT(tasks), 1, 0 },
	{ "", "pids.max", NULL, AT(tasks_limit), 1, DETAIL | LIMIT },
	{ NULL, NULL, NULL, 0, 0, 0 },
};

/* ---- parsing ---- */

/* A number that ends at a blank or the end, "max" being without limit. */
static uint64_t parse_number(const char *p, const struct number *n)
{
	unsigned long long v;
	uint64_t scaled;
	char *end;

	if ((n->flags & LIMIT) && str_starts(p, "max"))
		return USAGE_UNLIMITED;
	if (*p < '0' || *p > '9')
		return USAGE_UNKNOWN;
	errno = 0;
	v = strtoull(p, &end, 10);
	if (errno || (*end && *end != ' ' && *end != '\n'))
		return USAGE_UNKNOWN;
	if ((n->flags & LIMIT) && v >= V1_UNLIMITED)
		return USAGE_UNLIMITED;
	return __builtin_mul_overflow((uint64_t)v, n->scale, &scaled) || scaled >= USAGE_UNKNOWN ? USAGE_UNKNOWN : scaled;
}

/* What stands behind "KEY " at the beginning of a line; NULL. */
static const char *find_key(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (strncmp(text, key, n) == 0 && text[n] == ' ')
			return text + n + 1;
	}
	return NULL;
}

static void take_number(const struct number *n, const char *text, struct cgroup_usage *u)
{
	const char *p = n->key ? find_key(text, n->key) : text;

	if (p)
		*(uint64_t *)(void *)((char *)u + n->offset) = parse_number(p, n);
}

/* "avg10=1.23": always two digits behind the point, and no locale. */
static double parse_average(const char *line, const char *key)
{
	const char *p = strstr(line, key), *end = strchr(line, '\n');
	unsigned whole, hundredths;

	if (!p || (end && p > end) || sscanf(p + strlen(key), "%3u.%2u", &whole, &hundredths) != 2)
		return 0;
	return whole + hundredths / 100.0;
}

static bool parse_pressure(const char *text, const char *kind, struct psi_line *ret)
{
	static const struct number microseconds = { .scale = 1 };
	const char *line = find_key(text, kind), *total = line ? strstr(line, "total=") : NULL;
	const char *end = line ? strchr(line, '\n') : NULL;

	if (!total || (end && total > end))
		return false;
	ret->total = parse_number(total + strlen("total="), &microseconds);
	ret->avg10 = parse_average(line, "avg10=");
	ret->avg60 = parse_average(line, "avg60=");
	ret->avg300 = parse_average(line, "avg300=");
	return ret->total != USAGE_UNKNOWN;
}

/* Kernels before 5.13 have no "full" line for the processor. */
static void take_pressure(const char *text, struct psi *ret)
{
	ret->there = parse_pressure(text, "some", &ret->some);
	parse_pressure(text, "full", &ret->full);
}

static struct device_usage *device(struct cgroup_usage *u, unsigned major, unsigned minor)
{
	struct device_usage *d;

	for (d = u->devices; d < u->devices + u->n_devices; d++)
		if (d->major == major && d->minor == minor)
			return d;
	if (u->n_devices == USAGE_DEVICES_MAX)
		return NULL;
	u->n_devices++;
	*d = (struct device_usage){ .major = major, .minor = minor };
	return d;
}

/* "8:0 Read 4096" */
static void take_v1_devices(const char *text, bool bytes, struct cgroup_usage *u)
{
	unsigned major, minor;
	unsigned long long v;
	struct device_usage *d;
	char what[16];

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (sscanf(text, "%9u:%9u %15s %20llu", &major, &minor, what, &v) != 4 || !(d = device(u, major, minor)))
			continue;
		if (streq(what, "Read"))
			*(bytes ? &d->read_bytes : &d->reads) = v;
		else if (streq(what, "Write"))
			*(bytes ? &d->write_bytes : &d->writes) = v;
	}
}

/* "8:0 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0", in any order */
static void take_v2_devices(const char *text, struct cgroup_usage *u)
{
	unsigned major, minor;
	unsigned long long v;
	struct device_usage *d;
	char word[32];
	int n;

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (sscanf(text, "%9u:%9u%n", &major, &minor, &n) != 2 || !(d = device(u, major, minor)))
			continue;
		for (text += n; sscanf(text, " %31[a-z]=%20llu%n", word, &v, &n) == 2; text += n) {
			if (streq(word, "rbytes"))
				d->read_bytes = v;
			else if (streq(word, "wbytes"))
				d->write_bytes = v;
			else if (streq(word, "rios"))
				d->reads = v;
			else if (streq(word, "wios"))
				d->writes = v;
		}
	}
}

void cgroup_usage_parse(bool v2, const char *file, const char *text, struct cgroup_usage *u)
{
	const struct number *n;

	for (n = v2 ? v2_numbers : v1_numbers; n->file; n++)
		if (streq(n->file, file))
			take_number(n, text, u);
	if (streq(file, "cpu.pressure"))
		take_pressure(text, &u->cpu_psi);
	else if (streq(file, "memory.pressure"))
		take_pressure(text, &u->memory_psi);
	else if (streq(file, "io.pressure"))
		take_pressure(text, &u->io_psi);
	else if (streq(file, "io.stat"))
		take_v2_devices(text, u);
	else if (str_starts(file, "blkio.throttle.io_service"))
		take_v1_devices(text, strstr(file, "bytes"), u);
}

void cgroup_usage_init(struct cgroup_usage *u)
{
	const struct number *n;
	const struct number *const tables[] = { v1_numbers, v2_numbers };

	memset(u, 0, sizeof(*u));
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (n = tables[i]; n->file; n++)
			*(uint64_t *)(void *)((char *)u + n->offset) = USAGE_UNKNOWN;
}

/* ---- reading ---- */

/* The whole file, or its first lines; false: missing, or the kernel does not serve it. */
static bool slurp(int dir, const char *file, char buf[FILE_MAX_BYTES])
{
	_cleanup_close_ int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, FILE_MAX_BYTES - 1);

	if (n < 0)
		return false;
	while (n == FILE_MAX_BYTES - 1 && n > 0 && buf[n - 1] != '\n')
		n--;
	buf[n] = '\0';
	return true;
}

static void read_file_into(int dir, bool v2, const char *file, struct cgroup_usage *u)
{
	char buf[FILE_MAX_BYTES];

	if (slurp(dir, file, buf))
		cgroup_usage_parse(v2, file, buf, u);
}

/* How many rows from n on are of the same file. */
static size_t same_file(const struct number *n)
{
	size_t i = 1;

	while (n[i].file && streq(n[i].file, n->file))
		i++;
	return i;
}

/* With systemd on v2 crun makes a cgroup below the scope, which systemd owns, and limits that one. -1: there is none. */
static int open_limits(const char *path, bool v2)
{
	_cleanup_free_ char *inner = v2 && cgroup_is_scope(path) ? strf("%s/container", path) : NULL;

	return inner ? cgroup_open(inner, "") : -1;
}

/* Directory by directory, file by file. Was there any? */
static bool read_numbers(const char *path, bool v2, bool detail, struct cgroup_usage *u)
{
	const struct number *n, *last = NULL;
	_cleanup_close_ int limits = open_limits(path, v2);
	bool any = false;
	int dir = -1;

	for (n = v2 ? v2_numbers : v1_numbers; n->file; n += same_file(n)) {
		if ((n->flags & DETAIL) && !detail)
			continue;
		if (!last || !streq(last->controller, n->controller)) {
			close_fd(dir);
			dir = cgroup_open(path, n->controller);
			last = n;
		}
		if (dir < 0)
			continue;
		any = true;
		read_file_into(limits >= 0 && (n->flags & LIMIT) ? limits : dir, v2, n->file, u);
	}
	close_fd(dir);
	return any;
}

/* "hugetlb.2MB.usage_in_bytes" of v1, "hugetlb.2MB.current" of v2 */
static void read_huge(int dir, struct cgroup_usage *u)
{
	static const struct number plain = { .scale = 1 };
	_cleanup_closedir_ DIR *d = NULL;
	char buf[FILE_MAX_BYTES], peak[64], size[sizeof(u->huge->size)], what[24];
	struct dirent *e;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		close_fd(fd);
	while (d && u->n_huge < USAGE_HUGE_MAX && (e = readdir(d))) {
		struct huge_usage *h = &u->huge[u->n_huge];

		if (sscanf(e->d_name, "hugetlb.%15[0-9KMGB].%23s", size, what) != 2 ||
		    !(streq(what, "current") || streq(what, "usage_in_bytes")) || !slurp(dir, e->d_name, buf))
			continue;
		memcpy(h->size, size, sizeof(size));
		h->usage = parse_number(buf, &plain);
		snprintf(peak, sizeof(peak), "hugetlb.%s.max_usage_in_bytes", size);
		h->max = slurp(dir, peak, buf) ? parse_number(buf, &plain) : USAGE_UNKNOWN;
		u->n_huge++;
	}
}

/* Pressure is in the v2 hierarchy, also when that stands beside v1. */
static void read_v2_shapes(const char *path, bool detail, struct cgroup_usage *u)
{
	static const char *const pressure[] = { "cpu.pressure", "memory.pressure", "io.pressure" };
	_cleanup_close_ int dir = cgroup_open(path, "");
	size_t i;

	if (dir < 0)
		return;
	for (i = 0; i < ARRAY_SIZE(pressure); i++)
		read_file_into(dir, true, pressure[i], u);
	if (!detail)
		return;
	read_file_into(dir, true, "io.stat", u);
	read_huge(dir, u);
}

static void read_v1_shapes(const char *path, struct cgroup_usage *u)
{
	_cleanup_close_ int blkio = cgroup_open(path, "blkio"), huge = cgroup_open(path, "hugetlb");

	if (blkio >= 0) {
		read_file_into(blkio, false, "blkio.throttle.io_service_bytes_recursive", u);
		read_file_into(blkio, false, "blkio.throttle.io_serviced_recursive", u);
	}
	if (huge >= 0)
		read_huge(huge, u);
}

/* v1 counts swap together with memory, which may have changed between the two files. */
static void swap_of_memsw(struct cgroup_usage *u)
{
	if (u->memsw == USAGE_UNKNOWN || u->memory == USAGE_UNKNOWN)
		return;
	u->swap = u->memsw > u->memory ? u->memsw - u->memory : 0;
	u->swap_limit = u->memsw_limit == USAGE_UNLIMITED ? USAGE_UNLIMITED :
		u->memsw_limit > u->memory_limit ? u->memsw_limit - u->memory_limit : 0;
}

int cgroup_usage_read(const char *path, bool detail, struct cgroup_usage *ret)
{
	bool v2 = cgroup_v2();

	cgroup_usage_init(ret);
	ret->when = now_ns();
	ret->mono = mono_ns();
	if (!read_numbers(path, v2, detail, ret))
		return -ENOENT;
	read_v2_shapes(path, detail, ret);
	if (v2)
		return 0;
	if (detail)
		read_v1_shapes(path, ret);
	swap_of_memsw(ret);
	return 0;
}

static uint64_t read_one(const char *path, size_t offset)
{
	const struct number *n = cgroup_v2() ? v2_numbers : v1_numbers;
	struct cgroup_usage u;
	int dir;

	while (n->offset != offset)
		n++;
	cgroup_usage_init(&u);
	dir = cgroup_open(path, n->controller);
	if (dir >= 0)
		read_file_into(dir, cgroup_v2(), n->file, &u);
	close_fd(dir);
	return *(const uint64_t *)(const void *)((const char *)&u + offset);
}

uint64_t cgroup_memory_usage(const char *path)
{
	return read_one(path, AT(memory));
}

uint64_t cgroup_oom_kills(const char *path)
{
	uint64_t n = read_one(path, AT(oom_kills));

	return n == USAGE_UNKNOWN ? 0 : n;
}

uint64_t cgroup_working_set(const struct cgroup_usage *u)
{
	if (u->memory == USAGE_UNKNOWN || u->inactive_file == USAGE_UNKNOWN)
		return u->memory;
	return u->memory > u->inactive_file ? u->memory - u->inactive_file : 0;
}
