/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration as commented TOML (what CRI-O prints for `crio config`) and as help text, from
 * the table. What is printed reads back as the same configuration, by this program and by CRI-O.
 */
#include "config_table.h"

#define COLUMNS 98

/* Words of text, each line with the prefix before it. */
static void print_wrapped(struct str *out, const char *prefix, const char *text)
{
	size_t column = 0, n;

	for (; *text; text += n + strspn(text + n, " ")) {
		n = strcspn(text, " ");
		if (column && column + 1 + n > COLUMNS) {
			str_append_char(out, '\n');
			column = 0;
		}
		if (column)
			str_append_char(out, ' ');
		else
			str_append(out, prefix);
		str_append_mem(out, text, n);
		column = (column ? column + 1 : strlen(prefix)) + n;
	}
	str_append_char(out, '\n');
}

static void print_quoted(struct str *out, const char *s)
{
	str_append_char(out, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			str_appendf(out, "\\%c", *s);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			str_appendf(out, "\\u%04x", (unsigned)*s);
		else
			str_append_char(out, *s);
	}
	str_append_char(out, '"');
}

static void print_size(struct str *out, int64_t n)
{
	static const char *const units[] = { "", "KiB", "MiB", "GiB", "TiB" };
	size_t i;

	for (i = 0; n && n % 1024 == 0 && i + 1 < ARRAY_SIZE(units); i++)
		n /= 1024;
	str_appendf(out, "\"%lld%s\"", (long long)n, units[i]);
}

/* "key = value", in several lines for a list; the prefix begins each of them. */
static void print_value(struct str *out, const char *prefix, const struct option *o, const void *p)
{
	char **item;

	str_appendf(out, "%s%s = ", prefix, o->key);
	switch (o->type) {
	case OPTION_STRING:
		print_quoted(out, *(char *const *)p);
		break;
	case OPTION_BOOL:
		str_append(out, *(const bool *)p ? "true" : "false");
		break;
	case OPTION_INT:
		str_appendf(out, "%lld", (long long)*(const int64_t *)p);
		break;
	case OPTION_SIZE:
		print_size(out, *(const int64_t *)p);
		break;
	case OPTION_LIST:
		str_append(out, "[\n");
		for (item = *(char **const *)p; item && *item; item++) {
			str_appendf(out, "%s\t", prefix);
			print_quoted(out, *item);
			str_append(out, ",\n");
		}
		str_appendf(out, "%s]", prefix);
		break;
	case OPTION_RUNTIMES:
		break;
	}
	str_append_char(out, '\n');
}

void option_print(struct str *out, const struct option *o, const void *object)
{
	print_value(out, "", o, (const char *)object + o->offset);
}

static const void *value_of(const struct option *o, const void *object)
{
	return (const char *)object + o->offset;
}

static int print_option(struct str *out, const struct option *o, const void *object,
			const void *defaults, bool all)
{
	_cleanup_str_ struct str mine = STR_INIT, other = STR_INIT;
	bool active;

	print_value(&mine, "", o, value_of(o, object));
	print_value(&other, "", o, value_of(o, defaults));
	if (str_failed(&mine) || str_failed(&other))
		return -ENOMEM;
	active = all || !streq(mine.data, other.data);
	print_wrapped(out, "# ", o->doc);
	print_value(out, active ? "" : "# ", o, value_of(o, object));
	str_append_char(out, '\n');
	return 0;
}

/*
 * A handler with its header. The built-in one is a comment as a whole: its header would replace it
 * by one of that name from a file, whose lower limit of memory is another one.
 */
static int print_handler(struct str *out, const struct runtime_handler *h, bool all)
{
	_cleanup_(handler_freep) struct runtime_handler *defaults = handler_new(h->name, NULL);
	size_t i;
	int r = 0;

	if (!defaults)
		return -ENOMEM;
	if (!h->origin && !all) {
		defaults->container_min_memory = h->container_min_memory;
		str_append(out, "# Built in; write such a table to change it.\n# ");
	}
	str_append(out, "[crio.runtime.runtimes.");
	if (strchr(h->name, '.'))
		print_quoted(out, h->name);
	else
		str_append(out, h->name);
	str_append(out, "]\n\n");
	for (i = 0; i < handler_n_options && !r; i++)
		r = print_option(out, &handler_options[i], h, defaults, all);
	return r;
}

static int print_handlers(const struct config *c, bool all, struct str *out)
{
	size_t i;
	int r = 0;

	print_wrapped(
		out, "# ",
		"Runtime handlers, a table for each. A table replaces as a whole what an earlier "
		"file said about the handler of that name.");
	str_append_char(out, '\n');
	for (i = 0; i < c->n_runtimes && !r; i++)
		r = print_handler(out, &c->runtimes[i], all);
	return r;
}

int config_print(const struct config *c, bool all, struct str *out)
{
	_cleanup_(config_freep) struct config *defaults = NULL;
	const char *table = "";
	size_t i;
	int r = config_defaults(&defaults, NULL);

	str_append(
		out,
		"# Configuration of crid, which reads the files of CRI-O: this one, then all in\n"
		"# /etc/crio/crio.conf.d in the order of their names; then variables and flags.\n"
		"# What is commented out is the default.\n\n");
	for (i = 0; i < config_n_options && !r; i++) {
		const struct option *o = &config_options[i];

		if (!o->table)
			continue;
		if (!streq(table, o->table)) {
			if (streq(table, "crio.runtime"))
				r = print_handlers(c, all, out);
			table = o->table;
			str_appendf(out, "[%s]\n\n", table);
		}
		if (!r)
			r = print_option(out, o, c, defaults, all);
	}
	return r ? r : str_failed(out) ? -ENOMEM : 0;
}

void config_usage(struct str *out)
{
	size_t i;

	for (i = 0; i < config_n_options; i++) {
		const struct option *o = &config_options[i];

		str_appendf(out, "  --%s", o->flag);
		if (o->letter)
			str_appendf(out, ", -%c", o->letter);
		str_append(out, o->type == OPTION_BOOL	 ? ""
				: o->type == OPTION_INT	 ? " NUMBER"
				: o->type == OPTION_LIST ? " A,B,..."
							 : " VALUE");
		str_appendf(out, "  (%s)\n", o->env);
		print_wrapped(out, "        ", o->doc);
		if (*o->fallback)
			str_appendf(out, "        Default: %s\n", o->fallback);
	}
}
