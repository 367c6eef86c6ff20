/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crid-ctl: a CRI client for people, scripts and tests. This file finds the command and the socket;
 * each group of commands has a file of its own.
 */
#include <errno.h>
#include <signal.h>
#include "ctl.h"

#define DEFAULT_ENDPOINT "/var/run/crio/crio.sock"

static const struct command *const commands[] = {
	&cmd_run,  &cmd_pull, &cmd_images, &cmd_rmi,	 &cmd_pods, &cmd_ps,	  &cmd_logs,
	&cmd_exec, &cmd_stop, &cmd_rm,	   &cmd_inspect, &cmd_info, &cmd_version,
	&cmd_bench,
};

static struct ctl ctl;
static bool show_version;

static const struct opt global_options[] = {
	{ 'e', "endpoint", OPT_STRING, &ctl.endpoint, "PATH",
	  "socket of the server (CRID_ENDPOINT, CONTAINER_RUNTIME_ENDPOINT; " DEFAULT_ENDPOINT
	  ")" },
	{ 0, "timeout", OPT_INT, &ctl.timeout, "SECONDS", "for each call to the server" },
	{ 0, "json", OPT_FLAG, &ctl.json, NULL, "print JSON" },
	{ 'q', "quiet", OPT_FLAG, &ctl.quiet, NULL, "print only ids" },
	{ 0, "version", OPT_FLAG, &show_version, NULL, "print the version of this program" },
	{ 0 },
};

static void usage(FILE *f)
{
	size_t i;

	fprintf(f, "usage: crid-ctl [OPTION...] COMMAND [ARGUMENT...]\n\nCommands:\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
	fprintf(f, "\nOptions, before or behind the command:\n");
	options_help(global_options, f);
	fprintf(f, "\n`crid-ctl COMMAND --help` tells more.\n");
}

static void command_usage(const struct command *cmd, FILE *f)
{
	fprintf(f, "usage: crid-ctl %s [OPTION...]%s%s\n\n%s\n", cmd->name, *cmd->args ? " " : "",
		cmd->args, cmd->summary);
	if (cmd->details)
		fprintf(f, "\n%s\n", cmd->details);
	if (cmd->options) {
		fprintf(f, "\nOptions:\n");
		options_help(cmd->options, f);
	}
	fprintf(f, "\nFor all commands:\n");
	options_help(global_options, f);
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (streq(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static void choose_endpoint(void)
{
	static const char *const variables[] = { "CRID_ENDPOINT", "CONTAINER_RUNTIME_ENDPOINT" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(variables) && !ctl.endpoint; i++) {
		const char *v = getenv(variables[i]);

		ctl.endpoint = v && *v ? v : NULL;
	}
	if (!ctl.endpoint)
		ctl.endpoint = DEFAULT_ENDPOINT;
}

static int run_command(const struct command *cmd, int argc, char **argv)
{
	static const struct opt none[] = { { 0 } };
	const struct opt *const tables[] = { cmd->options ? cmd->options : none, global_options,
					     NULL };
	bool help = false;
	int r = options_parse(tables, cmd->stop_at_first, &argc, argv, &help);

	if (r)
		return r;
	if (help) {
		command_usage(cmd, stdout);
		return EXIT_SUCCESS;
	}
	if (argc < cmd->min_args || (cmd->max_args >= 0 && argc > cmd->max_args)) {
		complain("usage: crid-ctl %s [OPTION...]%s%s", cmd->name, *cmd->args ? " " : "",
			 cmd->args);
		return EXIT_USAGE;
	}
	choose_endpoint();
	r = cmd->run(&ctl, argc, argv);
	crisvc_client_free(ctl.client);
	return r;
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

int main(int argc, char **argv)
{
	const struct opt *const tables[] = { global_options, NULL };
	const struct command *cmd;
	bool help = false;
	int r;

	signal(SIGPIPE, SIG_IGN);
	argc--;
	argv++;
	r = options_parse(tables, true, &argc, argv, &help);
	if (r)
		return r;
	if (show_version) {
		puts("crid-ctl " CRID_VERSION);
		return finish(EXIT_SUCCESS);
	}
	if (help || !argc || streq(argv[0], "help")) {
		usage(help || argc ? stdout : stderr);
		return finish(help || argc ? EXIT_SUCCESS : EXIT_USAGE);
	}
	cmd = find_command(argv[0]);
	if (!cmd) {
		complain("there is no command \"%s\"; crid-ctl --help lists them", argv[0]);
		return EXIT_USAGE;
	}
	return finish(run_command(cmd, argc - 1, argv + 1));
}
