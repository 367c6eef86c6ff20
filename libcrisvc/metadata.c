/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata in one piece of memory: few calls have more than a user-agent, and few programs look. */
#include <errno.h>
#include <string.h>

#include "metadata.h"

void metadata_done(struct metadata *m)
{
	str_done(&m->text);
	m->n = 0;
}

struct metadata metadata_take(struct metadata *m)
{
	struct metadata taken = *m;

	*m = (struct metadata){ 0 };
	return taken;
}

bool metadata_valid(const char *name, const char *value)
{
	static const char *const reserved[] = {
		"connection", "content-length",	   "content-type", "host",	 "keep-alive",
		"te",	      "transfer-encoding", "upgrade",	   "user-agent",
	};

	if (!*name || str_starts(name, "grpc-"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (streq(name, reserved[i]))
			return false;
	for (const char *p = name; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || strchr("-_.", *p)))
			return false;
	for (const char *p = value; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			return false;
	/* HTTP/2 peers refuse or strip spaces at both ends of a value */
	return *value != ' ' && (!*value || value[strlen(value) - 1] != ' ');
}

int metadata_add(struct metadata *m, const char *name, size_t name_len, const char *value,
		 size_t value_len)
{
	str_append_mem(&m->text, name, name_len);
	str_append_char(&m->text, '\0');
	str_append_mem(&m->text, value, value_len);
	str_append_char(&m->text, '\0');
	m->n++;
	return str_failed(&m->text) ? -ENOMEM : 0;
}

const char *metadata_at(const struct metadata *m, size_t i, const char **ret_value)
{
	const char *p = m->text.data;

	if (i >= m->n || str_failed(&m->text))
		return NULL;
	for (i *= 2; i; i--)
		p += strlen(p) + 1;
	*ret_value = p + strlen(p) + 1;
	return p;
}
