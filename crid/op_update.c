/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UpdateContainerResources, the blocking half; see op_container.h. The runtime writes the cgroup; then
 * config.json is written, so that the next daemon shows the same. The kernel would reclaim, and kill, to get below a
 * lower memory limit: that is refused.
 */
#include "cgroup_usage.h"
#include "container_resources.h"
#include "errors.h"
#include "op_container.h"
#include "runtime.h"

static int check_usage(const struct container_info *i, int64_t limit, struct cb_error *err)
{
	uint64_t usage = limit ? cgroup_memory_usage(i->cgroup_path) : USAGE_UNKNOWN;

	if (usage == USAGE_UNKNOWN || usage <= (uint64_t)limit)
		return 0;
	return err_set(err, E_STATE, "memory limit %lld is below the %llu bytes in use", (long long)limit, (unsigned long long)usage);
}

/* What is to change, alone, as the runtime reads it. */
static int changes(const Runtime__V1__LinuxContainerResources *q, int64_t min_memory, char **ret, struct cb_error *err)
{
	struct ocispec *s = NULL;
	int r;

	if (ocispec_new(&s))
		return err_oom(err);
	r = container_resources_set(s, q, min_memory, err);
	if (!r) {
		r = ocispec_get_json(s, "linux.resources", 0, ret);
		if (r == OCISPEC_E_NOT_FOUND)
			r = 0;		/* nothing */
		else if (r)
			r = err_oom(err);
	}
	ocispec_free(s);
	return r;
}

int op_container_update(const struct services *sv, const struct container_info *i,
			const Runtime__V1__LinuxContainerResources *q, struct arena *a, struct resource_info *ret, struct cb_error *err)
{
	const struct runtime_handler *h = config_runtime(sv->config, i->handler);
	_cleanup_free_ char *text = NULL;
	struct ocispec *s = NULL;
	int r;

	if (!h)
		return err_set(err, E_NOT_FOUND, "runtime handler %s is not configured", i->handler);
	r = changes(q, h->container_min_memory, &text, err);
	if (!r)
		r = check_usage(i, q->memory_limit_in_bytes, err);
	if (!r)
		r = config_json_load(i->dir, &s, err);
	if (!r && text)
		r = runtime_update(sv->config, h, i->id, text, err);
	if (!r)
		r = container_resources_set(s, q, h->container_min_memory, err);
	if (!r)
		r = config_json_write(s, i->dir, err);
	if (!r)
		resource_info_load(s, a, ret);
	ocispec_free(s);
	return r;
}
