/* SPDX-License-Identifier: Apache-2.0 */
/* The spelling of digests, see digest.h: apart from digest.c, so that checking names brings no libcrypto. */
#include <cbase/digest.h>
#include <cbase/str.h>

static const struct {
	const char *prefix;
	size_t digits;
} forms[] = {
	{ "sha256:", 64 },
	{ "sha384:", 96 },
	{ "sha512:", 128 },
};

bool digest_valid(const char *s)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(forms); i++)
		if (str_starts(s, forms[i].prefix))
			return str_is_hex(digest_hex(s), forms[i].digits);
	return false;
}

const char *digest_hex(const char *digest)
{
	const char *colon = strchr(digest, ':');

	return colon ? colon + 1 : digest;
}
