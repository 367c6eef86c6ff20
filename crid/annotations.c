/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See annotations.h. A name is compared as a whole, never by its beginning: what looks alike is another
 * annotation and means nothing.
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <cbase/str.h>
#include "annotations.h"
#include "errors.h"

#define OLD "io.kubernetes.cri-o."
#define NEW ".crio.io"

static const char *const names[ANNOTATIONS][2] = {
	[ANNOTATION_DEVICES] = { "devices" NEW, OLD "Devices" },
	[ANNOTATION_SHM_SIZE] = { "shm-size" NEW, OLD "ShmSize" },
	[ANNOTATION_UMASK] = { "umask" NEW, OLD "umask" },
	[ANNOTATION_UNIFIED_CGROUP] = { "unified-cgroup" NEW, OLD "UnifiedCgroup" },
	[ANNOTATION_CGROUP_RW] = { "cgroup2-mount-hierarchy-rw" NEW, OLD "cgroup2-mount-hierarchy-rw" },
};

/* Others of CRI-O that make it do things; crid does not know them, and keeps none for it. */
static const char *const foreign[][2] = {
	{ "userns-mode" NEW, OLD "userns-mode" },
	{ "link-logs" NEW, OLD "LinkLogs" },
	{ "platform-runtime-path" NEW, OLD "PlatformRuntimePath" },
	{ "seccomp-profile" NEW, "seccomp-profile.kubernetes.cri-o.io" },
	{ "seccomp-notifier-action" NEW, OLD "seccompNotifierAction" },
	{ "irq-load-balancing" NEW, "irq-load-balancing.crio.io" },
	{ "cpu-load-balancing" NEW, "cpu-load-balancing.crio.io" },
	{ "cpu-quota" NEW, "cpu-quota.crio.io" },
	{ "trace-syscall" NEW, "io.containers.trace-syscall" },
};

/* Is key name, or name and a container? */
static bool is_name(const char *key, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(key, name, n) && (!key[n] || key[n] == '/');
}

static bool is_one_of(const char *key, const char *const pair[2])
{
	return is_name(key, pair[0]) || is_name(key, pair[1]);
}

static bool keeps(const char *key, char *const *allowed)
{
	size_t i;

	for (i = 0; i < ANNOTATIONS; i++)
		if (is_one_of(key, names[i]))
			return strv_has(allowed, names[i][0]) || strv_has(allowed, names[i][1]);
	for (i = 0; i < ARRAY_SIZE(foreign); i++)
		if (is_one_of(key, foreign[i]))
			return false;
	return true;
}

void annotations_drop(char **pairs, char *const *allowed)
{
	char **to = pairs;

	if (!pairs)
		return;
	for (; pairs[0]; pairs += 2) {
		if (!pairs[1] || !keeps(pairs[0], allowed))
			continue;
		*to++ = pairs[0];
		*to++ = pairs[1];
	}
	*to = NULL;
}

const char *annotation_get(char *const *pairs, enum annotation which, const char *container)
{
	size_t spelling, n;

	for (spelling = 0; pairs && spelling < 2; spelling++) {
		const char *name = names[which][spelling];

		n = strlen(name);
		for (char *const *p = pairs; p[0]; p += 2)
			if (!strncmp(p[0], name, n) && (*container ? p[0][n] == '/' && streq(p[0] + n + 1, container) : !p[0][n]))
				return p[1];
	}
	return NULL;
}

int annotation_parse_size(const char *text, int64_t *ret, struct cb_error *err)
{
	static const char units[] = "bkmgt";
	const char *unit;
	char *end;
	long long v;

	errno = 0;
	v = *text >= '0' && *text <= '9' ? strtoll(text, &end, 10) : 0;
	if (v <= 0 || errno)
		return err_set(err, E_INVALID, "\"%.100s\" is not a size like 64m", text);
	unit = *end ? strchr(units, tolower((unsigned char)*end)) : units;
	if (!unit || (*end && end[1] && strcasecmp(end + 1, "b") && strcasecmp(end + 1, "ib") && strcasecmp(end + 1, "i")) ||
	    __builtin_mul_overflow(v, 1ll << (10 * (unit - units)), &v))
		return err_set(err, E_INVALID, "\"%.100s\" is not a size like 64m", text);
	*ret = v;
	return 0;
}

int annotation_parse_umask(const char *text, uint32_t *ret, struct cb_error *err)
{
	size_t n = strspn(text, "01234567");

	if (!n || n > 4 || text[n] || strtoul(text, NULL, 8) > 0777)
		return err_set(err, E_INVALID, "\"%.100s\" is no umask", text);
	*ret = (uint32_t)strtoul(text, NULL, 8);
	return 0;
}
