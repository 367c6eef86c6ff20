/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capabilities by name and number (linux/capability.h), and the five sets of a process.
 */
#include <strings.h>
#include "private.h"

/* clang-format off */
static const char *const capabilities[] = {
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
	"CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK",
	"CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
	"CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
	"CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};
/* clang-format on */

static const struct {
	int bit;
	const char *member;
} sets_by_bit[] = {
	{ OCISPEC_CAP_BOUNDING, "bounding" },	    { OCISPEC_CAP_EFFECTIVE, "effective" },
	{ OCISPEC_CAP_INHERITABLE, "inheritable" }, { OCISPEC_CAP_PERMITTED, "permitted" },
	{ OCISPEC_CAP_AMBIENT, "ambient" },
};

#define SETS_ALL                                                                                   \
	(OCISPEC_CAP_BOUNDING | OCISPEC_CAP_EFFECTIVE | OCISPEC_CAP_PERMITTED |                    \
	 OCISPEC_CAP_INHERITABLE | OCISPEC_CAP_AMBIENT)

PUBLIC const char *ocispec_capability_by_number(unsigned number)
{
	return number < ARRAY_SIZE(capabilities) ? capabilities[number] : NULL;
}

PUBLIC const char *ocispec_capability_name(const char *name)
{
	if (!name)
		return NULL;
	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (strcasecmp(name, capabilities[i] + 4) == 0)
			return capabilities[i];
	return NULL;
}

/* The official names, each once, in the order given. */
static int normalize(const char *const *names, const char *out[ARRAY_SIZE(capabilities) + 1])
{
	size_t n = 0;

	for (; names && *names; names++) {
		const char *cap = ocispec_capability_name(*names);
		bool seen = false;

		if (!cap)
			return OCISPEC_E_INVALID;
		for (size_t i = 0; i < n; i++)
			seen |= out[i] == cap;
		if (!seen)
			out[n++] = cap;
	}
	out[n] = NULL;
	return 0;
}

PUBLIC int ocispec_set_capabilities(struct ocispec *s, int sets, const char *const *names)
{
	const char *list[ARRAY_SIZE(capabilities) + 1];
	struct place caps;
	int r;

	if (!s || (sets & ~SETS_ALL))
		return -EINVAL;
	r = normalize(names, list);
	if (r)
		return r;
	caps = place_child(place_child(place_root(s), "process"), "capabilities");
	for (size_t i = 0; i < ARRAY_SIZE(sets_by_bit); i++)
		if (sets & sets_by_bit[i].bit)
			place_put_strings(caps, sets_by_bit[i].member, list);
	return place_result(s);
}

bool capability_in(const struct json *names, const char *name)
{
	json_foreach(e, names)
		if (json_string(e) && streq(e->string, name))
			return true;
	return false;
}
