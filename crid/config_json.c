/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration as JSON, with the names that the members have in CRI-O's Go structures: what its
 * verbose status shows. A name is the key in camel case, but for words that are written in capitals
 * and for members that are called otherwise.
 */
#include <cbase/json.h>
#include "config_table.h"

static const struct { const char *key, *name; } renamed[] = {
	{ "runroot", "RunRoot" },
	{ "imagestore", "ImageStore" },
	{ "storage_driver", "Storage" },
	{ "storage_option", "StorageOptions" },
	{ "cgroup_manager", "CgroupManagerName" },
	{ "signature_policy", "SignaturePolicyPath" },
	{ "selinux", "SELinux" },
};

static const char *const capitals[] = { "grpc", "tls", "ca", "cdi", "cni", "uid", "gid" };

static bool is_capitals(const char *word, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(capitals); i++)
		if (strlen(capitals[i]) == n && memcmp(capitals[i], word, n) == 0)
			return true;
	return false;
}

static void append_name(struct str *out, const char *key)
{
	size_t n, i;

	for (i = 0; i < ARRAY_SIZE(renamed); i++)
		if (streq(renamed[i].key, key)) {
			str_append(out, renamed[i].name);
			return;
		}
	for (; *key; key += n + !!key[n]) {
		n = strcspn(key, "_");
		for (i = 0; i < n; i++)
			str_append_char(out, i == 0 || is_capitals(key, n) ? (char)(key[i] - 'a' + 'A') : key[i]);
	}
}

static void append_text(struct str *out, const char *s)
{
	json_quote(out, s, strlen(s), 0);
}

static void append_list(struct str *out, char *const *v)
{
	const char *comma = "";

	str_append_char(out, '[');
	for (; v && *v; v++, comma = ",") {
		str_append(out, comma);
		append_text(out, *v);
	}
	str_append_char(out, ']');
}

static void append_value(struct str *out, const struct option *o, const void *object)
{
	const void *p = (const char *)object + o->offset;

	switch (o->type) {
	case OPTION_STRING:
		append_text(out, *(const char *const *)p);
		return;
	case OPTION_LIST:
		append_list(out, *(char *const *const *)p);
		return;
	case OPTION_BOOL:
		str_append(out, *(const bool *)p ? "true" : "false");
		return;
	case OPTION_INT:
	case OPTION_SIZE:
		str_appendf(out, "%lld", (long long)*(const int64_t *)p);
		return;
	case OPTION_RUNTIMES:
		return;
	}
}

/* The members of an object whose brace is open; those without a key in the file are left out. */
static void append_members(struct str *out, const struct option *table, size_t n, const void *object)
{
	const char *comma = "";

	for (const struct option *o = table; o < table + n; o++) {
		if ((table == config_options && !o->table) || o->type == OPTION_RUNTIMES)
			continue;
		str_appendf(out, "%s\"", comma);
		append_name(out, o->key);
		str_append(out, "\":");
		append_value(out, o, object);
		comma = ",";
	}
}

void config_json(const struct config *c, struct str *out)
{
	str_append_char(out, '{');
	append_members(out, config_options, config_n_options, c);
	str_append(out, ",\"Runtimes\":{");
	for (size_t i = 0; i < c->n_runtimes; i++) {
		str_append(out, i ? "," : "");
		append_text(out, c->runtimes[i].name);
		str_append(out, ":{");
		append_members(out, handler_options, handler_n_options, &c->runtimes[i]);
		str_append_char(out, '}');
	}
	str_append(out, "}}");
}
