/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of a cgroup use, read from its files: v1, v2, and the v2 hierarchy beside v1. */
#ifndef CRID_CGROUP_USAGE_H
#define CRID_CGROUP_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USAGE_UNLIMITED UINT64_MAX	/* of a limit */
#define USAGE_UNKNOWN (UINT64_MAX - 1)	/* the kernel does not tell */

#define USAGE_DEVICES_MAX 16
#define USAGE_HUGE_MAX 4

struct psi_line {
	uint64_t total;			/* us */
	double avg10, avg60, avg300;	/* percent */
};

struct psi {
	bool there;
	struct psi_line some, full;
};

struct device_usage {
	unsigned major, minor;
	uint64_t read_bytes, write_bytes, reads, writes;
};

struct huge_usage {
	char size[16];			/* "2MB" */
	uint64_t usage, max;
};

/* Numbers without a unit are bytes or counts. Each may be USAGE_UNKNOWN. */
struct cgroup_usage {
	int64_t when, mono;		/* CLOCK_REALTIME and CLOCK_MONOTONIC, ns, just before the first file was read */
	uint64_t cpu, cpu_user, cpu_system;	/* ns */
	uint64_t periods, throttled, throttled_time;	/* the last in ns */
	uint64_t memory, memory_limit, rss, cache, mapped, inactive_file, faults, major_faults;
	uint64_t memory_peak, memory_failures, kernel, memory_reservation;
	uint64_t swap, swap_limit;	/* of swap alone */
	uint64_t memsw, memsw_limit;	/* v1: with memory; the two above are made of them */
	uint64_t oom_kills;
	uint64_t tasks, tasks_limit;
	struct psi cpu_psi, memory_psi, io_psi;
	struct device_usage devices[USAGE_DEVICES_MAX];
	size_t n_devices;
	struct huge_usage huge[USAGE_HUGE_MAX];
	size_t n_huge;
};

/*
 * path as of cgroup_path(). detail: also what only metrics need. -ENOENT: there is no such cgroup, or it
 * has none of the files.
 */
int cgroup_usage_read(const char *path, bool detail, struct cgroup_usage *ret);
/* One number of it: memory in use. USAGE_UNKNOWN without. */
uint64_t cgroup_memory_usage(const char *path);
/* Processes that the kernel killed in it for want of memory; 0 when it is gone. */
uint64_t cgroup_oom_kills(const char *path);
/* Memory without what can be dropped at once. */
uint64_t cgroup_working_set(const struct cgroup_usage *u);

/* For tests: all unknown; and the content of one file taken in, as it was read. */
void cgroup_usage_init(struct cgroup_usage *u);
void cgroup_usage_parse(bool v2, const char *file, const char *text, struct cgroup_usage *u);

#endif
