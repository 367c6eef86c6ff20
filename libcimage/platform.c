/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which platforms of an index this machine can run. Only arm has variants that matter: a processor
 * runs images for its own variant and all older ones, so those are tried from new to old, then images
 * that name none. Without a known variant an image that names none is best, then the newest.
 */
#include <cbase/io.h>
#include "platform.h"

#if defined(__x86_64__)
#define MACHINE "amd64"
#elif defined(__aarch64__)
#define MACHINE "arm64"
#elif defined(__arm__)
#define MACHINE "arm"
#elif defined(__i386__)
#define MACHINE "386"
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MACHINE "ppc64le"
#elif defined(__s390x__)
#define MACHINE "s390x"
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE "riscv64"
#elif defined(__loongarch64)
#define MACHINE "loong64"
#else
#error "add this machine's GOARCH name"
#endif

static const char *const arm_variants[] = { "v8", "v7", "v6", "v5", NULL };
static const char *const arm64_variants[] = { "v8", NULL };
static const char *const no_variants[] = { NULL };

const char *platform_arm_variant(const char *cpuinfo)
{
	static const char key[] = "CPU architecture";
	const char *p = strstr(cpuinfo, key);

	if (!p)
		return "";
	p += strlen(key);
	p += strspn(p, " \t:");
	if (str_starts(p, "AArch64") || *p == '8')
		return "v8";
	if (*p == '7') /* the first Raspberry Pi's kernel says 7 for an ARMv6 */
		return strstr(cpuinfo, "ARMv6-compatible") ? "v6" : "v7";
	if (*p == '6')
		return "v6";
	if (*p == '5')
		return "v5";
	return "";
}

static const char *this_variant(void)
{
	_cleanup_free_ char *text = NULL;

	if (!str_starts(MACHINE, "arm"))
		return "";
	if (read_file("/proc/cpuinfo", 1 << 20, &text, NULL))
		return "";
	return platform_arm_variant(text);
}

void platform_init(struct platform *p, const char *os, const char *arch, const char *variant)
{
	const char *const *known = no_variants, *const * from;
	size_t n = 0;

	*p = (struct platform){ .os = os && *os ? os : "linux",
				.arch = arch && *arch ? arch : MACHINE };
	if (!variant || !*variant)
		variant = arch && *arch ? "" : this_variant();
	if (streq(p->arch, "arm"))
		known = arm_variants;
	else if (streq(p->arch, "arm64"))
		known = arm64_variants;

	for (from = known; *from && !streq(*from, variant); from++)
		;
	if (!*variant) {
		p->variants[n++] = "";
		from = known;
	} else if (!*from) {
		p->variants[n++] = variant;
	}
	for (; *from; from++)
		p->variants[n++] = *from;
	if (*variant)
		p->variants[n++] = "";
}
