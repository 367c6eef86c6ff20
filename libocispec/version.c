/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions of the runtime specification: which one a document needs for what it uses, and which one
 * a runtime is to be shown. Runtimes refuse what is newer than they are, some of them by comparing
 * text, so the written version is one of the releases, without "-dev" or "+build".
 */
#include "private.h"

/* Members by the release that has them (ChangeLog of the runtime specification). */
static const struct {
	const char *path;
	struct release since;
} members[] = {
	{ "domainname", { 1, 1, 0 } },
	{ "process.user.umask", { 1, 0, 2 } },
	{ "process.scheduler", { 1, 1, 0 } },
	{ "process.ioPriority", { 1, 1, 0 } },
	{ "process.execCPUAffinity", { 1, 2, 1 } },
	{ "hooks.createRuntime", { 1, 0, 2 } },
	{ "hooks.createContainer", { 1, 0, 2 } },
	{ "hooks.startContainer", { 1, 0, 2 } },
	{ "linux.personality", { 1, 0, 2 } },
	{ "linux.timeOffsets", { 1, 1, 0 } },
	{ "linux.seccomp.defaultErrnoRet", { 1, 1, 0 } },
	{ "linux.seccomp.listenerPath", { 1, 1, 0 } },
	{ "linux.seccomp.listenerMetadata", { 1, 1, 0 } },
	{ "linux.resources.unified", { 1, 1, 0 } },
	{ "linux.resources.rdma", { 1, 0, 2 } },
	{ "linux.resources.cpu.idle", { 1, 1, 0 } },
	{ "linux.resources.cpu.burst", { 1, 1, 0 } },
	{ "linux.resources.memory.checkBeforeUpdate", { 1, 1, 0 } },
	{ "linux.intelRdt.enableCMT", { 1, 1, 0 } },
	{ "linux.intelRdt.enableMBM", { 1, 1, 0 } },
	{ "linux.intelRdt.schemata", { 1, 3, 0 } },
	{ "linux.intelRdt.enableMonitoring", { 1, 3, 0 } },
	{ "linux.netDevices", { 1, 3, 0 } },
	{ "linux.memoryPolicy", { 1, 3, 0 } },
};

static const struct release newest = { 1, 3, 0 };

/* major.minor.patch, then nothing, "-pre" or "+build". */
int release_read(const char *text, struct release *ret)
{
	unsigned *const parts[] = { &ret->major, &ret->minor, &ret->patch };

	for (int i = 0; i < 3; i++) {
		size_t digits = text ? strspn(text, "0123456789") : 0;

		if (digits == 0 || digits > 4 || (digits > 1 && *text == '0'))
			return OCISPEC_E_INVALID;
		*parts[i] = (unsigned)strtoul(text, NULL, 10);
		text += digits;
		if (i < 2 && *text++ != '.')
			return OCISPEC_E_INVALID;
	}
	return *text == 0 || ((*text == '-' || *text == '+') && text[1] && text_printable(text)) ?
		       0 : OCISPEC_E_INVALID;
}

int release_compare(const struct release *a, const struct release *b)
{
	if (a->major != b->major)
		return a->major < b->major ? -1 : 1;
	if (a->minor != b->minor)
		return a->minor < b->minor ? -1 : 1;
	return a->patch < b->patch ? -1 : a->patch > b->patch;
}

/* The i-th member that is newer than a release; NULL when there are no more. */
const char *release_lacks(const struct ocispec *s, const struct release *than, size_t *i, struct release *ret)
{
	for (; *i < ARRAY_SIZE(members); (*i)++) {
		if (release_compare(&members[*i].since, than) <= 0 || !path_get(s, members[*i].path))
			continue;
		*ret = members[*i].since;
		return members[(*i)++].path;
	}
	return NULL;
}

PUBLIC int ocispec_needed_version(const struct ocispec *s, char ret[OCISPEC_VERSION_LEN])
{
	struct release needed = { 1, 0, 0 }, since;
	size_t i = 0;

	if (!s || !ret)
		return -EINVAL;
	while (release_lacks(s, &needed, &i, &since))
		needed = since;
	snprintf(ret, OCISPEC_VERSION_LEN, "%u.%u.%u", needed.major, needed.minor, needed.patch);
	return 0;
}

PUBLIC int ocispec_runtime_version(const struct ocispec *features, char ret[OCISPEC_VERSION_LEN])
{
	const char *max = ocispec_get_text(features, "ociVersionMax");
	const char *min = ocispec_get_text(features, "ociVersionMin");
	struct release best, least;

	if (!ret)
		return -EINVAL;
	if (!features || !max) {
		strcpy(ret, OCISPEC_VERSION_DEFAULT);
		return 0;
	}
	if (release_read(max, &best) || (min && release_read(min, &least)))
		return OCISPEC_E_INVALID;
	if (release_compare(&best, &newest) > 0)
		best = newest;
	if (best.major != 1 || (min && release_compare(&best, &least) < 0))
		return OCISPEC_E_INVALID;
	snprintf(ret, OCISPEC_VERSION_LEN, "%u.%u.%u", best.major, best.minor, best.patch);
	return 0;
}
