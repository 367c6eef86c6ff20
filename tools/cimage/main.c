/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cimage: container images from place to place, with skopeo's commands and options where they are
 * good. Each command has a file of its own, or shares one with those like it.
 */
#include "cimage_tool.h"
#include "trust.h"

static const struct command *const commands[] = {
	&cmd_copy, &cmd_inspect, &cmd_list_tags, &cmd_delete, &cmd_sync, &cmd_manifest_digest,
	&cmd_login, &cmd_logout, &cmd_standalone_sign, &cmd_standalone_verify, &cmd_generate_key, NULL,
};

struct settings settings;

static const struct opt options[] = {
	{ 0, "policy", OPT_STRING, &settings.policy, "FILE", "policy.json" },
	{ 0, "insecure-policy", OPT_FLAG, &settings.insecure_policy, NULL, "accept any image" },
	{ 0, "registries-conf", OPT_STRING, &settings.registries_conf, "FILE", "registries.conf" },
	{ 0, "registries.d", OPT_STRING, &settings.registries_d, "DIRECTORY", "where signatures are kept" },
	{ 0, "override-os", OPT_STRING, &settings.os, "OS", "of images in lists, not this one" },
	{ 0, "override-arch", OPT_STRING, &settings.arch, "ARCH", "as images call it: amd64, arm64 ..." },
	{ 0, "override-variant", OPT_STRING, &settings.variant, "VARIANT", "of the architecture" },
	{ 0, "blob-cache", OPT_STRING, &settings.blob_cache, "FILE", "what copies know of blobs; \"\": nothing" },
	{ 0, "stall-timeout", OPT_INT, &settings.stall_timeout, "SECONDS", "without progress end a transfer (60)" },
	{ 0, "json", OPT_FLAG, &settings.json, NULL, "print JSON" },
	{ 'q', "quiet", OPT_FLAG, &settings.quiet, NULL, "print no progress" },
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct program program = {
		.name = "cimage",
		.version = CRID_VERSION,
		.commands = commands,
		.options = options,
	};

	return program_main(&program, argc, argv);
}
