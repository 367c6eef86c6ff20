/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the default seccomp profile; each ends with a NULL name. */
#ifndef OCISPEC_SECCOMP_PROFILE_H
#define OCISPEC_SECCOMP_PROFILE_H

#include <stddef.h>
#include <stdint.h>

/* Linux numbers, not this platform's: they go into a file. */
#define SECCOMP_EPERM 1
#define SECCOMP_EINVAL 22
#define SECCOMP_ENOSYS 38

struct kernel_version {
	unsigned major, minor;
};

/* "6.1", "6.1.0-18-amd64"; NULL is a kernel newer than any rule asks for. 0 or OCISPEC_E_INVALID. */
int kernel_version_read(const char *version, struct kernel_version *ret);
int kernel_version_compare(const struct kernel_version *a, const struct kernel_version *b);

extern const char *const seccomp_architectures[];	/* the machine's own comes first */
extern const char *const seccomp_allowed[];
extern const char *const seccomp_allowed_here[];	/* on this architecture */
extern const char *const seccomp_refused[];		/* EPERM, unless allowed here */

struct seccomp_since {
	const char *name;
	unsigned major, minor;		/* allowed from this kernel on, else refused */
};
extern const struct seccomp_since seccomp_allowed_since[];

struct seccomp_privileged {
	const char *name;
	const char *caps[2];		/* allowed with any of these, else refused */
};
extern const struct seccomp_privileged seccomp_privileged[];

struct seccomp_arg {
	unsigned index;
	uint64_t value, value_two;
	const char *op;
};

struct seccomp_conditional {
	const char *name;
	unsigned errno_ret;		/* 0: allowed */
	struct seccomp_arg args[2];
	size_t n_args;
	const char *with_cap, *without_cap;	/* the rule is there only with, only without it */
};
extern const struct seccomp_conditional seccomp_conditional[];

#endif
