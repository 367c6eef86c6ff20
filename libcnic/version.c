/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CNI versions: up to three numbers, compared as numbers. Missing parts count as 0.
 */
#include "private.h"

static bool split(const char *v, int n[3])
{
	n[0] = n[1] = n[2] = 0;
	for (int i = 0; i < 3; i++) {
		size_t digits = strspn(v, "0123456789");

		if (digits == 0 || digits > 6)
			return false;
		for (; digits > 0; digits--)
			n[i] = n[i] * 10 + (*v++ - '0');
		if (!*v)
			return true;
		if (*v++ != '.')
			return false;
	}
	return false;
}

bool version_valid(const char *v)
{
	int n[3];

	return v && split(v, n);
}

int version_compare(const char *a, const char *b)
{
	int na[3], nb[3];

	split(a, na);
	split(b, nb);
	for (int i = 0; i < 3; i++)
		if (na[i] != nb[i])
			return na[i] < nb[i] ? -1 : 1;
	return 0;
}

bool version_known(const char *v)
{
	static const char *const known[] = { "0.1.0", "0.2.0", "0.3.0", "0.3.1",
					     "0.4.0", "1.0.0", "1.1.0" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(v, known[i]))
			return true;
	return false;
}
