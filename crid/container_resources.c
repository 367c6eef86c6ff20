/* SPDX-License-Identifier: Apache-2.0 */
/* See container_resources.h. Creating and updating a container go the same way. */
#include "cgroup.h"
#include "container_resources.h"
#include "errors.h"

#define R "linux.resources."

static int check(const Runtime__V1__LinuxContainerResources *q, int64_t min_memory, struct cb_error *err)
{
	int64_t limit = q->memory_limit_in_bytes, swap = q->memory_swap_limit_in_bytes;

	if (q->cpu_shares < 0 || q->cpu_period < 0 || q->cpu_quota < -1 || limit < 0 || swap < -1)
		return err_set(err, E_INVALID, "negative resource limit");
	if (limit && limit < min_memory)
		return err_set(err, E_INVALID, "set memory limit %lld too low; should be at least %lld bytes",
			       (long long)limit, (long long)min_memory);
	if (limit && swap > 0 && swap < limit)
		return err_set(err, E_INVALID, "memory and swap limit %lld is below the memory limit %lld",
			       (long long)swap, (long long)limit);
	return 0;
}

static int set_number(struct ocispec *s, const char *path, int64_t value)
{
	return value ? ocispec_set_number(s, path, value) : 0;
}

static int set_text(struct ocispec *s, const char *path, const char *value)
{
	return *value ? ocispec_set_text(s, path, value) : 0;
}

static int set_memory(struct ocispec *s, const Runtime__V1__LinuxContainerResources *q)
{
	int64_t swap = q->memory_swap_limit_in_bytes;
	int r = set_number(s, R "memory.limit", q->memory_limit_in_bytes);

	if (r || !cgroup_has_swap())
		return r;
	/* without a swap limit of its own a container gets no swap */
	return set_number(s, R "memory.swap", swap ? swap : q->memory_limit_in_bytes);
}

int container_resources_set(struct ocispec *s, const Runtime__V1__LinuxContainerResources *q, int64_t min_memory,
			    struct cb_error *err)
{
	size_t i;
	int r = check(q, min_memory, err);

	if (r)
		return r;
	r = set_number(s, R "cpu.shares", q->cpu_shares);
	if (!r)
		r = set_number(s, R "cpu.quota", q->cpu_quota);
	if (!r)
		r = set_number(s, R "cpu.period", q->cpu_period);
	if (!r)
		r = set_text(s, R "cpu.cpus", q->cpuset_cpus);
	if (!r)
		r = set_text(s, R "cpu.mems", q->cpuset_mems);
	if (!r)
		r = set_memory(s, q);
	for (i = 0; i < q->n_hugepage_limits && !r && cgroup_has_controller("hugetlb"); i++)
		r = ocispec_add_hugepage_limit(s, q->hugepage_limits[i]->page_size, q->hugepage_limits[i]->limit);
	for (i = 0; i < q->n_unified && !r && cgroup_v2(); i++)
		r = ocispec_set_unified(s, q->unified[i]->key, q->unified[i]->value);
	return r == OCISPEC_E_INVALID ? err_set(err, E_INVALID, "malformed resource limit") :
		r ? err_oom(err) : 0;
}
