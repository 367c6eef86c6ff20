/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crid-ctl: a CRI client for people, scripts and tests. This file finds the socket; each group of
 * commands has a file of its own.
 */
#include "ctl.h"

#define DEFAULT_ENDPOINT "/var/run/crio/crio.sock"

static const struct command *const commands[] = {
	&cmd_run,  &cmd_pull, &cmd_images, &cmd_rmi,	 &cmd_pods, &cmd_ps,	  &cmd_logs,
	&cmd_exec, &cmd_stop, &cmd_rm,	   &cmd_inspect, &cmd_info, &cmd_version, &cmd_bench,
	NULL,
};

static struct ctl ctl;

static const struct opt options[] = {
	{ 'e', "endpoint", OPT_STRING, &ctl.endpoint, "PATH",
	  "socket of the server (CRID_ENDPOINT, CONTAINER_RUNTIME_ENDPOINT; " DEFAULT_ENDPOINT
	  ")" },
	{ 0, "timeout", OPT_INT, &ctl.timeout, "SECONDS", "for each call to the server" },
	{ 0, "json", OPT_FLAG, &ctl.json, NULL, "print JSON" },
	{ 'q', "quiet", OPT_FLAG, &ctl.quiet, NULL, "print only ids" },
	{ 0 },
};

static int choose_endpoint(void *unused)
{
	static const char *const variables[] = { "CRID_ENDPOINT", "CONTAINER_RUNTIME_ENDPOINT" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(variables) && !ctl.endpoint; i++) {
		const char *v = getenv(variables[i]);

		ctl.endpoint = v && *v ? v : NULL;
	}
	if (!ctl.endpoint)
		ctl.endpoint = DEFAULT_ENDPOINT;
	return 0;
}

int main(int argc, char **argv)
{
	const struct program program = {
		.name = "crid-ctl",
		.version = CRID_VERSION,
		.commands = commands,
		.options = options,
		.prepare = choose_endpoint,
		.user = &ctl,
	};
	int r = program_main(&program, argc, argv);

	crisvc_client_free(ctl.client);
	return r;
}
