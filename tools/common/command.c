/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that consists of commands: the frame around them is the same everywhere, so that help,
 * options and exit statuses are, too, and one shell completion can read all of them.
 */
#include <errno.h>
#include <signal.h>
#include "tool.h"

static bool help, show_version;

static const struct opt own_options[] = {
	{ 'h', "help", OPT_FLAG, &help, NULL, "print this" },
	{ 0, "version", OPT_FLAG, &show_version, NULL, "print the version of this program" },
	{ 0 },
};

static void program_usage(const struct program *p, FILE *f)
{
	const struct command *const *c;
	int width = 8;

	for (c = p->commands; *c; c++)
		width = (int)strlen((*c)->name) > width ? (int)strlen((*c)->name) : width;
	fprintf(f, "usage: %s [OPTION...] COMMAND [ARGUMENT...]\n\nCommands:\n", p->name);
	for (c = p->commands; *c; c++)
		fprintf(f, "  %-*s %s\n", width, (*c)->name, (*c)->summary);
	fprintf(f, "\nOptions, before or behind the command:\n");
	options_help(p->options, f);
	options_help(own_options, f);
	fprintf(f, "\n`%s COMMAND --help` tells more.\n", p->name);
}

static void command_usage(const struct program *p, const struct command *c, FILE *f)
{
	fprintf(f, "usage: %s %s [OPTION...]%s%s\n\n%s\n", p->name, c->name, *c->args ? " " : "",
		c->args, c->summary);
	if (c->details)
		fprintf(f, "\n%s\n", c->details);
	if (c->options) {
		fprintf(f, "\nOptions:\n");
		options_help(c->options, f);
	}
	fprintf(f, "\nFor all commands:\n");
	options_help(p->options, f);
	options_help(own_options, f);
}

static int print_version(const struct program *p)
{
	printf("%s %s\n", p->name, p->version);
	return EXIT_SUCCESS;
}

static const struct command *find_command(const struct program *p, const char *name)
{
	const struct command *const *c;

	for (c = p->commands; *c && !streq((*c)->name, name); c++)
		;
	return *c;
}

static int run_command(const struct program *p, const struct command *c, int argc, char **argv)
{
	static const struct opt none[] = { { 0 } };
	const struct opt *const tables[] = { c->options ? c->options : none, p->options,
					     own_options, NULL };
	int r = options_parse(tables, c->stop_at_first, &argc, argv, &help);

	if (r)
		return r;
	if (show_version)
		return print_version(p);
	if (help) {
		command_usage(p, c, stdout);
		return EXIT_SUCCESS;
	}
	if (argc < c->min_args || (c->max_args >= 0 && argc > c->max_args)) {
		complain("usage: %s %s [OPTION...]%s%s", p->name, c->name, *c->args ? " " : "",
			 c->args);
		return EXIT_USAGE;
	}
	r = p->prepare ? p->prepare(p->user) : 0;
	return r ? r : c->run(p->user, argc, argv);
}

/* Output that could not be written is a failure, too. */
static int finish(int r)
{
	if (fflush(stdout) || ferror(stdout)) {
		if (!r)
			complain("write output: %s", strerror(errno));
		return r ? r : EXIT_FAILURE;
	}
	return r;
}

int program_main(const struct program *p, int argc, char **argv)
{
	const struct opt *const tables[] = { p->options, own_options, NULL };
	const struct command *c;
	int r;

	signal(SIGPIPE, SIG_IGN);
	argc--;
	argv++;
	r = options_parse(tables, true, &argc, argv, &help);
	if (r)
		return r;
	if (show_version)
		return finish(print_version(p));
	if (help || !argc || streq(argv[0], "help")) {
		program_usage(p, help || argc ? stdout : stderr);
		return finish(help || argc ? EXIT_SUCCESS : EXIT_USAGE);
	}
	c = find_command(p, argv[0]);
	if (!c) {
		complain("there is no command \"%s\"; %s --help lists them", argv[0], p->name);
		return EXIT_USAGE;
	}
	return finish(run_command(p, c, argc - 1, argv + 1));
}
