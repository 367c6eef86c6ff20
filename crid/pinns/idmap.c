/* SPDX-License-Identifier: Apache-2.0 */
#include "idmap.h"

#include <errno.h>
#include <stdint.h>

/*
 * A decimal number up to 2^32 - 1 that ends at one of the characters of ends, which is passed
 * over.
 */
static int parse_id(const char **p, const char *ends, uint64_t *ret)
{
	uint64_t v = 0;
	const char *s = *p;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > UINT32_MAX)
			return -EINVAL;
	}
	if (*s && !strchr(ends, *s))
		return -EINVAL;
	if (*s)
		s++;
	else if (*ends == '-')
		return -EINVAL;
	*p = s;
	*ret = v;
	return 0;
}

int idmap_format(const char *text, struct str *ret)
{
	uint64_t c, h, n;
	int lines = 0;

	while (*text) {
		if (parse_id(&text, "-", &c) || parse_id(&text, "-", &h) ||
		    parse_id(&text, "@", &n))
			return -EINVAL;
		if (n == 0 || c + n > UINT32_MAX || h + n > UINT32_MAX || ++lines > IDMAP_LINES_MAX)
			return -EINVAL;
		str_appendf(ret, "%llu %llu %llu\n", (unsigned long long)c, (unsigned long long)h,
			    (unsigned long long)n);
	}
	if (str_failed(ret))
		return -ENOMEM;
	return lines ? 0 : -EINVAL;
}
