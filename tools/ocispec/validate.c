/* SPDX-License-Identifier: Apache-2.0 */
/* ocispec validate: what is wrong with files, and what is doubtful. */
#include "spec_tool.h"

static const char *kind_option;
static bool strict;

struct report {
	const char *file;
	struct json_doc *doc;		/* NULL: lines */
	struct json *findings;
	size_t errors, warnings;
};

static void add_finding(void *user, int severity, const char *path, const char *message)
{
	const char *word = severity == OCISPEC_FINDING_ERROR ? "error" : "warning";
	_cleanup_str_ struct str line = STR_INIT, safe = STR_INIT;
	struct report *r = user;
	struct json *f;

	*(severity == OCISPEC_FINDING_ERROR ? &r->errors : &r->warnings) += 1;
	if (r->doc) {
		f = json_new_object(r->doc);
		json_set_string(r->doc, f, "severity", word);
		json_set_string(r->doc, f, "path", path);
		json_set_string(r->doc, f, "message", message);
		json_append(r->doc, r->findings, f);
		return;
	}
	str_appendf(&line, "%s: %s: %s%s%s", r->file, word, path, *path ? ": " : "", message);
	text_append_safe(&safe, line.data ? line.data : "", false);
	printf("%s\n", safe.data ? safe.data : "");
}

/* One document; true when it is as it should be. */
static bool check(const char *path, int kind, struct report *r)
{
	struct ocispec *s = NULL;
	int found;

	if (document_read(path, kind, &s, &found)) {
		r->errors++;
		return false;
	}
	ocispec_validate(s, add_finding, r);
	if (!r->doc && !r->errors && !r->warnings)
		printf("%s: valid (%s)\n", path, kind_name(found));
	if (r->doc)
		json_set_string(r->doc, json_root(r->doc), "kind", kind_name(found));
	ocispec_free(s);
	return !r->errors && !(strict && r->warnings);
}

static bool check_as_json(const char *path, int kind)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct report r = { .file = path, .doc = doc };
	bool good;

	if (!doc) {
		complain("out of memory");
		return false;
	}
	json_set_string(doc, json_root(doc), "file", path);
	r.findings = json_set_array(doc, json_root(doc), "findings");
	good = check(path, kind, &r);
	json_set_bool(doc, json_root(doc), "valid", r.errors == 0);
	return json_print(doc) == 0 && good;
}

static int run(void *user, int argc, char **argv)
{
	int kind = kind_option ? kind_by_name(kind_option) : -1;
	bool good = true;

	if (kind_option && kind < 0) {
		complain("there is no kind \"%s\"; known are config, state, features, profile, hook and cdi", kind_option);
		return EXIT_USAGE;
	}
	for (int i = 0; i < argc; i++) {
		struct report r = { .file = argv[i] };

		good &= json_output ? check_as_json(argv[i], kind) : check(argv[i], kind, &r);
	}
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const struct opt options[] = {
	{ 'k', "kind", OPT_STRING, &kind_option, "KIND", "config, state, features, profile, hook or cdi (guessed)" },
	{ 0, "strict", OPT_FLAG, &strict, NULL, "warnings count as errors" },
	{ 0 },
};

const struct command cmd_validate = {
	.name = "validate",
	.args = "FILE...",
	.summary = "tell what is wrong with documents",
	.options = options,
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
