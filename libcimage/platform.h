/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms as images name them: GOOS, GOARCH and the variants of arm. */
#ifndef CIMAGE_PLATFORM_H
#define CIMAGE_PLATFORM_H

#include "common.h"

#define PLATFORM_VARIANTS_MAX 8

struct platform {
	const char *os, *arch;
	bool prefer_gzip;	/* of two entries that differ in compression; else zstd */
	const char *variants[PLATFORM_VARIANTS_MAX];	/* acceptable ones, best first, ended by NULL */
};

/* NULL arch: this machine. The strings stay borrowed. */
void platform_init(struct platform *p, const char *os, const char *arch, const char *variant);
/* The variant of an arm machine from the text of /proc/cpuinfo; "" when it says nothing. */
const char *platform_arm_variant(const char *cpuinfo);

#endif
