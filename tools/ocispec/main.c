/* SPDX-License-Identifier: Apache-2.0 */
/* ocispec: OCI runtime-spec documents from the command line. Also reading files, and telling their kinds. */
#include <errno.h>
#include <fcntl.h>
#include <cbase/io.h>
#include "spec_tool.h"

static const struct command *const commands[] = { &cmd_generate, &cmd_validate, &cmd_diff, NULL };

bool json_output;

static const struct opt options[] = {
	{ 0, "json", OPT_FLAG, &json_output, NULL, "print JSON" },
	{ 0 },
};

static const struct {
	const char *name, *telling;	/* a member that only this kind has */
	int kind;
} kinds[] = {
	{ "cdi", "cdiVersion", OCISPEC_CDI },
	{ "features", "ociVersionMax", OCISPEC_FEATURES },
	{ "state", "bundle", OCISPEC_STATE },
	{ "profile", "defaultAction", OCISPEC_PROFILE },
	{ "hook", "hook", OCISPEC_HOOK },
	{ "config", "ociVersion", OCISPEC_CONFIG },
};

const char *kind_name(int kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return "?";
}

int kind_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (streq(kinds[i].name, name))
			return kinds[i].kind;
	return -1;
}

int file_read(const char *path, char **ret, size_t *ret_len)
{
	int r = streq(path, "-") ? read_fd(0, OCISPEC_DOCUMENT_MAX, ret, ret_len) :
				   read_file(path, OCISPEC_DOCUMENT_MAX, ret, ret_len);

	if (r)
		complain("read %s: %s", path, r == -EFBIG ? "larger than 4 MiB" : strerror(-r));
	return r ? EXIT_FAILURE : 0;
}

static int guess_kind(const char *path, const char *text, size_t len)
{
	_cleanup_json_ struct json_doc *doc = NULL;

	if (str_ends(path, ".yaml") || str_ends(path, ".yml"))
		return OCISPEC_CDI;
	if (json_parse(text, len, 0, &doc, NULL) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
			if (json_get(json_root(doc), kinds[i].telling))
				return kinds[i].kind;
	return OCISPEC_CONFIG;
}

int document_read(const char *path, int kind, struct ocispec **ret, int *ret_kind)
{
	_cleanup_free_ char *text = NULL;
	struct ocispec_error err = { 0 };
	size_t len;
	int r = file_read(path, &text, &len);

	if (r)
		return r;
	if (kind < 0)
		kind = guess_kind(path, text, len);
	if (ret_kind)
		*ret_kind = kind;
	if (ocispec_parse_as(kind, text, len, ret, &err)) {
		complain("%s: %s", path, err.message);
		return EXIT_FAILURE;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct program program = {
		.name = "ocispec",
		.version = CRID_VERSION,
		.commands = commands,
		.options = options,
	};

	return program_main(&program, argc, argv);
}
