/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options by table, in the forms --name value, --name=value, -n value, -nvalue and -abc, so that
 * the help of a command is printed from what parses it.
 */
#include "tool.h"

static const struct opt *find(const struct opt *const *tables, const char *name, size_t n,
			      char letter)
{
	const struct opt *o;

	for (; *tables; tables++)
		for (o = *tables; o->name; o++)
			if (letter ? o->letter == letter
				   : strlen(o->name) == n && !memcmp(o->name, name, n))
				return o;
	return NULL;
}

static int set(const struct opt *o, const char *value)
{
	long long number;

	switch (o->type) {
	case OPT_FLAG:
		if (value && !streq(value, "true") && !streq(value, "false")) {
			complain("option --%s takes no value", o->name);
			return EXIT_USAGE;
		}
		*(bool *)o->value = !value || streq(value, "true");
		break;
	case OPT_STRING:
		*(const char **)o->value = value;
		break;
	case OPT_LIST:
		if (strv_push((char ***)o->value, value)) {
			complain("out of memory");
			return EXIT_FAILURE;
		}
		break;
	case OPT_INT:
		if (str_to_i64(value, &number) || number < 0 || number > INT32_MAX) {
			complain("option --%s needs a number, not \"%s\"", o->name, value);
			return EXIT_USAGE;
		}
		*(long long *)o->value = number;
		break;
	}
	return 0;
}

/* --name, --name=value, or --name and the next argument */
static int parse_long(const struct opt *const *tables, const char *arg, const char *next,
		      bool *used_next)
{
	const char *name = arg + 2, *equals = strchr(name, '=');
	const struct opt *o =
		find(tables, name, equals ? (size_t)(equals - name) : strlen(name), 0);
	const char *value = equals ? equals + 1 : NULL;

	if (!o) {
		complain("unknown option %s; --help lists them", arg);
		return EXIT_USAGE;
	}
	if (!value && o->type != OPT_FLAG) {
		*used_next = true;
		value = next;
		if (!value) {
			complain("option --%s needs a value", o->name);
			return EXIT_USAGE;
		}
	}
	return set(o, value);
}

/* -abc, where the last may have its value behind it or in the next argument */
static int parse_short(const struct opt *const *tables, const char *arg, const char *next,
		       bool *used_next)
{
	const char *p;
	int r = 0;

	for (p = arg + 1; *p && !r; p++) {
		const struct opt *o = find(tables, NULL, 0, *p);

		if (!o) {
			complain("unknown option -%c; --help lists them", *p);
			return EXIT_USAGE;
		}
		if (o->type == OPT_FLAG) {
			r = set(o, NULL);
			continue;
		}
		if (p[1])
			return set(o, p + 1 + (p[1] == '='));
		*used_next = true;
		if (!next) {
			complain("option -%c needs a value", *p);
			return EXIT_USAGE;
		}
		return set(o, next);
	}
	return r;
}

int options_parse(const struct opt *const *tables, bool stop_at_first, int *argc, char **argv,
		  bool *help)
{
	int i, n = 0, r;

	for (i = 0; i < *argc; i++) {
		bool used_next = false;

		if (argv[i][0] != '-' || !argv[i][1]) {
			if (stop_at_first)
				break;
			argv[n++] = argv[i];
			continue;
		}
		if (streq(argv[i], "--")) {
			i++;
			break;
		}
		if (streq(argv[i], "--help") || streq(argv[i], "-h")) {
			*help = true;
			continue;
		}
		r = (argv[i][1] == '-' ? parse_long : parse_short)(
			tables, argv[i], i + 1 < *argc ? argv[i + 1] : NULL, &used_next);
		if (r)
			return r;
		i += used_next;
	}
	while (i < *argc)
		argv[n++] = argv[i++];
	*argc = n;
	return 0;
}

void options_help(const struct opt *table, FILE *f)
{
	const struct opt *o;

	for (o = table; o && o->name; o++) {
		_cleanup_str_ struct str s = STR_INIT;

		if (o->letter)
			str_appendf(&s, "-%c, --%s%s%s", o->letter, o->name, o->arg ? " " : "",
				    o->arg ? o->arg : "");
		else
			str_appendf(&s, "    --%s%s%s", o->name, o->arg ? " " : "",
				    o->arg ? o->arg : "");
		fprintf(f, "  %-26s %s\n", s.data ? s.data : "", o->help);
	}
}
