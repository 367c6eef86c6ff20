/* SPDX-License-Identifier: Apache-2.0 */
/* See info.h. */
#include <cbase/str.h>
#include "info.h"

struct pod_info *pod_info_new(void)
{
	struct pod_info *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->refs = 1;
	i->handler = i->cgroup_parent = i->seccomp = i->cni_result = "";
	i->netns = i->ipcns = i->utsns = i->userns = "";
	i->image = i->image_id = i->image_name = i->hostname = i->cgroup_path = "";
	i->port_mappings = "[]";
	return i;
}

struct pod_info *pod_info_ref(struct pod_info *i)
{
	i->refs++;
	return i;
}

struct pod_info *pod_info_unref(struct pod_info *i)
{
	if (i && --i->refs == 0) {
		arena_done(&i->arena);
		free(i);
	}
	return NULL;
}

struct container_info *container_info_new(void)
{
	struct container_info *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->refs = 1;
	i->image = i->user_image = i->image_id = i->image_name = i->image_ref = i->repo_digests = "";
	i->handler = i->stop_signal_name = i->seccomp = i->cgroup_path = i->mount_point = "";
	i->resources.cpuset_cpus = i->resources.cpuset_mems = "";
	return i;
}

struct container_info *container_info_ref(struct container_info *i)
{
	i->refs++;
	return i;
}

struct container_info *container_info_unref(struct container_info *i)
{
	if (i && --i->refs == 0) {
		arena_done(&i->arena);
		free(i);
	}
	return NULL;
}

char **arena_strv(struct arena *a, char *const *v)
{
	size_t i, n = strv_len(v);
	char **copy = arena_alloc(a, (n + 1) * sizeof(*copy));

	for (i = 0; copy && i < n; i++)
		copy[i] = arena_strdup(a, v[i]);
	return copy;
}

bool name_part_valid(const char *s)
{
	size_t n;

	for (n = 0; s[n]; n++)
		if ((unsigned char)s[n] < ' ' || s[n] == '/' || s[n] == 0x7f)
			return false;
	return n && n <= NAME_BYTES_MAX;
}

const char *pairs_get(char *const *pairs, const char *key)
{
	for (; pairs && pairs[0]; pairs += 2)
		if (streq(pairs[0], key))
			return pairs[1];
	return NULL;
}
